/**
 * One project's journey: from its tracked revision to a cluster that holds exactly that, or a status that says why not.
 *
 * Whatever brought us here (a push, a tick, a person, drift) says only "look now"; everything is read here, and what is already as it
 * should be is left alone. An error before the first write leaves the cluster untouched.
 */
import type { Cluster } from '../cluster.ts';
import { type Finding, faultOf, PlumblineError } from '../error.ts';
import { nameOf, refOf } from '../object.ts';
import { approveAnnotation, type Project, projectKind, projectOf, syncAnnotation } from '../project.ts';
import { desiredObjects } from '../sync/desired.ts';
import { driftOf } from '../sync/drift.ts';
import { type DryRun, dryRun } from '../sync/dry-run.ts';
import { worstHealth } from '../sync/health.ts';
import { goneMark, type Inventory, type InventoryEntry } from '../sync/inventory.ts';
import { readLive, scopesOf } from '../sync/live.ts';
import { type Plan, planSync, summaryOf } from '../sync/plan.ts';
import { entryOf, type RunResult, runPlan } from '../sync/run.ts';
import { loadInventory, storeInventory } from '../sync/store.ts';
import { keyOfWork } from '../work.ts';
import { dueReason, isApproved } from './due.ts';
import { acquireLease, type Clock, type Held } from './lease.ts';
import { projectAccount, readSource, type Source, type SourceDoors, trackedRevision } from './source.ts';
import { camel, durationText, failure, type Outcome, statusOf, statusPatch, wordsOf } from './status.ts';

export type ReconcileDoors = SourceDoors & {
  /** As the runner itself. */
  cluster: Cluster;
  clock: Clock;
  /** Names this process in Leases. */
  holder: string;
  /** Aborted: finish the object in hand, record, stop. */
  signal: AbortSignal;
};

type State = { project: Project; trigger: string; startedAt: Date };

/** Found by a tick: the history says what it found. */
export const tickTrigger = 'tick';
const LEASE_WAIT_MS = 60_000;
/** Newer commits that arrive meanwhile are taken along; whoever pushes faster than that gets the next tick. */
const MOST_ROUNDS = 5;

/** Brings one project up to date; `trigger` says why, for the history. Everything that goes wrong ends in its status. */
export async function reconcile(
  ref: { namespace: string; name: string },
  trigger: string,
  doors: ReconcileDoors,
): Promise<Outcome | undefined> {
  const lease = await acquireLease(doors.cluster, keyOfWork({ kind: 'project', ...ref }), doors.holder, doors.clock, LEASE_WAIT_MS);
  try {
    let last: Outcome | undefined;
    for (let round = 1; round <= MOST_ROUNDS; round++) {
      const project = await readProject(ref, doors);
      if (!project || project.suspend || project.isDeleted) return last;
      const outcome = await attempt({ project, trigger, startedAt: doors.clock.now() }, doors, lease);
      // Who is no longer the only writer may not speak for the project either.
      lease.mayWrite();
      await record(project, outcome, doors);
      if (outcome.failed?.retry !== 'later') await answered(project, doors);
      last = outcome;
      // Inputs are read once more: a commit that came while we worked is ours, its own Job may have found us at it.
      if (outcome.failed || (await isCurrent(outcome, project, doors))) return last;
    }
    return last;
  } finally {
    await lease.release();
  }
}

async function readProject(ref: { namespace: string; name: string }, doors: ReconcileDoors): Promise<Project | undefined> {
  const object = await doors.cluster.read({ ...projectKind, ...ref });
  return object && projectOf(object);
}

async function isCurrent(outcome: Outcome, project: Project, doors: ReconcileDoors): Promise<boolean> {
  try {
    return trackedRevision(project, await doors.refs(await doors.remoteOf(project))) === outcome.revision;
  } catch {
    // The next tick asks again; what was done is done and recorded.
    return true;
  }
}

async function attempt(state: State, doors: ReconcileDoors, lease: Held): Promise<Outcome> {
  let revision: string | undefined;
  try {
    const { project } = state;
    if (project.destination !== project.namespace && project.namespace !== 'plumbline-system') {
      throw new PlumblineError('PROJECT_DESTINATION', `a Project in ${project.namespace} may not deploy to ${project.destination}`, {
        hint: 'move it there, or to plumbline-system',
      });
    }
    const account = await projectAccount(project, doors.cluster);
    const remote = await doors.remoteOf(project);
    revision = trackedRevision(project, await doors.refs(remote));
    if (state.trigger === tickTrigger) state.trigger = dueReason(project, revision, doors.clock.now()) ?? 'drift';
    const source = await readSource(project, remote, revision, doors);
    return await sync(state, source, account, doors, lease);
  } catch (error) {
    const fault = faultOf(error);
    if (fault.code === 'LEASE_LOST') throw error;
    return failure(fault.code, [fault], fault.retry, revision);
  }
}

async function sync(state: State, source: Source, account: Cluster, doors: ReconcileDoors, lease: Held): Promise<Outcome> {
  const { project } = state;
  const errors = (findings: Finding[]) => findings.filter((one) => one.severity === 'error');
  const refuse = (findings: Finding[]) => failure(findings[0]?.code ?? 'INTERNAL', findings, 'never', source.revision);
  // A folder that is there and holds nothing may be meant so; what it held before is asked for in the plan.
  const unread = errors(source.rendered.findings).filter((one) => !(one.code === 'NO_MANIFESTS' && project.policy.allowEmpty));
  if (unread.length > 0) return refuse(unread);
  const scopes = await scopesOf(source.rendered.objects, account);
  const { desired, findings } = desiredObjects(source.rendered.objects, project, (object) =>
    scopes.get(`${object.apiVersion} ${object.kind}`),
  );
  if (errors(findings).length > 0) return refuse(errors(findings));
  const inventory = await loadInventory(doors.cluster, project);
  const live = await readLive(desired, inventory, account);
  const plan = planSync({ project, desired, inventory, live });
  if (errors(plan.findings).length > 0) return refuse(errors(plan.findings));
  const tried = await dryRun(plan, project, account);
  if (tried.refused.length > 0) {
    const outcome = refuse(tried.refused);
    return { ...outcome, message: `nothing was applied\n${outcome.message}` };
  }
  const work: Work = { state, source, inventory, plan, tried };
  const drift = driftOf(tried.tried, project);
  const found = isNewWork(project, source.revision, plan);
  if (!found.due && drift.length > 0 && !project.policy.selfHeal) return reportDrift(work, drift, doors, lease);
  if (found.due && project.policy.mode === 'manual' && !found.asked && !isQuiet(work)) return waiting(work, drift);
  return carryOut(work, account, doors, lease);
}

type Work = { state: State; source: Source; inventory: Inventory; plan: Plan; tried: DryRun };

/** Everything is as Git has it already; only the record may have to move on. */
function isQuiet({ plan, tried }: Work): boolean {
  return tried.unknown.length === 0 && !tried.tried.some((one) => one.changes) && plan.prunes.length === 0;
}

/**
 * What was not brought to the cluster yet: a revision, a spec, the rest of an attempt that had begun to write; or a person's word. After
 * anything else, an outage say, what differs is drift, and not ours to take back unless selfHeal says so.
 */
function isNewWork(project: Project, revision: string, plan: Plan): { due: boolean; asked: boolean } {
  const { attempt: before, sync: state, revision: applied, appliedGeneration } = project.status;
  const asked = project.annotations[syncAnnotation] !== undefined || (isApproved(project) && plan.held === undefined);
  const isApplied = applied === revision && appliedGeneration === project.generation && !before?.unfinished && state !== 'Syncing';
  return { due: asked || !isApplied, asked };
}

async function carryOut(work: Work, account: Cluster, doors: ReconcileDoors, lease: Held): Promise<Outcome> {
  const { state, source, plan, inventory, tried } = work;
  const { project, startedAt } = state;
  const quiet = isQuiet(work);
  lease.mayWrite();
  if (!quiet) await record(project, { sync: 'Syncing', reason: 'Syncing', message: summaryOf(plan), revision: source.revision }, doors);
  let stored = inventory;
  const result = await runPlan(plan, tried, project, inventory.entries, {
    account,
    mayWrite() {
      lease.mayWrite();
      if (doors.signal.aborted)
        throw new PlumblineError('RUNNER_STOPPED', 'the runner was told to stop before everything was applied', { retry: 'later' });
    },
    now: doors.clock.now,
    pause: doors.clock.pause,
    async store(entries) {
      lease.mayWrite();
      stored = await storeInventory(doors.cluster, project, stored, entries);
    },
  });
  const history = {
    revision: source.revision,
    digest: source.rendered.digest,
    author: source.author,
    trigger: state.trigger,
    startedAt: startedAt.toISOString(),
    duration: durationText(doors.clock.now().getTime() - startedAt.getTime()),
  };
  const base = {
    revision: source.revision,
    digest: source.rendered.digest,
    objects: result.entries.size,
    health: worstHealth([...result.entries.values()].map((entry) => entry.health ?? 'Unknown')),
  };
  const done = `${result.applied} applied, ${result.pruned} deleted`;
  const errors = result.failed.filter((one) => one.severity === 'error');
  if (errors.length > 0) {
    const message = wordsOf(errors, `${done}, ${errors.length} failed`);
    return {
      ...base,
      sync: 'Failed',
      reason: camel(errors[0]?.code ?? 'INTERNAL'),
      message,
      failed: { retry: 'later', wrote: true },
      history: { ...history, result: 'Failed', message },
    };
  }
  const isNews = !quiet || project.status.digest !== source.rendered.digest;
  const entry = isNews ? { history: { ...history, result: 'Synced', message: done } } : {};
  return { ...base, ...entry, ...settled(work, result) };
}

/** Everything was applied; what Git no longer has may still be there. */
function settled({ plan, state, tried }: Work, result: RunResult): Pick<Outcome, 'sync' | 'reason' | 'message' | 'pending'> {
  const { project } = state;
  const warnings = [...plan.findings, ...tried.warnings, ...result.failed];
  if (plan.held) {
    const { key, reason } = plan.held;
    const line = `kubectl annotate project ${project.name} -n ${project.namespace} --overwrite ${approveAnnotation}=delete-${key}`;
    const since = project.status.pending?.find((one) => one.key === key)?.since ?? state.startedAt.toISOString();
    return {
      sync: 'OutOfSync',
      reason: 'DeletionHeld',
      message: wordsOf(warnings, `${reason}; to allow it: ${line}`),
      pending: [{ kind: 'delete', key, since, line }],
    };
  }
  if (plan.kept.length > 0) {
    const names = plan.kept.map((one) => nameOf(refOf(one.live)));
    const shown = `${names.slice(0, 10).join(', ')}${names.length > 10 ? ` and ${names.length - 10} more` : ''}`;
    const why = project.policy.prune ? 'kept by plumbline.dev/prune: disabled or an incomplete inventory' : 'prune is off';
    return { sync: 'OutOfSync', reason: 'PruneDisabled', message: wordsOf(warnings, `left Git and still there (${why}): ${shown}`) };
  }
  const leaving = result.failed.filter((one) => one.code === 'OBJECT_BEING_DELETED');
  if (leaving.length > 0) return { sync: 'OutOfSync', reason: 'DeletionPending', message: wordsOf(warnings, 'left Git and not gone yet') };
  return { sync: 'Synced', reason: 'Synced', message: wordsOf(warnings, `${result.entries.size} objects are as Git has them`) };
}

function waiting({ state, source, plan }: Work, drift: Outcome['drift'] = []): Outcome {
  const { namespace, name } = state.project;
  const message = `${summaryOf(plan)}; to sync: kubectl annotate project ${name} -n ${namespace} --overwrite ${syncAnnotation}=now`;
  return { sync: 'OutOfSync', reason: 'WaitingForSync', message, revision: source.revision, drift };
}

/** Drift is seen and left: the record says which version was looked into, so that the next look is cheap again. */
async function reportDrift(
  { state, source, inventory, tried }: Work,
  drift: ReturnType<typeof driftOf>,
  doors: ReconcileDoors,
  lease: Held,
): Promise<Outcome> {
  const { project } = state;
  const entries = new Map<string, InventoryEntry>(inventory.entries);
  for (const { apply, live, changes } of tried.tried) {
    const { entry, desired } = apply;
    if (!entry) continue;
    // Kept as it was, so that what we held is still known; only which version was looked into is noted.
    if (changes) entries.set(entry.id, { ...entry, drifted: live?.metadata.resourceVersion ?? goneMark });
    else if (live) entries.set(entry.id, entryOf(live, entry, desired, project, state.startedAt));
  }
  lease.mayWrite();
  await storeInventory(doors.cluster, project, inventory, entries);
  const words = drift.map((one) => `${one.object}: ${one.fields.join(', ') || one.kind}`);
  const message = `Manual change detected in ${project.name}: ${words.slice(0, 5).join('; ')}${words.length > 5 ? `; and ${words.length - 5} more` : ''}`;
  return {
    sync: 'OutOfSync',
    reason: 'Drifted',
    message,
    revision: source.revision,
    digest: source.rendered.digest,
    drift,
    objects: entries.size,
  };
}

/** What a person asked for is done: the annotations go, so that it is not done again. */
async function answered(project: Project, doors: ReconcileDoors): Promise<void> {
  const asked = [syncAnnotation, approveAnnotation].filter((name) => project.annotations[name] !== undefined);
  if (asked.length === 0) return;
  const annotations = Object.fromEntries(asked.map((name) => [name, null]));
  await doors.cluster.patch({ ...projectKind, namespace: project.namespace, name: project.name }, { metadata: { annotations } });
}

async function record(project: Project, outcome: Outcome, doors: ReconcileDoors): Promise<void> {
  const status = statusOf(project, outcome, doors.clock.now());
  const patch = statusPatch(project.status, status);
  if (!patch) return;
  await doors.cluster.patch({ ...projectKind, namespace: project.namespace, name: project.name }, patch, 'status');
  project.status = status;
}
