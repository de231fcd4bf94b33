/** Which heads lack their check, those of open pull requests and of a merge queue, in as few requests as possible. */
import type { PullRequest, Repository } from '../github.ts';
import { mergeGroupOf } from '../work.ts';
import type { KnownHead, KnownHeads } from './memory.ts';

/** `pulls`: numbers, newest first; `groups`: refs of a merge queue. `known`: what to remember once they have their Jobs. */
export type Waiting = { pulls: number[]; groups: string[]; known: KnownHeads };

export async function waitingHeads(
  repository: Repository,
  refs: Map<string, string>,
  known: KnownHeads,
  checkName: string,
): Promise<Waiting> {
  const newest = await repository.pullRequestsByUpdate(known.etag);
  const pulls = newest.unchanged ? { ...known.pulls } : merged(known, newest.pulls, await restOf(repository, known, newest));
  const groups = Object.fromEntries(
    [...refs].filter(([ref]) => mergeGroupOf(ref)).map(([ref, head]) => [ref, headOf(known.groups[ref], head, ref)]),
  );
  const lacks = async ([id, head]: [string, KnownHead], heads: Record<string, KnownHead>) => {
    // A check belongs to a commit: to merge the same head elsewhere, too, or no longer, needs a new look at it.
    const bases = basesOf(known.pulls, head.head);
    if (bases !== '' && bases !== basesOf(pulls, head.head)) return true;
    // Else the App may have been quicker.
    if (head.checked) return false;
    const check = await repository.findCheck(checkName, head.head);
    if (check?.status !== 'completed') return true;
    heads[id] = { ...head, checked: true };
    return false;
  };
  const waiting: Waiting = { pulls: [], groups: [], known: { pulls, groups } };
  for (const one of Object.entries(pulls)) if (await lacks(one, pulls)) waiting.pulls.push(Number(one[0]));
  for (const one of Object.entries(groups)) if (await lacks(one, groups)) waiting.groups.push(one[0]);
  waiting.pulls.sort((a, b) => b - a);
  const etag = newest.unchanged ? known.etag : newest.etag;
  if (etag) waiting.known.etag = etag;
  const latest = newest.unchanged ? known.newest : (newest.pulls[0]?.updatedAt ?? known.newest);
  if (latest) waiting.known.newest = latest;
  return waiting;
}

/** The first page tells everything that moved since, unless it is too short for that; a first look needs every open one. */
async function restOf(
  repository: Repository,
  known: KnownHeads,
  newest: { pulls: PullRequest[]; more: boolean },
): Promise<PullRequest[] | undefined> {
  const { newest: seen } = known;
  const reachesBack = seen !== undefined && newest.pulls.some((pull) => pull.updatedAt <= seen);
  return newest.more && !reachesBack ? repository.openPullRequests() : undefined;
}

function merged(known: KnownHeads, page: PullRequest[], all: PullRequest[] | undefined): Record<string, KnownHead> {
  const heads: Record<string, KnownHead> = all ? {} : { ...known.pulls };
  for (const pull of [...(all ?? []), ...page]) {
    if (pull.state === 'closed') delete heads[pull.number];
    else heads[pull.number] = headOf(known.pulls[pull.number], pull.headSha, pull.baseRef);
  }
  return heads;
}

/** The branches that open pull requests want to merge a head into. */
function basesOf(heads: Record<string, KnownHead>, sha: string): string {
  const bases = Object.values(heads).flatMap(({ head, base }) => (head === sha ? [base] : []));
  return [...new Set(bases)].sort().join(' ');
}

function headOf(before: KnownHead | undefined, head: string, base: string): KnownHead {
  return before?.head === head && before.base === base ? before : { head, base, checked: false };
}
