/** What a work Job does: finds what its request names, and walks that journey. */
import type { Cluster } from '../cluster.ts';
import { faultOf, formatFault, PlumblineError } from '../error.ts';
import type { GitRemote } from '../git.ts';
import type { GitHub, Repository } from '../github.ts';
import { followsRef, type Project, projectKind, projectOf } from '../project.ts';
import { keyOfWork, mergeGroupOf, productNamespace, type WorkRequest } from '../work.ts';
import { type CheckOutcome, type CheckRequest, checkMergeGroup, checkPullRequest } from './check.ts';
import { isNameOf, knownRepository } from './known-repository.ts';
import { acquireLease } from './lease.ts';
import { loadMemory, saveMemory } from './memory.ts';
import { type ReconcileDoors, reconcile, tickTrigger } from './reconcile.ts';

/** `plumbline-config`, with its defaults. */
export type Settings = { cluster: string; githubApiUrl: string };
export type WorkDoors = Omit<ReconcileDoors, 'remoteOf'> & {
  cluster: Cluster;
  github: GitHub | undefined;
  settings: Settings;
  log(line: Record<string, unknown>): void;
};

const LEASE_WAIT_MS = 60_000;
/** Before each try at a check. */
const RETRY_SECONDS = [0, 5, 30];

export async function readSettings(cluster: Cluster): Promise<Settings> {
  const config = await cluster.read({ apiVersion: 'v1', kind: 'ConfigMap', namespace: productNamespace, name: 'plumbline-config' });
  const data = (config?.['data'] as Record<string, string> | undefined) ?? {};
  return { cluster: data['cluster'] ?? '', githubApiUrl: data['github.apiUrl'] || 'https://api.github.com' };
}

/** Somebody else at the same work is no failure: they, or the next tick, do it. */
export async function doWork(request: WorkRequest, doors: WorkDoors): Promise<void> {
  try {
    await carryOut(request, doors);
  } catch (error) {
    const { code, message } = faultOf(error);
    if (code !== 'LEASE_HELD' && code !== 'LEASE_LOST') throw error;
    doors.log({ request: keyOfWork(request), outcome: code, message });
  }
}

async function carryOut(request: WorkRequest, doors: WorkDoors): Promise<void> {
  switch (request.kind) {
    case 'project':
      return syncProject({ namespace: request.namespace, name: request.name }, tickTrigger, doors);
    case 'ref':
      return syncRef(request, doors);
    case 'pull':
      return checkPull(request, doors);
    case 'issue':
    case 'button':
      // Nothing that a comment or a button could ask for exists yet; what the App made a Job for is noted and done.
      return doors.log({ request: keyOfWork(request), outcome: 'nothing to do' });
  }
}

async function syncProject(ref: { namespace: string; name: string }, trigger: string, doors: WorkDoors): Promise<void> {
  const outcome = await reconcile(ref, trigger, { ...doors, remoteOf: (project) => remoteOf(project, doors) });
  doors.log({ project: `${ref.namespace}/${ref.name}`, sync: outcome?.sync, reason: outcome?.reason, message: outcome?.message });
}

async function remoteOf(project: Project, doors: WorkDoors): Promise<GitRemote> {
  const { url, repository: name = '' } = project.source;
  if (url) return { url };
  const { memory, stored } = await loadMemory(doors.cluster);
  const repository = await knownRepository(name, memory, doors.github, doors.clock.now());
  await saveMemory(doors.cluster, memory, stored);
  return { url: repository.cloneUrl, token: await repository.token() };
}

async function syncRef(request: WorkRequest & { kind: 'ref' }, doors: WorkDoors): Promise<void> {
  const repository = await repositoryOf(request, doors);
  const group = mergeGroupOf(request.ref);
  if (group) return checkGroup(request, group, repository, doors);
  const following = (await projectsOf(repository, doors)).filter((project) => followsRef(project, request.ref, repository.defaultBranch));
  for (const { namespace, name } of following) {
    // One project's trouble is its own.
    await syncProject({ namespace, name }, `push to ${request.ref}`, doors).catch((error: unknown) =>
      doors.log({ project: `${namespace}/${name}`, fault: formatFault(faultOf(error)) }),
    );
  }
  doors.log({ repository: repository.fullName, ref: request.ref, projects: following.length });
}

async function checkGroup(
  request: WorkRequest & { kind: 'ref' },
  group: { baseRef: string; number: number },
  repository: Repository,
  doors: WorkDoors,
): Promise<void> {
  const headSha = (await doors.refs({ url: repository.cloneUrl, token: await repository.token() })).get(request.ref);
  // The queue has dropped the group meanwhile.
  if (!headSha) return;
  await underLease(keyOfWork(request), doors, async () => {
    const wanted = await checkRequest(repository, group.number, doors);
    await untilSettled(() => checkMergeGroup(wanted, { headSha, baseRef: group.baseRef }), { group: request.ref }, doors);
  });
}

async function checkPull(request: WorkRequest & { kind: 'pull' }, doors: WorkDoors): Promise<void> {
  const repository = await repositoryOf(request, doors);
  await underLease(keyOfWork(request), doors, async () => {
    const wanted = await checkRequest(repository, request.number, doors);
    await untilSettled(() => checkPullRequest(wanted), { repository: repository.fullName, pull: request.number }, doors);
  });
}

/** What a moment may mend must not stay on the pull request as its last word. */
async function untilSettled(check: () => Promise<CheckOutcome>, about: Record<string, unknown>, doors: WorkDoors): Promise<void> {
  for (const seconds of RETRY_SECONDS) {
    await doors.clock.pause(seconds * 1000);
    const outcome = await check();
    doors.log({ ...about, ...outcome });
    if (outcome.result === 'closed' || outcome.fault?.retry !== 'later') return;
  }
}

/** Checks of one head are written by one runner at a time. */
async function underLease(name: string, doors: WorkDoors, work: () => Promise<void>): Promise<void> {
  const lease = await acquireLease(doors.cluster, name, doors.holder, doors.clock, LEASE_WAIT_MS);
  try {
    await work();
  } finally {
    await lease.release();
  }
}

async function checkRequest(repository: Repository, number: number, doors: WorkDoors): Promise<CheckRequest> {
  const projects = (await projectsOf(repository, doors)).map(({ namespace, name, source }) => {
    const { revision, path, manifestType, recurse } = source;
    return { namespace, name, path, manifestType, recurse, ...(revision === undefined ? {} : { revision }) };
  });
  const { clone, render, settings } = doors;
  return { repository, number, projects, clone, render, settings };
}

function repositoryOf(request: { installation: number; repository: number }, doors: WorkDoors): Promise<Repository> {
  if (doors.github) return doors.github.repositoryById(request.installation, request.repository);
  throw new PlumblineError('GITHUB_NOT_CONFIGURED', 'a Job about a GitHub repository, and no App is configured');
}

async function projectsOf(repository: Repository, doors: WorkDoors): Promise<Project[]> {
  const { memory } = await loadMemory(doors.cluster);
  const all = (await doors.cluster.list(projectKind)).map(projectOf);
  return all.filter(({ isDeleted, source }) => !isDeleted && source.repository && isNameOf(source.repository, repository, memory));
}
