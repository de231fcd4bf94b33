/** Whether a project needs a sync, as far as its spec, status and the tracked ref tell. Pure. */
import { approveAnnotation, type Project, syncAnnotation } from '../project.ts';

export const unfinished = 'unfinished sync';
/** What changes without a write (schemas, defaults, admission) is looked for by a dry run of everything. */
const FULL_LOOK_SECONDS = 3600;

/**
 * @param revision what the tracked ref points to now; undefined when there is no such ref any more.
 * @returns why a Job is needed, in words for the history, or undefined.
 */
export function dueReason(project: Project, revision: string | undefined, now: Date): string | undefined {
  const { status, policy, annotations, generation } = project;
  const { attempt } = status;
  if (!attempt) return 'first sync';
  if (annotations[syncAnnotation] !== undefined) return 'asked';
  if (isApproved(project)) return 'approved';
  // An interrupted sync: nobody else will finish it. Its Lease keeps a second one out while it still runs.
  if (status.sync === 'Syncing') return unfinished;
  if (attempt.generation !== generation) return 'changed spec';
  const seconds = (now.getTime() - Date.parse(attempt.at)) / 1000;
  const isMoved = revision === undefined ? !attempt.failed : revision !== attempt.revision;
  if (isMoved && (policy.mode !== 'auto' || seconds >= policy.intervalSeconds)) return 'commit';
  if (attempt.failed) return now.getTime() >= Date.parse(attempt.notBefore ?? attempt.at) ? 'retry' : undefined;
  return seconds >= FULL_LOOK_SECONDS ? 'hourly look' : undefined;
}

/** An approval that names what is pending; any other word is not ours to act on. */
export function isApproved(project: Project): boolean {
  const word = project.annotations[approveAnnotation];
  return (project.status.pending ?? []).some((one) => word === `${one.kind}-${one.key}`);
}
