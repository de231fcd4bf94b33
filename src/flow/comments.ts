/**
 * Which pull requests a person has asked to be looked at again, in one conditional request: a command in a comment is read by the tick
 * as the App reads it from a webhook, so nothing depends on the App being there.
 */
import { readCommand } from '../commands.ts';
import type { Comment, Repository } from '../github.ts';
import type { KnownComments } from './memory.ts';

/** What was said longer ago than this, while nobody listened, is not acted on any more (SPEC 8). */
const LATEST_MS = 15 * 60_000;

/** `pulls`: numbers with a new command. `known`: what to remember once they have Jobs. */
export async function askedPulls(
  repository: Repository,
  known: KnownComments,
  now: Date,
): Promise<{ pulls: number[]; known: KnownComments }> {
  const page = await repository.commentsByUpdate(known.etag);
  if (page.unchanged) return { pulls: [], known };
  const isNew = (comment: Comment) =>
    known.newest === undefined ? now.getTime() - Date.parse(comment.createdAt) < LATEST_MS : comment.id > known.newest;
  const asked = page.comments.filter((comment) => isNew(comment) && isCommand(comment));
  const newest = Math.max(known.newest ?? 0, ...page.comments.map((comment) => comment.id));
  return { pulls: [...new Set(asked.map((comment) => comment.issueNumber))], known: { etag: page.etag, newest } };
}

/** Of a person, on a pull request, and as it was written: whoever may edit comments must not speak for others. */
function isCommand(comment: Comment): boolean {
  const isPersons = !comment.authorIsBot && comment.appId === undefined;
  return comment.onPullRequest && isPersons && comment.createdAt === comment.updatedAt && readCommand(comment.body) !== undefined;
}
