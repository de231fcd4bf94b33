/**
 * GitHub's answers in our shapes. Pure. What does not look like its API is an error, never a value with holes: a proxy's page with
 * status 200 must not read as "no pull requests".
 */
import { PlumblineError } from '../error.ts';

/** `mergeCommitSha` only once it is merged (before that GitHub's is a trial merge); `headRepositoryId` undefined: the fork is gone. */
export type PullRequest = {
  number: number;
  title: string;
  state: 'open' | 'closed';
  merged: boolean;
  mergeCommitSha: string | undefined;
  draft: boolean;
  headSha: string;
  headRef: string;
  headRepositoryId: number | undefined;
  baseRef: string;
  baseSha: string;
  author: string;
  updatedAt: string;
};

/** A comment on an issue or pull request. `appId`: the App that wrote it, if one did. Author `ghost`, id 0: the account is gone. */
export type Comment = {
  id: number;
  issueNumber: number;
  onPullRequest: boolean;
  body: string;
  author: string;
  authorId: number;
  authorIsBot: boolean;
  appId: number | undefined;
  createdAt: string;
  updatedAt: string;
};

/** What identifies a repository without a request: a webhook's payload holds it. */
export type KnownRepository = { id: number; fullName: string; cloneUrl: string; defaultBranch: string; installationId: number };

/** A run of a check. GitHub's names for status and conclusion, as they are. */
export type Check = { id: number; name: string; headSha: string; status: string; conclusion: string | null };

export function pullRequestOf(answer: unknown): PullRequest {
  const pull = objectOf(answer, 'a pull request');
  const head = objectOf(pull['head'], 'the head of a pull request');
  const base = objectOf(pull['base'], 'the base of a pull request');
  // A list has only `merged_at`, a single pull request has both.
  const merged = typeof pull['merged_at'] === 'string';
  const state = textOf(pull, 'state');
  if (state !== 'open' && state !== 'closed') throw unexpected(`a pull request in state ${state}`);
  return {
    number: numberOf(pull, 'number'),
    title: textOf(pull, 'title'),
    state,
    merged,
    mergeCommitSha: merged && typeof pull['merge_commit_sha'] === 'string' ? pull['merge_commit_sha'] : undefined,
    draft: pull['draft'] === true,
    headSha: textOf(head, 'sha'),
    headRef: textOf(head, 'ref'),
    headRepositoryId: head['repo'] ? numberOf(objectOf(head['repo'], 'a head repository'), 'id') : undefined,
    baseRef: textOf(base, 'ref'),
    baseSha: textOf(base, 'sha'),
    author: authorOf(pull['user']).login,
    updatedAt: textOf(pull, 'updated_at'),
  };
}

export function commentOf(answer: unknown): Comment {
  const comment = objectOf(answer, 'a comment');
  const author = authorOf(comment['user']);
  const app = comment['performed_via_github_app'];
  return {
    id: numberOf(comment, 'id'),
    issueNumber: Number(textOf(comment, 'issue_url').split('/').at(-1)),
    onPullRequest: /\/pull\/\d+(#|$)/.test(textOf(comment, 'html_url')),
    body: typeof comment['body'] === 'string' ? comment['body'] : '',
    author: author.login,
    authorId: author.id,
    authorIsBot: author.bot,
    appId: app ? numberOf(objectOf(app, 'an App'), 'id') : undefined,
    createdAt: textOf(comment, 'created_at'),
    updatedAt: textOf(comment, 'updated_at'),
  };
}

export function knownRepositoryOf(answer: unknown, installationId: number): KnownRepository {
  const repository = objectOf(answer, 'a repository');
  return {
    id: numberOf(repository, 'id'),
    fullName: textOf(repository, 'full_name'),
    cloneUrl: textOf(repository, 'clone_url'),
    defaultBranch: textOf(repository, 'default_branch'),
    installationId,
  };
}

/** A new token, its end, and the repository it was asked for. */
export function tokenOf(answer: unknown): { token: string; expiresAt: string; repository: unknown } {
  const token = objectOf(answer, 'a token');
  const expiresAt = textOf(token, 'expires_at');
  if (Number.isNaN(Date.parse(expiresAt))) throw unexpected('a token without its end');
  const { repositories } = token;
  return { token: textOf(token, 'token'), expiresAt, repository: Array.isArray(repositories) ? repositories[0] : undefined };
}

/** An installation of the App. */
export function installationOf(answer: unknown): { id: number; suspended: boolean } {
  const installation = objectOf(answer, 'an installation');
  return { id: numberOf(installation, 'id'), suspended: typeof installation['suspended_at'] === 'string' };
}

/** The runs in a list of check runs. */
export function checkRunsOf(answer: unknown): ReturnType<typeof checkRunOf>[] {
  return listOf(objectOf(answer, 'a list of check runs')['check_runs']).map(checkRunOf);
}

/** A check run with the App that made it, and what it says (for a look after an answer that got lost). */
export function checkRunOf(answer: unknown): { check: Check; appId: number; title: unknown; summary: unknown; annotations: number } {
  const run = objectOf(answer, 'a check run');
  const output = objectOf(run['output'], 'the output of a check run');
  const check = {
    id: numberOf(run, 'id'),
    name: textOf(run, 'name'),
    headSha: textOf(run, 'head_sha'),
    status: textOf(run, 'status'),
    conclusion: typeof run['conclusion'] === 'string' ? run['conclusion'] : null,
  };
  const appId = run['app'] ? numberOf(objectOf(run['app'], 'an App'), 'id') : 0;
  return { check, appId, title: output['title'], summary: output['summary'], annotations: numberOf(output, 'annotations_count') };
}

/** A page of a list. */
export function listOf(answer: unknown): unknown[] {
  if (Array.isArray(answer)) return answer;
  throw unexpected('something that is not a list');
}

/** Whether a `link` header names a next page. */
export function hasNext(link: string | undefined): boolean {
  return /\brel="next"/.test(link ?? '');
}

export function unexpected(what: string): PlumblineError {
  return new PlumblineError('GITHUB_ANSWER_UNEXPECTED', `GitHub answered ${what}`, { retry: 'later' });
}

function authorOf(user: unknown): { login: string; id: number; bot: boolean } {
  if (!user) return { login: 'ghost', id: 0, bot: false };
  const known = objectOf(user, 'an account');
  return { login: textOf(known, 'login'), id: numberOf(known, 'id'), bot: known['type'] === 'Bot' };
}

function objectOf(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw unexpected(`something that is not ${what}`);
}

function textOf(object: Record<string, unknown>, field: string): string {
  const value = object[field];
  if (typeof value === 'string') return value;
  throw unexpected(`no text in the field ${field}`);
}

function numberOf(object: Record<string, unknown>, field: string): number {
  const value = object[field];
  if (typeof value === 'number') return value;
  throw unexpected(`no number in the field ${field}`);
}
