/**
 * What a webhook asks for: which key is to be looked at, and nothing else (notes: platform 5, 24). Pure.
 *
 * The payload is a hint. Nothing of it is carried on but ids, the head that gets its check, and the ref that was pushed.
 */
import { readCommand, worksOnClosed } from '../src/commands.ts';
import { PlumblineError } from '../src/error.ts';
import type { KnownRepository } from '../src/github.ts';
import { valueAt } from '../src/object.ts';
import type { Project } from '../src/project.ts';
import type { WorkRequest } from '../src/work.ts';

/** `guid` and `event` are from the headers, checked by the front; `payload` is any JSON object that GitHub signed. */
export type Delivery = { guid: string; event: string; payload: Record<string, unknown> };

export type Wanted =
  | { want: 'nothing'; why: string }
  /** `check`: the head that gets its queued check when this delivery is what made the Job. */
  | { want: 'work'; requests: WorkRequest[]; check?: { repository: KnownRepository; headSha: string } }
  /** Only when a Project tracks that ref. */
  | { want: 'tracked'; repository: KnownRepository; htmlUrl: string; ref: string }
  /** GitHub names no pull request for heads of forks: it has to be looked for. */
  | { want: 'pulls of head'; repository: KnownRepository; headSha: string };

const pullRequestActions = ['opened', 'reopened', 'synchronize', 'edited', 'labeled', 'unlabeled', 'ready_for_review', 'closed'];
const nothing = (why: string): Wanted => ({ want: 'nothing', why });

/** @throws PlumblineError WEBHOOK_PAYLOAD when a field that is needed is missing or of another type */
export function wantedBy(delivery: Delivery, appId: number): Wanted {
  const { event, payload } = delivery;
  const action = typeof payload['action'] === 'string' ? payload['action'] : '';
  const known = `${event}.${action}`;
  if (event === 'pull_request' && pullRequestActions.includes(action)) return ofPullRequest(payload);
  if (event === 'push') return ofPush(payload);
  if (known === 'issue_comment.created') return ofComment(payload, appId);
  if (known === 'check_run.requested_action') return ofButton(delivery, appId);
  if (known === 'check_run.rerequested' || known === 'check_suite.rerequested') return ofRerun(payload, event as 'check_run', appId);
  if (known === 'merge_group.checks_requested') return ofMergeGroup(payload);
  return nothing('not an event that asks for a look');
}

function ofPullRequest(payload: Record<string, unknown>): Wanted {
  const repository = repositoryOf(payload);
  const number = idAt(payload, '/pull_request/number');
  const headSha = shaAt(payload, '/pull_request/head/sha');
  const open = textAt(payload, '/pull_request/state') === 'open';
  const requests = [pullWork(repository, number)];
  return open ? { want: 'work', requests, check: { repository, headSha } } : { want: 'work', requests };
}

function ofPush(payload: Record<string, unknown>): Wanted {
  const ref = textAt(payload, '/ref');
  if (!ref.startsWith('refs/heads/') && !ref.startsWith('refs/tags/')) return nothing('not a branch or tag');
  return { want: 'tracked', repository: repositoryOf(payload), htmlUrl: textAt(payload, '/repository/html_url'), ref };
}

function ofComment(payload: Record<string, unknown>, appId: number): Wanted {
  const repository = repositoryOf(payload);
  const number = idAt(payload, '/issue/number');
  const body = valueAt(payload, '/comment/body');
  if (textAt(payload, '/comment/user/type') === 'Bot') return nothing('a bot wrote it');
  const command = typeof body === 'string' ? readCommand(body) : undefined;
  if (!command) return nothing('no command in the first line');
  const isOpen = textAt(payload, '/issue/state') === 'open';
  const pull = valueAt(payload, '/issue/pull_request');
  if (typeof pull !== 'object' || pull === null) {
    const ours = isOpen && valueAt(payload, '/issue/performed_via_github_app/id') === appId;
    if (!ours) return nothing('an issue that is not ours, or closed');
    return { want: 'work', requests: [{ kind: 'issue', installation: repository.installationId, repository: repository.id, number }] };
  }
  const isMerged = typeof valueAt(pull, '/merged_at') === 'string';
  if (!isOpen && !isMerged && !worksOnClosed(command)) return nothing('the pull request is closed');
  return { want: 'work', requests: [pullWork(repository, number)] };
}

function ofButton({ guid, payload }: Delivery, appId: number): Wanted {
  const repository = repositoryOf(payload);
  if (idAt(payload, '/check_run/app/id') !== appId) return nothing('a check of another App');
  return {
    want: 'work',
    requests: [{ kind: 'button', installation: repository.installationId, repository: repository.id, delivery: guid }],
  };
}

function ofRerun(payload: Record<string, unknown>, field: 'check_run' | 'check_suite', appId: number): Wanted {
  const repository = repositoryOf(payload);
  if (idAt(payload, `/${field}/app/id`) !== appId) return nothing('a check of another App');
  const pulls = valueAt(payload, `/${field}/pull_requests`);
  if (!Array.isArray(pulls)) throw unexpected(`/${field}/pull_requests`, 'a list');
  // GitHub lists pull requests of other repositories with the same head, too.
  const numbers = pulls.filter((one) => valueAt(one, '/base/repo/id') === repository.id).map((one) => idAt(one, '/number'));
  if (numbers.length > 0) return { want: 'work', requests: numbers.map((number) => pullWork(repository, number)) };
  return { want: 'pulls of head', repository, headSha: shaAt(payload, `/${field}/head_sha`) };
}

function ofMergeGroup(payload: Record<string, unknown>): Wanted {
  const repository = repositoryOf(payload);
  return { want: 'work', requests: [refWork(repository, refAt(payload, '/merge_group/head_ref'))] };
}

export function pullWork(repository: KnownRepository, number: number): WorkRequest {
  return { kind: 'pull', installation: repository.installationId, repository: repository.id, number };
}

export function refWork(repository: KnownRepository, ref: string): WorkRequest {
  return { kind: 'ref', installation: repository.installationId, repository: repository.id, ref };
}

/** Whether a Project follows that ref of that repository; without a revision it follows the default branch. */
export function isTracked(project: Project, pushed: { repository: KnownRepository; htmlUrl: string; ref: string }): boolean {
  const { source } = project;
  const { repository } = pushed;
  const plain = (url: string) => url.toLowerCase().replace(/(\.git)?\/*$/, '');
  const same = source.repository
    ? source.repository.toLowerCase() === repository.fullName.toLowerCase()
    : source.url !== undefined && [repository.cloneUrl, pushed.htmlUrl].map(plain).includes(plain(source.url));
  const revision = source.revision ?? repository.defaultBranch;
  return same && [revision, `refs/heads/${revision}`, `refs/tags/${revision}`].includes(pushed.ref);
}

function repositoryOf(payload: Record<string, unknown>): KnownRepository {
  return {
    id: idAt(payload, '/repository/id'),
    fullName: textAt(payload, '/repository/full_name'),
    cloneUrl: textAt(payload, '/repository/clone_url'),
    defaultBranch: textAt(payload, '/repository/default_branch'),
    installationId: idAt(payload, '/installation/id'),
  };
}

function textAt(value: unknown, pointer: string): string {
  const found = valueAt(value, pointer);
  if (typeof found === 'string' && found !== '') return found;
  throw unexpected(pointer, 'text');
}

function idAt(value: unknown, pointer: string): number {
  const found = valueAt(value, pointer);
  if (Number.isSafeInteger(found) && (found as number) > 0) return found as number;
  throw unexpected(pointer, 'a positive whole number');
}

function shaAt(value: unknown, pointer: string): string {
  const found = textAt(value, pointer);
  if (/^[0-9a-f]{40}([0-9a-f]{24})?$/.test(found)) return found;
  throw unexpected(pointer, 'a commit id');
}

function refAt(value: unknown, pointer: string): string {
  const found = textAt(value, pointer);
  if (found.startsWith('refs/')) return found;
  throw unexpected(pointer, 'a ref');
}

function unexpected(pointer: string, expected: string): PlumblineError {
  return new PlumblineError('WEBHOOK_PAYLOAD', `${pointer} of the payload is not ${expected}`);
}
