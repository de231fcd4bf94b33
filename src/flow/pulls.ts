/** Which open pull requests lack their check, in as few requests as possible. */
import type { PullRequest, Repository } from '../github.ts';
import type { KnownHead, KnownPulls } from './memory.ts';

/** `waiting`: numbers whose newest head has no completed check, newest first. `pulls`: what to remember once they have Jobs. */
export async function waitingPulls(
  repository: Repository,
  known: KnownPulls,
  checkName: string,
): Promise<{ waiting: number[]; pulls: KnownPulls }> {
  const newest = await repository.pullRequestsByUpdate(known.etag);
  const heads = newest.unchanged ? { ...known.heads } : merged(known, newest.pulls, await restOf(repository, known, newest));
  const waiting: number[] = [];
  for (const [number, head] of Object.entries(heads)) {
    if (head.checked) continue;
    // The App may have been quicker.
    const check = await repository.findCheck(checkName, head.head);
    if (check?.status === 'completed') heads[number] = { ...head, checked: true };
    else waiting.push(Number(number));
  }
  const etag = newest.unchanged ? known.etag : newest.etag;
  return { waiting: waiting.sort((a, b) => b - a), pulls: { ...(etag ? { etag } : {}), heads } };
}

/** The first page tells everything that moved since, unless all of it moved; a first look needs every open one. */
async function restOf(
  repository: Repository,
  known: KnownPulls,
  newest: { pulls: PullRequest[]; more: boolean },
): Promise<PullRequest[] | undefined> {
  if (!newest.more) return undefined;
  const isOverlapping =
    known.etag !== undefined && newest.pulls.some((pull) => pull.state === 'open' && known.heads[pull.number]?.head === pull.headSha);
  return isOverlapping ? undefined : repository.openPullRequests();
}

function merged(known: KnownPulls, page: PullRequest[], all: PullRequest[] | undefined): Record<string, KnownHead> {
  const heads: Record<string, KnownHead> = all ? {} : { ...known.heads };
  for (const pull of [...(all ?? []), ...page]) {
    const before = known.heads[pull.number];
    if (pull.state === 'closed') delete heads[pull.number];
    else heads[pull.number] = before?.head === pull.headSha ? before : { head: pull.headSha, checked: false };
  }
  return heads;
}
