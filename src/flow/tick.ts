/**
 * One tick: looks at everything and decides, changes nothing itself. What there is to do becomes Jobs, one per project or pull request.
 *
 * An unchanged tick costs one `git ls-remote` and two conditional requests per repository, metadata lists, and no write at all.
 */
import type { Cluster } from '../cluster.ts';
import { type Fault, faultOf, isPlumblineError } from '../error.ts';
import type { GitRemote } from '../git.ts';
import type { GitHub, Repository } from '../github.ts';
import { type Project, projectKind, projectOf } from '../project.ts';
import type { Inventory } from '../sync/inventory.ts';
import { type Look, lookAt } from '../sync/look.ts';
import { loadInventory, storeInventory } from '../sync/store.ts';
import { keyOfWork, type WorkRequest } from '../work.ts';
import { checkNameOf } from './check.ts';
import { askedPulls } from './comments.ts';
import { dueReason, unfinished } from './due.ts';
import { ensureJob } from './ensure-job.ts';
import { waitingHeads } from './heads.ts';
import { forgetRepository, knownRepository } from './known-repository.ts';
import { type Clock, isHeld } from './lease.ts';
import { loadMemory, type Memory, type RepositoryMemory, saveMemory } from './memory.ts';
import { projectAccount, trackedRevision } from './source.ts';
import { type Seen, statusPatch, withSeen } from './status.ts';

export type TickDoors = {
  cluster: Cluster;
  /** Undefined: no App is configured, and only projects with a plain `url` can be looked at. */
  github: GitHub | undefined;
  refs(remote: GitRemote): Promise<Map<string, string>>;
  clock: Clock;
  settings: { cluster: string };
  log(line: Record<string, unknown>): void;
};

/** `faults`: what could not be looked at; the next tick tries again. */
export type TickResult = { projects: number; jobs: string[]; faults: (Fault & { about: string })[] };

type Remote = { refs: Map<string, string>; repository: Repository | undefined };

/** Ends itself before the next one begins. */
const BUDGET_MS = 50_000;

export async function tick(doors: TickDoors): Promise<TickResult> {
  const end = doors.clock.monotonic() + BUDGET_MS;
  const projects = (await doors.cluster.list(projectKind)).map(projectOf).filter((one) => !one.isDeleted);
  const { memory, stored } = await loadMemory(doors.cluster);
  const result: TickResult = { projects: projects.length, jobs: [], faults: [] };
  for (const [source, tracking] of inTurn([...bySource(projects)], doors.clock.now())) {
    if (doors.clock.monotonic() > end) {
      result.faults.push({ about: source, code: 'TICK_TOO_LONG', message: 'there was no time left to look at it in this tick' });
      continue;
    }
    let isRefused = false;
    const remote = await noting(source, result, () =>
      remoteFor(source, memory, doors).catch((thrown: unknown) => {
        isRefused = faultOf(thrown).retry === 'never';
        throw thrown;
      }),
    );
    for (const project of tracking)
      await noting(`${project.namespace}/${project.name}`, result, () => lookAtProject(project, remote ?? { isRefused }, result, doors));
    const { repository, refs } = remote ?? {};
    if (repository && refs) await noting(source, result, () => lookAtHeads(repository, refs, memory.repositories[source], result, doors));
  }
  await saveMemory(doors.cluster, memory, stored);
  return result;
}

/** From another one each minute: when there is no time for all, it is not always the same that wait. */
function inTurn<T>(items: T[], now: Date): T[] {
  const first = items.length === 0 ? 0 : Math.floor(now.getTime() / 60_000) % items.length;
  return [...items.slice(first), ...items.slice(0, first)];
}

/** One fault ends one look, never the tick. */
async function noting<T>(about: string, result: TickResult, look: () => Promise<T>): Promise<T | undefined> {
  try {
    return await look();
  } catch (error) {
    const { retry: _, ...fault } = faultOf(error);
    result.faults.push({ ...fault, about });
    return undefined;
  }
}

/** By repository (as GitHub compares names, without case) or url. */
function bySource(projects: Project[]): Map<string, Project[]> {
  const groups = new Map<string, Project[]>();
  for (const project of projects) {
    const source = project.source.url ?? project.source.repository?.toLowerCase() ?? '';
    groups.set(source, [...(groups.get(source) ?? []), project]);
  }
  return groups;
}

async function remoteFor(source: string, memory: Memory, doors: TickDoors): Promise<Remote> {
  if (/^https?:/.test(source)) return { refs: await doors.refs({ url: source }), repository: undefined };
  const repository = await knownRepository(source, memory, doors.github, doors.clock.now());
  try {
    return { refs: await doors.refs({ url: repository.cloneUrl, token: await repository.token() }), repository };
  } catch (thrown) {
    // The next tick asks where the App is installed now.
    if (faultOf(thrown).code === 'GIT_NO_ACCESS') forgetRepository(source, memory);
    throw thrown;
  }
}

/**
 * While Git does not answer, the cluster is looked at all the same, against what was applied last. Where it refuses (the repository or
 * the App's right is gone), the project's own Job must say so in its status, which would else stay as it was.
 */
async function lookAtProject(
  project: Project,
  remote: Remote | { isRefused: boolean },
  result: TickResult,
  doors: TickDoors,
): Promise<void> {
  if (project.suspend) return;
  const now = doors.clock.now();
  const lastKnown = project.status.attempt?.revision;
  const revision = 'refs' in remote ? revisionOrUndefined(project, remote.refs) : remote.isRefused ? undefined : lastKnown;
  // A Job says in the project's status what is wrong; a look that cannot be made is its business too.
  const reason = dueReason(project, revision, now) ?? (await lookAtCluster(project, doors));
  if (reason === undefined) return;
  // A sync that still renews its Lease is not unfinished.
  if (reason === unfinished && (await isHeld(doors.cluster, keyOfWork({ kind: 'project', ...project }), now))) return;
  const { job, created } = await ensureJob(doors.cluster, { kind: 'project', namespace: project.namespace, name: project.name });
  if (created) result.jobs.push(job);
  doors.log({ project: `${project.namespace}/${project.name}`, due: reason, job, created });
}

function revisionOrUndefined(project: Project, refs: Map<string, string>): string | undefined {
  try {
    return trackedRevision(project, refs);
  } catch (error) {
    if (isPlumblineError(error) && error.code === 'REVISION_NOT_FOUND') return undefined;
    throw error;
  }
}

/** Why the cluster's side asks for a sync; what merely moved on is recorded here. */
async function lookAtCluster(project: Project, doors: TickDoors): Promise<string | undefined> {
  try {
    const inventory = await loadInventory(doors.cluster, project);
    const account = await projectAccount(project, doors.cluster);
    const look = await lookAt(project, inventory, account);
    if (look.suspects.length > 0) return `drift: ${look.suspects.slice(0, 3).join(', ')}`;
    if (await keepUpdates(project, look, inventory, doors)) await recordSeen(project, { health: look.health }, doors);
    return undefined;
  } catch (error) {
    // Whoever reads the status must learn that nobody looks for drift any more.
    if (isPlumblineError(error) && error.retry === 'never') await recordSeen(project, { fault: faultOf(error) }, doors);
    throw error;
  }
}

/** False: a sync is at work and knows better. */
async function keepUpdates(project: Project, look: Look, inventory: Inventory, doors: TickDoors): Promise<boolean> {
  if (look.updates.length === 0) return true;
  const entries = new Map(inventory.entries);
  for (const entry of look.updates) entries.set(entry.id, entry);
  try {
    await storeInventory(doors.cluster, project, inventory, entries);
    return true;
  } catch (error) {
    if (isPlumblineError(error) && error.code === 'API_CONFLICT') return false;
    throw error;
  }
}

async function recordSeen(project: Project, seen: Seen, doors: TickDoors): Promise<void> {
  const status = withSeen(project, seen, doors.clock.now());
  const patch = status && statusPatch(project.status, status);
  if (patch) await doors.cluster.patch({ ...projectKind, namespace: project.namespace, name: project.name }, patch, 'status');
}

async function lookAtHeads(
  repository: Repository,
  refs: Map<string, string>,
  remembered: RepositoryMemory | undefined,
  result: TickResult,
  doors: TickDoors,
): Promise<void> {
  if (!remembered) return;
  const { pulls, groups, known } = await waitingHeads(repository, refs, remembered.heads, checkNameOf(doors.settings.cluster));
  const asked = await askedPulls(repository, remembered.comments, doors.clock.now());
  const about = { installation: repository.installationId, repository: repository.id };
  const requests: WorkRequest[] = [
    ...groups.map((ref) => ({ kind: 'ref' as const, ...about, ref })),
    ...[...new Set([...pulls, ...asked.pulls])].map((number) => ({ kind: 'pull' as const, ...about, number })),
  ];
  for (const request of requests) {
    const { job, created } = await ensureJob(doors.cluster, request);
    if (created) result.jobs.push(job);
    doors.log({ repository: repository.fullName, due: 'a head without its check, or a command', job, created });
  }
  // Remembered only after the Jobs exist: a tick that is killed here looks again.
  remembered.heads = known;
  remembered.comments = asked.known;
}
