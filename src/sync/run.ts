/**
 * Carries a plan out: the inventory is widened, then objects are applied rank by rank and pruned last.
 * The inventory shrinks only on confirmed deletes; a kill at any line leaves a state that the next run completes.
 */
import type { Cluster } from '../cluster.ts';
import { type Finding, faultOf, finding, isPlumblineError, PlumblineError } from '../error.ts';
import { type KubeObject, nameOf, refOf } from '../object.ts';
import { fieldManagerOf, type Project } from '../project.ts';
import { type DryRun, refused, type Tried } from './dry-run.ts';
import { each } from './each.ts';
import { healthOf } from './health.ts';
import type { InventoryEntry } from './inventory.ts';
import { ownedFields } from './managed-fields.ts';
import { type Apply, notOurs, type Plan, type Prune, pruneAnnotation, rankOf } from './plan.ts';

export type RunDoors = {
  /** Acting as the project's account. */
  account: Cluster;
  /** Makes `entries` the stored inventory. */
  store(entries: Map<string, InventoryEntry>): Promise<void>;
  /** Throws LEASE_LOST or RUNNER_STOPPED when this process may not write any more. */
  mayWrite(): void;
  now(): Date;
  pause(milliseconds: number): Promise<void>;
};

export type RunResult = { applied: number; pruned: number; failed: Finding[]; entries: Map<string, InventoryEntry> };

/** Not about one object: nothing more may be, or can be, written. */
const endsRun = new Set<string>(['LEASE_LOST', 'RUNNER_STOPPED', 'CLUSTER_UNREACHABLE']);
const CONCURRENT = 8;
const SERVED_WITHIN_MS = 30_000;
const PRUNE_TRIES = 5;

/**
 * @param entries the inventory as it stands; what is applied is added before, what is deleted is taken out after.
 * @returns what happened, object by object; `failed` is empty when everything the plan names was done.
 */
export async function runPlan(
  plan: Plan,
  tried: DryRun,
  project: Project,
  entries: Map<string, InventoryEntry>,
  doors: RunDoors,
): Promise<RunResult> {
  const result: RunResult = { applied: 0, pruned: 0, failed: [], entries: new Map(entries) };
  const known = new Map(tried.tried.map((one) => [one.apply.desired.id, one]));
  const steps = plan.applies.filter((one) => one.action !== 'skip' && known.get(one.desired.id)?.changes !== false);
  for (const { apply, live, changes } of tried.tried) {
    if (!changes && live) result.entries.set(apply.desired.id, entryOf(live, apply.entry, apply.desired, project, doors.now()));
  }
  for (const apply of steps) result.entries.set(apply.desired.id, announced(apply, result.entries.get(apply.desired.id), doors.now()));
  for (const { entry, live } of [...plan.kept, ...plan.leaving, ...(plan.held?.prunes ?? [])]) noteLeft(entry, live, result);
  await doors.store(result.entries);
  try {
    await carryOut(plan, steps, known, project, result, doors);
  } catch (error) {
    // Told to stop, we still may write down how far we came.
    if (isPlumblineError(error) && error.code === 'RUNNER_STOPPED') await doors.store(result.entries);
    throw error;
  }
  await doors.store(result.entries);
  return result;
}

/**
 * What is about to be made has no uid yet, what is taken over has that of the object it is: whoever is killed now leaves an entry that
 * the next run completes, and that names no object which does not carry our label.
 */
function announced({ desired, live }: Apply, known: InventoryEntry | undefined, now: Date): InventoryEntry {
  const { id, object } = desired;
  const uid = live?.metadata.uid;
  if (known && uid !== undefined && known.uid === uid) return { ...known, apiVersion: object.apiVersion };
  return { id, apiVersion: object.apiVersion, since: now.toISOString(), ...(uid ? { uid } : {}) };
}

/** Left Git and still there: that version was looked into, so that it is no news to the next look. */
function noteLeft(entry: InventoryEntry, live: KubeObject, result: RunResult): void {
  const { resourceVersion } = live.metadata;
  if (resourceVersion && resourceVersion !== entry.resourceVersion) result.entries.set(entry.id, { ...entry, drifted: resourceVersion });
}

async function carryOut(
  plan: Plan,
  steps: Apply[],
  known: Map<string, Tried>,
  project: Project,
  result: RunResult,
  doors: RunDoors,
): Promise<void> {
  for (const rank of [...new Set(steps.map((one) => rankOf(one.desired.object.kind)))].sort((a, b) => a - b)) {
    const group = steps.filter((one) => rankOf(one.desired.object.kind) === rank);
    await each(group, CONCURRENT, (apply) => applyOne(apply, known.get(apply.desired.id)?.force ?? false, project, result, doors));
    // What comes later may need what this rank failed to bring.
    if (result.failed.length > 0) break;
    await untilServed(group, doors);
  }
  if (result.failed.length === 0) {
    for (const { entry } of plan.forget) result.entries.delete(entry.id);
    for (const prune of plan.prunes) await pruneOne(prune, project, result, doors);
    for (const { live } of plan.leaving) result.failed.push(leaving(live));
  }
}

async function applyOne(apply: Apply, force: boolean, project: Project, result: RunResult, doors: RunDoors): Promise<void> {
  doors.mayWrite();
  const { desired, live } = apply;
  try {
    if (live?.metadata.deletionTimestamp) {
      const held = live.metadata.finalizers ?? [];
      throw new PlumblineError(
        'OBJECT_BEING_DELETED',
        `${nameOf(refOf(live))} is being deleted${held.length ? `, held by ${held.join(', ')}` : ''}`,
        { retry: 'later' },
      );
    }
    // With its uid an apply to an object that was deleted meanwhile is refused instead of making it anew unseen.
    const object = live?.metadata.uid ? withUid(desired.object, live.metadata.uid) : desired.object;
    const applied = (await doors.account.apply(object, { manager: fieldManagerOf(project), force })).object;
    result.entries.set(desired.id, entryOf(applied, result.entries.get(desired.id), desired, project, doors.now()));
    result.applied++;
  } catch (error) {
    if (isPlumblineError(error) && endsRun.has(error.code)) throw error;
    result.failed.push(refused(error, apply));
  }
}

function withUid(object: KubeObject, uid: string): KubeObject {
  return { ...object, metadata: { ...object.metadata, uid } };
}

/** The record of an object as the API server answered an apply, or as it was read after somebody's write that changed nothing of ours. */
export function entryOf(
  live: KubeObject,
  known: InventoryEntry | undefined,
  desired: { id: string; hash: string },
  project: Project,
  now: Date,
): InventoryEntry {
  const fields = ownedFields(live, fieldManagerOf(project));
  const { uid, resourceVersion } = live.metadata;
  return {
    id: desired.id,
    apiVersion: live.apiVersion,
    since: known?.since ?? now.toISOString(),
    ...(uid ? { uid } : {}),
    ...(resourceVersion ? { resourceVersion } : {}),
    desired: desired.hash,
    owned: fields.paths,
    // Not even a hash of a Secret's values is kept: it could be guessed offline.
    ...(live.kind === 'Secret' ? {} : { values: fields.values }),
    health: healthOf(live).health,
  };
}

/** A kind that was just brought is served a moment later; what comes next may be of that kind. */
async function untilServed(group: Apply[], doors: RunDoors): Promise<void> {
  for (const { desired } of group.filter((one) => one.desired.object.kind === 'CustomResourceDefinition')) {
    const spec = desired.object['spec'] as { group: string; names: { kind: string }; versions: { name: string; served: boolean }[] };
    for (const version of spec.versions.filter((one) => one.served)) {
      const kind = { apiVersion: `${spec.group}/${version.name}`, kind: spec.names.kind };
      const deadline = doors.now().getTime() + SERVED_WITHIN_MS;
      while (!(await doors.account.resource(kind))) {
        if (doors.now().getTime() > deadline)
          throw new PlumblineError('KIND_NOT_SERVED', `${kind.kind} of ${kind.apiVersion} is still not served`, { retry: 'later' });
        await doors.pause(200);
      }
    }
  }
}

async function pruneOne(prune: Prune, project: Project, result: RunResult, doors: RunDoors): Promise<void> {
  const { entry } = prune;
  const { uid } = prune.live.metadata;
  let live = prune.live;
  try {
    for (let tries = 1; ; tries++) {
      doors.mayWrite();
      const accepted = await deleted(live, doors);
      const still = await doors.account.read(refOf(live));
      if (!still || still.metadata.uid !== uid) break;
      if (accepted) {
        result.entries.set(entry.id, { ...entry, drifted: still.metadata.resourceVersion ?? '' });
        result.failed.push(leaving(still));
        return;
      }
      // Somebody wrote to it since it was read: it goes only if it is still ours to delete.
      const isKept = still.metadata.annotations?.[pruneAnnotation] === 'disabled' || notOurs(entry, still, project) !== undefined;
      if (isKept || tries === PRUNE_TRIES) {
        throw new PlumblineError('API_CONFLICT', `${nameOf(refOf(still))} changed while it was to be deleted, and stays`, {
          retry: 'later',
        });
      }
      live = still;
    }
    result.entries.delete(entry.id);
    result.pruned++;
  } catch (error) {
    if (isPlumblineError(error) && endsRun.has(error.code)) throw error;
    result.failed.push({ ...faultOf(error), severity: 'error' });
  }
}

/** Only this very object in this very version; false when it is there in another one. */
async function deleted(live: KubeObject, doors: RunDoors): Promise<boolean> {
  const { uid = '', resourceVersion } = live.metadata;
  try {
    await doors.account.delete(refOf(live), { uid, ...(resourceVersion ? { resourceVersion } : {}) });
    return true;
  } catch (error) {
    if (isPlumblineError(error) && error.code === 'API_CONFLICT') return false;
    throw error;
  }
}

function leaving(live: KubeObject): Finding {
  const held = (live.metadata.finalizers ?? []).join(', ');
  return finding('warning', 'OBJECT_BEING_DELETED', `${nameOf(refOf(live))} is being deleted${held ? `, held by ${held}` : ''}`, {
    at: { object: nameOf(refOf(live)) },
  });
}
