/** The merge queue: a branch per group, made and thrown away by GitHub, and the events that ask for its check. */
import { Refusal } from './auth.ts';
import { pullOf } from './changes.ts';
import { commitOf, commitTree, git, mergedTree, NO_COMMIT, setRef } from './git.ts';
import { pushed, type World } from './pushes.ts';
import type * as shapes from './shapes.ts';
import type { Issue, Repository } from './state.ts';

const GITHUB = { name: 'GitHub', email: 'noreply@github.com' };

/** The group's branch is made on the base's tip, pushed, and its check asked for. Answers its SHA. */
export function queuePull(world: World, repository: Repository, issue: Issue): Promise<string> {
  const { state } = world;
  const { directory } = repository;
  const pull = pullOf(issue);
  return state.alone(repository, async () => {
    const base = (await commitOf(directory, `refs/heads/${pull.baseRef}`)) ?? pull.baseSha;
    const tree = await mergedTree(directory, base, pull.headSha);
    if (tree === undefined) throw new Refusal(405, 'Pull Request is not mergeable');
    const head = await commitTree(directory, tree, [base, pull.headSha], `Merge pull request #${issue.number}`, GITHUB, state.now());
    const ref = `refs/heads/gh-readonly-queue/${pull.baseRef}/pr-${issue.number}-${base}`;
    await setRef(directory, ref, head);
    await pushed(world, repository, [{ ref, before: NO_COMMIT, after: head }], repository.owner);
    await tell(world, repository, 'checks_requested', { ref, head, baseRef: pull.baseRef, base });
    return head;
  });
}

/** Its branch goes; on `merged` somebody else has moved the base already. */
export async function destroyGroup(world: World, repository: Repository, head: string, reason: string): Promise<void> {
  const points = ['for-each-ref', '--format=%(refname)', `--points-at=${head}`, 'refs/heads/gh-readonly-queue'];
  const ref = (await git(repository.directory, points)).text.trim();
  const [, baseRef, base] = /gh-readonly-queue\/(.+)\/pr-\d+-([0-9a-f]+)$/.exec(ref) ?? [];
  if (baseRef === undefined || base === undefined) throw new Error(`no merge group has the head ${head}`);
  await setRef(repository.directory, ref, undefined);
  await tell(world, repository, 'destroyed', { ref, head, baseRef, base }, { reason });
}

type Group = { ref: string; head: string; baseRef: string; base: string };

async function tell(world: World, repository: Repository, action: string, group: Group, more: shapes.Json = {}): Promise<void> {
  const { text } = await git(repository.directory, ['show', '--no-patch', '--format=%T%x00%aI%x00%B', group.head]);
  const [tree_id = '', timestamp = '', message = ''] = text.split('\0');
  const head_commit = { id: group.head, tree_id, message: message.trim(), timestamp, author: GITHUB, committer: GITHUB };
  const merge_group = {
    head_sha: group.head,
    head_ref: group.ref,
    base_ref: `refs/heads/${group.baseRef}`,
    base_sha: group.base,
    head_commit,
  };
  world.webhooks.send({ event: 'merge_group', action, repository, sender: repository.owner, fields: { merge_group, ...more } });
}
