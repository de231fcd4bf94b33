/** What people and apps do to a repository's pull requests, issues and comments; REST and `people.ts` both go through here. */
import { type Actor, Refusal } from './auth.ts';
import { commitOf, commitTree, git, isAncestor, mergedTree, rebased, setRef } from './git.ts';
import { closePull, markMerged, pushed, refreshPull, tellPull, touch, type World } from './pushes.ts';
import * as shapes from './shapes.ts';
import type { Account, App, Comment, Issue, Pull, Repository } from './state.ts';

/** Who an act is shown as, and the App behind it. */
export type Author = { account: Account; app: App | undefined };

export function authorOf(actor: Actor): Author {
  if (actor.kind === 'installation') return { account: actor.app.bot, app: actor.app };
  if (actor.kind === 'person') return { account: actor.account, app: undefined };
  throw new Refusal(401, 'Requires authentication');
}

/** The first free number; a new issue, kept. */
export function newIssue(world: World, repository: Repository, fields: Pick<Issue, 'title' | 'body' | 'user' | 'pull'>): Issue {
  const { state } = world;
  const now = state.now();
  const number = Math.max(0, ...repository.issues.keys()) + 1;
  const rest = { labels: [], createdAt: now, updatedAt: now, closedAt: undefined, touched: state.touch(), reactions: [] };
  const issue: Issue = { id: state.nextId(), number, state: 'open', stateReason: null, ...fields, ...rest };
  repository.issues.set(number, issue);
  return issue;
}

export type NewPull = { title: string; body: string | null; head: string; base: string; draft: boolean };

/** @param wish `head` is a branch, or `OWNER:BRANCH` of a fork */
export async function openPull(world: World, repository: Repository, wish: NewPull, author: Author): Promise<Issue> {
  const [owner, branch] = wish.head.includes(':') ? (wish.head.split(':') as [string, string]) : [repository.owner.login, wish.head];
  const invalid = (field: string) =>
    new Refusal(422, 'Validation Failed', { errors: [{ resource: 'PullRequest', field, code: 'invalid' }] });
  const head = [...world.state.repositories.values()].find(
    (one) => one.owner.login === owner && (one === repository || one.parent === repository),
  );
  const [headSha, baseSha] = [
    head && (await commitOf(head.directory, `refs/heads/${branch}`)),
    await commitOf(repository.directory, `refs/heads/${wish.base}`),
  ];
  if (!head || !headSha) throw invalid('head');
  if (!baseSha) throw invalid('base');
  if (await isAncestor(repository.directory, headSha, baseSha)) throw refusedPull(`No commits between ${wish.base} and ${branch}`);
  const twin = [...repository.issues.values()].find(
    ({ state, pull }) => state === 'open' && pull?.headRepository === head && pull.headRef === branch && pull.baseRef === wish.base,
  );
  if (twin) throw refusedPull(`A pull request already exists for ${owner}:${branch}.`);
  const pull: Pull = {
    headRepository: head,
    headOwner: head.owner,
    headRef: branch,
    headSha,
    baseRef: wish.base,
    baseSha,
    draft: wish.draft,
    mergedAt: undefined,
    mergedBy: undefined,
    mergeCommitSha: undefined,
    mergeability: { key: '', mergeable: null },
  };
  const issue = newIssue(world, repository, { title: wish.title, body: wish.body, user: author.account, pull });
  await refreshPull(world.state, repository, issue, pull);
  tellPull(world, repository, issue, 'opened', author.account);
  return issue;
}

const refusedPull = (message: string) =>
  new Refusal(422, 'Validation Failed', { errors: [{ resource: 'PullRequest', code: 'custom', message }] });

export type PullEdit = { title?: string; body?: string | null; base?: string; state?: string; draft?: boolean };

export async function editPull(world: World, repository: Repository, issue: Issue, edit: PullEdit, by: Account): Promise<void> {
  const pull = pullOf(issue);
  const changes: Record<string, unknown> = {};
  if (edit.title !== undefined && edit.title !== issue.title) {
    changes['title'] = { from: issue.title };
    issue.title = edit.title;
  }
  if (edit.body !== undefined && edit.body !== issue.body) {
    changes['body'] = { from: issue.body ?? '' };
    issue.body = edit.body;
  }
  if (edit.base !== undefined && edit.base !== pull.baseRef) {
    if (!(await commitOf(repository.directory, `refs/heads/${edit.base}`))) throw refusedPull('Proposed base branch was not found');
    changes['base'] = { ref: { from: pull.baseRef }, sha: { from: pull.baseSha } };
    pull.baseRef = edit.base;
    await refreshPull(world.state, repository, issue, pull);
  }
  if (Object.keys(changes).length > 0) {
    touch(world.state, issue);
    tellPull(world, repository, issue, 'edited', by, { changes });
  }
  if (edit.draft !== undefined && edit.draft !== pull.draft) {
    pull.draft = edit.draft;
    touch(world.state, issue);
    tellPull(world, repository, issue, edit.draft ? 'converted_to_draft' : 'ready_for_review', by);
  }
  if (edit.state === 'closed' && issue.state === 'open') closePull(world, repository, issue, by);
  if (edit.state === 'open' && issue.state === 'closed') await reopenPull(world, repository, issue, pull, by);
}

async function reopenPull(world: World, repository: Repository, issue: Issue, pull: Pull, by: Account): Promise<void> {
  const head = pull.headRepository && (await commitOf(pull.headRepository.directory, `refs/heads/${pull.headRef}`));
  if (pull.mergedAt !== undefined || !head) throw refusedPull('state cannot be changed.');
  issue.state = 'open';
  issue.closedAt = undefined;
  pull.headSha = head;
  await refreshPull(world.state, repository, issue, pull);
  touch(world.state, issue);
  tellPull(world, repository, issue, 'reopened', by);
}

export type MergeMethod = 'merge' | 'squash' | 'rebase';
type Merge = { method: MergeMethod; title?: string | undefined; message?: string | undefined; sha?: string | undefined };

/** Merges as GitHub would, moves the base branch and tells. Answers the commit it made. Refusals: 405 and 409 as GitHub's. */
export async function mergePull(world: World, repository: Repository, issue: Issue, merge: Merge, by: Author): Promise<string> {
  const pull = pullOf(issue);
  if (issue.state === 'closed' || pull.draft) throw new Refusal(405, 'Pull Request is not mergeable');
  if (merge.sha !== undefined && merge.sha !== pull.headSha)
    throw new Refusal(409, 'Head branch was modified. Review and try the merge again.');
  const before = (await commitOf(repository.directory, `refs/heads/${pull.baseRef}`)) ?? '';
  const after = await mergeCommit(world, repository, issue, pull, before, merge, by.account);
  if (after === undefined) throw new Refusal(405, 'Pull Request is not mergeable');
  await setRef(repository.directory, `refs/heads/${pull.baseRef}`, after);
  markMerged(world, repository, issue, pull, after, by.account);
  await pushed(world, repository, [{ ref: `refs/heads/${pull.baseRef}`, before, after }], by.account);
  return after;
}

async function mergeCommit(
  world: World,
  repository: Repository,
  issue: Issue,
  pull: Pull,
  base: string,
  merge: Merge,
  by: Account,
): Promise<string | undefined> {
  const { directory } = repository;
  const tree = await mergedTree(directory, base, pull.headSha);
  if (tree === undefined) return undefined;
  if (merge.method === 'rebase') return rebased(directory, base, pull.headSha);
  const person = { name: by.login, email: `${by.login}@users.noreply.github.com` };
  const squash = merge.method === 'squash';
  const title =
    merge.title ??
    (squash ? `${issue.title} (#${issue.number})` : `Merge pull request #${issue.number} from ${pull.headOwner.login}/${pull.headRef}`);
  const message = [title, merge.message ?? (squash ? await subjects(directory, base, pull.headSha) : issue.title)]
    .filter(Boolean)
    .join('\n\n');
  return commitTree(directory, tree, squash ? [base] : [base, pull.headSha], message, person, world.state.now());
}

async function subjects(directory: string, base: string, head: string): Promise<string> {
  const { text } = await git(directory, ['log', '--reverse', '--format=* %s', `${base}..${head}`]);
  return text.trim();
}

export function pullOf(issue: Issue | undefined): Pull {
  if (!issue?.pull) throw new Refusal(404, 'Not Found');
  return issue.pull;
}

export function addComment(world: World, repository: Repository, issue: Issue, body: string, author: Author): Comment {
  const { state } = world;
  const now = state.now();
  const rest = { createdAt: now, updatedAt: now, touched: state.touch(), reactions: [] };
  const comment: Comment = { id: state.nextId(), issue: issue.number, user: author.account, app: author.app, body, ...rest };
  repository.comments.set(comment.id, comment);
  touch(state, issue);
  tellComment(world, repository, comment, 'created', author.account);
  return comment;
}

export function editComment(world: World, repository: Repository, comment: Comment, body: string, by: Account): void {
  const from = comment.body;
  comment.body = body;
  comment.updatedAt = world.state.now();
  comment.touched = world.state.touch();
  tellComment(world, repository, comment, 'edited', by, { changes: { body: { from } } });
}

export function deleteComment(world: World, repository: Repository, comment: Comment, by: Account): void {
  repository.comments.delete(comment.id);
  tellComment(world, repository, comment, 'deleted', by);
}

function tellComment(
  world: World,
  repository: Repository,
  comment: Comment,
  action: string,
  sender: Account,
  more: shapes.Json = {},
): void {
  const issue = repository.issues.get(comment.issue);
  if (!issue) return;
  const fields = {
    issue: shapes.issue(world.state, repository, issue),
    comment: shapes.comment(world.state, repository, comment),
    ...more,
  };
  world.webhooks.send({ event: 'issue_comment', action, repository, sender, fields });
}

/** Unknown labels are made. Labelled pull requests are told of; this GitHub sends no `issues` events. */
export function setLabel(world: World, repository: Repository, issue: Issue, name: string, present: boolean, by: Account): void {
  if (issue.labels.includes(name) === present) return;
  if (!repository.labels.has(name)) repository.labels.set(name, world.state.nextId());
  issue.labels = present ? [...issue.labels, name] : issue.labels.filter((one) => one !== name);
  touch(world.state, issue);
  const label = shapes.label(world.state, repository, name);
  if (issue.pull) tellPull(world, repository, issue, present ? 'labeled' : 'unlabeled', by, { label });
}
