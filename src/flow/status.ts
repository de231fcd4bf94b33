/** A Project's status from what a reconcile found: one merge patch, or none when nothing is new. Pure. */
import { type Fault, type Finding, formatLocation, type Retry } from '../error.ts';
import { canonicalJson } from '../object.ts';
import type { Attempt, Condition, Drifted, HistoryEntry, Pending, Project, ProjectStatus, SyncState } from '../project.ts';
import type { Health } from '../sync/health.ts';

/** SPEC 5: drift is looked for, and was found or not. */
const DRIFT_SCANNED = 'DriftScanned';
const MOST_HISTORY = 10;
const MOST_DRIFT = 20;
const MOST_DRIFT_TEXT = 6000;
const MOST_MESSAGE = 1000;
const MOST_IN_HISTORY = 200;
const noDrift = { count: 0, objects: [] };
/** SPEC 3: 5 s, factor 2, at most 3 min, five times; afterwards the interval decides. */
const RETRY_LIMIT = 5;

/** What a reconcile ended with. `reason` is a condition's reason: one CamelCase word. */
export type Outcome = {
  sync: SyncState;
  reason: string;
  message: string;
  revision?: string;
  digest?: string;
  health?: Health;
  objects?: number;
  drift?: Drifted[];
  pending?: Pending[];
  history?: HistoryEntry;
  /** `wrote`: the cluster may hold a part of what was wanted. */
  failed?: { retry: Retry; wrote?: boolean };
};

export function statusOf(project: Project, outcome: Outcome, now: Date): ProjectStatus {
  const before = project.status;
  const health = outcome.health ?? before.health ?? 'Unknown';
  const isReady = outcome.sync === 'Synced' && health === 'Healthy';
  // While it works, what was found before is still what is known.
  const found =
    outcome.sync === 'Syncing'
      ? { drift: before.drift ?? noDrift, pending: before.pending ?? [] }
      : { drift: driftShown(outcome.drift ?? []), pending: outcome.pending };
  const status: ProjectStatus = {
    ...before,
    observedGeneration: project.generation,
    sync: outcome.sync,
    health,
    message: shortened(outcome.message),
    attempt: attemptOf(project, outcome, now),
    drift: found.drift,
    pending: found.pending ?? [],
  };
  if (outcome.objects !== undefined) status.objects = outcome.objects;
  // A digest is named only by who has brought the cluster to it, be it in part.
  if (outcome.digest && outcome.revision)
    Object.assign(status, {
      revision: outcome.revision,
      shortRevision: outcome.revision.slice(0, 7),
      digest: outcome.digest,
      appliedGeneration: project.generation,
    });
  if (outcome.history)
    status.history = [
      { ...outcome.history, message: shortened(outcome.history.message, MOST_IN_HISTORY) },
      ...(before.history ?? []),
    ].slice(0, MOST_HISTORY);
  const isWorking = outcome.sync === 'Syncing' || (outcome.sync === 'Synced' && health === 'Progressing');
  status.conditions = conditionsOf(project, now, [
    ['Ready', isReady, isReady ? 'Healthy' : outcome.sync === 'Synced' ? health : outcome.reason, outcome.message],
    ['Reconciling', isWorking, isWorking ? outcome.reason : 'Done', isWorking ? outcome.message : ''],
    ['Stalled', outcome.failed?.retry === 'never', outcome.failed ? outcome.reason : 'No', outcome.failed ? outcome.message : ''],
  ]);
  return status;
}

/** The true number, and as many as there is room for: a status is sent to everyone who watches. */
function driftShown(all: Drifted[]): { count: number; objects: Drifted[] } {
  let room = MOST_DRIFT_TEXT;
  const objects = all.slice(0, MOST_DRIFT).filter((one) => {
    room -= JSON.stringify(one).length;
    return room >= 0;
  });
  return { count: all.length, objects };
}

/** What a look from outside of a sync found. `fault`: the cluster could not be looked at, so drift would go unseen. */
export type Seen = { health: Health } | { fault: Fault };

/** The status with what a look has found and nothing else; undefined while there is none to add to. */
export function withSeen(project: Project, seen: Seen, now: Date): ProjectStatus | undefined {
  const { status } = project;
  if (status.sync === undefined) return undefined;
  const health = 'fault' in seen ? (status.health ?? 'Unknown') : seen.health;
  const scanned: Wanted =
    'fault' in seen ? [DRIFT_SCANNED, false, 'DriftNotRunning', wordsOf([seen.fault])] : [DRIFT_SCANNED, true, 'Scanned', ''];
  const isReady = status.sync === 'Synced' && health === 'Healthy';
  const reason = status.sync === 'Synced' ? health : (status.conditions?.find((one) => one.type === 'Ready')?.reason ?? status.sync);
  const ready: Wanted = ['Ready', isReady, isReady ? 'Healthy' : reason, status.message ?? ''];
  const conditions = conditionsOf(project, now, health === status.health ? [scanned] : [ready, scanned]);
  return { ...status, health, conditions };
}

/** A JSON merge patch (RFC 7386) from one status to the other: what is gone is null. Undefined when nothing changes. */
export function statusPatch(before: ProjectStatus, after: ProjectStatus): object | undefined {
  return canonicalJson(before) === canonicalJson(after) ? undefined : { status: mergePatch(before, after) };
}

function mergePatch(before: object, after: object): object {
  const patch: Record<string, unknown> = {};
  const [old, wanted] = [before as Record<string, unknown>, after as Record<string, unknown>];
  for (const key of new Set([...Object.keys(old), ...Object.keys(wanted)])) {
    const [from, to] = [old[key], wanted[key]];
    if (canonicalJson(from ?? null) === canonicalJson(to ?? null)) continue;
    patch[key] = isMap(from) && isMap(to) ? mergePatch(from, to) : (to ?? null);
  }
  return patch;
}

const isMap = (value: unknown): value is object => typeof value === 'object' && value !== null && !Array.isArray(value);

function attemptOf(project: Project, outcome: Outcome, now: Date): Attempt {
  const before = project.status.attempt;
  const revision = outcome.revision ?? before?.revision ?? '';
  const isSame = before?.revision === revision && before.generation === project.generation;
  // An attempt that begins is not a success: what it counts on stays.
  if (outcome.sync === 'Syncing')
    return {
      revision,
      generation: project.generation,
      count: isSame ? before.count : 0,
      at: now.toISOString(),
      failed: isSame && before.failed,
      unfinished: true,
    };
  const failed = outcome.failed !== undefined;
  const count = failed && isSame && before.failed ? before.count + 1 : 1;
  const attempt: Attempt = { revision, generation: project.generation, count, at: now.toISOString(), failed };
  if (!failed) return attempt;
  // Until one gets through, the cluster may hold a part of an attempt, whatever ended the later ones.
  if (outcome.failed?.wrote || before?.unfinished) attempt.unfinished = true;
  const wait =
    outcome.failed?.retry === 'later' && count <= RETRY_LIMIT ? Math.min(5 * 2 ** (count - 1), 180) : project.policy.intervalSeconds;
  return { ...attempt, notBefore: new Date(now.getTime() + wait * 1000).toISOString() };
}

type Wanted = [type: string, isTrue: boolean, reason: string, message: string];

/** Those that are not spoken of stay as they are. */
function conditionsOf(project: Project, now: Date, wanted: Wanted[]): Condition[] {
  const before = project.status.conditions ?? [];
  const said = wanted.map(([type, isTrue, reason, message]): Condition => {
    const status = isTrue ? 'True' : 'False';
    const known = before.find((one) => one.type === type);
    const lastTransitionTime = known?.status === status ? known.lastTransitionTime : now.toISOString();
    return { type, status, reason, message: shortened(message), lastTransitionTime, observedGeneration: project.generation };
  });
  return [...before.filter((one) => !said.some((other) => other.type === one.type)), ...said].sort((a, b) => (a.type < b.type ? -1 : 1));
}

/** Why a reconcile did not get through, as its outcome. */
export function failure(reason: string, findings: (Fault | Finding)[], retry: 'never' | 'later', revision?: string): Outcome {
  return { sync: 'Failed', reason: camel(reason), message: wordsOf(findings), failed: { retry }, ...(revision ? { revision } : {}) };
}

/** `KIND_NOT_SERVED` -> `KindNotServed`, as conditions write reasons. */
export function camel(code: string): string {
  return code.toLowerCase().replace(/(^|_)([a-z])/g, (_, __, letter: string) => letter.toUpperCase());
}

/** The first findings in one line each; the rest are counted. */
export function wordsOf(findings: (Fault | Finding)[], before = ''): string {
  const [shown, hidden] = [findings.slice(0, 5), findings.length - 5];
  const lines = shown.map((one) => {
    const place = one.at?.file
      ? ` (${formatLocation({ ...(one.at.file ? { file: one.at.file } : {}), ...(one.at.line ? { line: one.at.line } : {}) })})`
      : '';
    return `${one.code}: ${one.message}${place}${one.hint ? `; ${one.hint}` : ''}`;
  });
  if (hidden > 0) lines.push(`and ${hidden} more`);
  return [before, ...lines].filter(Boolean).join('\n');
}

function shortened(message: string, most = MOST_MESSAGE): string {
  return message.length <= most ? message : `${message.slice(0, most - 1)}…`;
}

/** `47 s`, `3 min 5 s`. */
export function durationText(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
