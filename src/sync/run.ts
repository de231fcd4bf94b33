/**
 * Carries a plan out: the inventory is widened, then objects are applied rank by rank and pruned last.
 * The inventory shrinks only on confirmed deletes; a kill at any line leaves a state that the next run completes.
 */
import type { Cluster } from '../cluster.ts';
import { type Finding, faultOf, finding, isPlumblineError, PlumblineError } from '../error.ts';
import { type KubeObject, nameOf, refOf } from '../object.ts';
import { fieldManagerOf, type Project } from '../project.ts';
import { type DryRun, deletePruned, refused, type Tried } from './dry-run.ts';
import { each } from './each.ts';
import { healthOf } from './health.ts';
import type { InventoryEntry } from './inventory.ts';
import { ownedFields } from './managed-fields.ts';
import { type Apply, type Plan, type Prune, rankOf } from './plan.ts';

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
  for (const { desired, action } of steps) {
    // What is about to be made has no uid yet: whoever is killed now leaves an entry that the next run completes.
    const before = action === 'create' ? undefined : result.entries.get(desired.id);
    const since = before?.since ?? doors.now().toISOString();
    result.entries.set(desired.id, { ...before, id: desired.id, apiVersion: desired.object.apiVersion, since });
  }
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
    for (const prune of plan.prunes) await pruneOne(prune, result, doors);
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

async function pruneOne(prune: Prune, result: RunResult, doors: RunDoors): Promise<void> {
  doors.mayWrite();
  try {
    await deletePruned(prune, doors.account, false);
    const still = await doors.account.read(refOf(prune.live));
    if (still && still.metadata.uid === prune.live.metadata.uid) {
      const held = (still.metadata.finalizers ?? []).join(', ') || 'nothing that it names';
      result.failed.push(
        finding('warning', 'OBJECT_BEING_DELETED', `${nameOf(refOf(still))} is being deleted, held by ${held}`, {
          at: { object: nameOf(refOf(still)) },
        }),
      );
      return;
    }
    result.entries.delete(prune.entry.id);
    result.pruned++;
  } catch (error) {
    if (isPlumblineError(error) && endsRun.has(error.code)) throw error;
    result.failed.push({ ...faultOf(error), severity: 'error' });
  }
}
