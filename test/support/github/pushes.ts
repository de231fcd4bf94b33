/** What a push sets off: the event, check suites, pull requests that follow their head, pull requests that it merged or ended. */

import * as commitShapes from './commit-shapes.ts';
import { bring, commitOf, commitTree, isAncestor, logOf, mergedTree, NO_COMMIT, setRef } from './git.ts';
import * as shapes from './shapes.ts';
import { type Account, fullNameOf, type Issue, type Pull, type Repository, type State } from './state.ts';
import type { Webhooks } from './webhooks.ts';

export type World = { state: State; webhooks: Webhooks };

export type RefChange = { ref: string; before: string; after: string };

/** GitHub sends no event for a push of more. */
const MOST_TAGS = 3;
const MOST_BRANCHES = 5000;
/** How many commits a push event names. */
const MOST_COMMITS = 2048;

/** The refs have moved already; tells everybody, in GitHub's order. */
export async function pushed(world: World, repository: Repository, changes: RefChange[], pusher: Account): Promise<void> {
  const { state } = world;
  repository.pushedAt = state.now();
  repository.updatedAt = state.now();
  const tags = changes.filter((one) => one.ref.startsWith('refs/tags/'));
  const branches = changes.filter((one) => one.ref.startsWith('refs/heads/'));
  const told = [...(tags.length > MOST_TAGS ? [] : tags), ...(branches.length > MOST_BRANCHES ? [] : branches)];
  for (const change of told) await sendPush(world, repository, change, pusher);
  for (const change of branches) {
    const branch = change.ref.slice('refs/heads/'.length);
    if (change.after !== NO_COMMIT) requestSuites(world, repository, change, branch, pusher);
    for (const owner of state.repositories.values()) await movePulls(world, owner, repository, branch, change, pusher);
  }
}

async function sendPush(world: World, repository: Repository, change: RefChange, pusher: Account): Promise<void> {
  const [created, deleted] = [change.before === NO_COMMIT, change.after === NO_COMMIT];
  const known = !created && !deleted;
  const forced = known && !(await isAncestor(repository.directory, change.before, change.after));
  const range = known ? `${change.before}..${change.after}` : `${change.after}^!`;
  const log = deleted ? [] : (await logOf(repository.directory, range)).slice(0, MOST_COMMITS).reverse();
  const commits = log.map((one) => ({
    id: one.sha,
    tree_id: one.tree,
    message: one.message,
    timestamp: one.committer.date,
    distinct: true,
    author: { ...one.author, username: pusher.login },
    committer: { ...one.committer, username: pusher.login },
    url: `${world.state.url}/${fullNameOf(repository)}/commit/${one.sha}`,
    added: [],
    removed: [],
    modified: [],
  }));
  const compare = `${world.state.url}/${fullNameOf(repository)}/compare/${change.before.slice(0, 12)}...${change.after.slice(0, 12)}`;
  const owner = { name: repository.owner.login, email: null, ...shapes.account(world.state, repository.owner) };
  const fields = {
    ...change,
    base_ref: null,
    created,
    deleted,
    forced,
    compare,
    commits,
    head_commit: commits.at(-1) ?? null,
    pusher: { name: pusher.login, email: `${pusher.login}@users.noreply.github.com` },
  };
  world.webhooks.send({ event: 'push', repository, sender: pusher, fields: { ...fields, repository: { owner } } });
}

/** One suite per commit for each App that may write checks, asked for by `check_suite.requested`. */
function requestSuites(world: World, repository: Repository, change: RefChange, branch: string, pusher: Account): void {
  const { state, webhooks } = world;
  for (const { app, permissions } of state.installationsOn(repository)) {
    if (permissions['checks'] !== 'write' || repository.suites.some((one) => one.app === app && one.headSha === change.after)) continue;
    const now = state.now();
    const suite = {
      id: state.nextId(),
      app,
      headSha: change.after,
      headBranch: branch,
      before: change.before,
      createdAt: now,
      updatedAt: now,
    };
    repository.suites.push(suite);
    const fields = { check_suite: commitShapes.checkSuite(state, repository, suite) };
    webhooks.send({ event: 'check_suite', action: 'requested', repository, sender: pusher, fields }, app);
  }
}

async function movePulls(
  world: World,
  owner: Repository,
  pushedTo: Repository,
  branch: string,
  change: RefChange,
  sender: Account,
): Promise<void> {
  for (const issue of owner.issues.values()) {
    const { pull } = issue;
    if (!pull || issue.state === 'closed') continue;
    const isHead = pull.headRepository === pushedTo && pull.headRef === branch;
    const isBase = owner === pushedTo && pull.baseRef === branch;
    if (isHead && change.after !== NO_COMMIT) await followHead(world, owner, issue, pull, change, sender);
    else if ((isHead || isBase) && change.after === NO_COMMIT) closePull(world, owner, issue, sender);
    else if (isBase && (await isAncestor(owner.directory, pull.headSha, change.after))) {
      markMerged(world, owner, issue, pull, change.after, sender);
    }
  }
}

async function followHead(world: World, owner: Repository, issue: Issue, pull: Pull, change: RefChange, sender: Account): Promise<void> {
  pull.headSha = change.after;
  await refreshPull(world.state, owner, issue, pull);
  touch(world.state, issue);
  tellPull(world, owner, issue, 'synchronize', sender, { before: change.before, after: change.after });
}

/**
 * What GitHub does for a pull request when its head, or its base's name, has changed: `refs/pull/N/head`, the base's tip as it is
 * now, and a test merge under `refs/pull/N/merge`. None of it moves when only the base's tip does: that is how GitHub's goes stale.
 */
export async function refreshPull(state: State, owner: Repository, issue: Issue, pull: Pull): Promise<void> {
  if (pull.headRepository) await bring(owner.directory, pull.headRepository.directory, pull.headSha);
  await setRef(owner.directory, `refs/pull/${issue.number}/head`, pull.headSha);
  pull.baseSha = (await commitOf(owner.directory, pull.baseRef)) ?? pull.baseSha;
  const tree = await mergedTree(owner.directory, pull.baseSha, pull.headSha);
  if (tree === undefined) {
    pull.mergeCommitSha = undefined;
    return setRef(owner.directory, `refs/pull/${issue.number}/merge`, undefined);
  }
  const message = `Merge ${pull.headSha} into ${pull.baseSha}`;
  const author = { name: 'GitHub', email: 'noreply@github.com' };
  pull.mergeCommitSha = await commitTree(owner.directory, tree, [pull.baseSha, pull.headSha], message, author, state.now());
  await setRef(owner.directory, `refs/pull/${issue.number}/merge`, pull.mergeCommitSha);
}

export function touch(state: State, issue: Issue): void {
  issue.updatedAt = state.now();
  issue.touched = state.touch();
}

export function closePull(world: World, owner: Repository, issue: Issue, sender: Account): void {
  issue.state = 'closed';
  issue.closedAt = world.state.now();
  touch(world.state, issue);
  tellPull(world, owner, issue, 'closed', sender);
}

export function markMerged(world: World, owner: Repository, issue: Issue, pull: Pull, commit: string, by: Account): void {
  pull.mergedAt = world.state.now();
  pull.mergedBy = by;
  pull.mergeCommitSha = commit;
  closePull(world, owner, issue, by);
}

/** The event carries the pull request as it is now. */
export function tellPull(
  world: World,
  repository: Repository,
  issue: Issue,
  action: string,
  sender: Account,
  more: shapes.Json = {},
): void {
  const full = shapes.pullInFull(world.state, repository, issue, { mergeable: null, commits: [], files: [] });
  const fields = { number: issue.number, pull_request: full, ...more };
  world.webhooks.send({ event: 'pull_request', action, repository, sender, fields });
}
