/**
 * A tenant with a Project, a repository over HTTP and the runner's own rights, on a real API server. The runner runs in this process,
 * through the same doors as in its pod.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Cluster, connectCluster } from '../../src/cluster.ts';
import type { Clock } from '../../src/flow/lease.ts';
import { type ReconcileDoors, reconcile } from '../../src/flow/reconcile.ts';
import { listRemote, openClone } from '../../src/git.ts';
import type { KubeObject } from '../../src/object.ts';
import type { ProjectStatus } from '../../src/project.ts';
import { renderInProcess } from '../../src/render/render.ts';
import type { ControlPlane } from './cluster/control-plane.ts';
import { useCluster } from './cluster/use-cluster.ts';
import { commitFiles, type GitServer, newRepository, serveGit } from './git-server.ts';

export const runnerAccount = { namespace: 'plumbline-system', name: 'plumbline-runner' };

export const clock: Clock = {
  now: () => new Date(),
  monotonic: () => performance.now(),
  pause: (milliseconds) => new Promise((done) => setTimeout(done, milliseconds)),
};

export type World = {
  plane: ControlPlane;
  namespace: string;
  repository: string;
  server: GitServer;
  /** As the runner's service account. */
  cluster: Cluster;
  doors: ReconcileDoors;
  /** Commits files to main; undefined removes one. */
  commit(files: Record<string, string | undefined>, message?: string): Promise<string>;
  /** Makes the Project `api`, or changes its spec. */
  project(spec?: Record<string, unknown>): Promise<void>;
  sync(overrides?: Partial<ReconcileDoors>): ReturnType<typeof reconcile>;
  status(): Promise<ProjectStatus>;
  /** `kubectl get KIND NAME -o json` in the tenant's namespace; undefined when it is not there. */
  get(kind: string, name: string): Promise<KubeObject | undefined>;
  apply(yaml: string, manager?: string): Promise<void>;
  close(): Promise<void>;
};

/** Installs CRDs, accounts and rights as `kubectl apply -k deploy` does. */
export async function install(plane: Pick<ControlPlane, 'kubectl'>): Promise<void> {
  await plane.kubectl(['apply', '--server-side', '--force-conflicts', '-k', join(import.meta.dirname, '../../deploy')]);
  await plane.kubectl([
    'wait',
    '--for=condition=Established',
    '--timeout=30s',
    'crd/projects.plumbline.dev',
    'crd/inventories.plumbline.dev',
  ]);
}

export async function openWorld(plane?: ControlPlane): Promise<World> {
  const own = plane ?? (await useCluster());
  await install(own);
  const namespace = await own.freshNamespace('tenant');
  await own.kubectl(['create', 'serviceaccount', 'plumbline'], { namespace });
  await own.kubectl(['create', 'rolebinding', 'plumbline', '--clusterrole=admin', `--serviceaccount=${namespace}:plumbline`], {
    namespace,
  });
  const repository = await newRepository();
  const server = await serveGit(repository);
  const cluster = connectCluster({ kubeconfig: await own.kubeconfigFor({ serviceAccount: runnerAccount }) });
  const scratch = await mkdtemp(join(tmpdir(), 'plumbline-world-'));
  const doors: ReconcileDoors = {
    cluster,
    remoteOf: async () => ({ url: server.url }),
    refs: (remote) => listRemote(remote),
    clone: async (remote) => openClone(remote, await mkdtemp(join(scratch, 'clone-'))),
    render: renderInProcess,
    clock,
    holder: 'test',
    signal: new AbortController().signal,
  };
  const get = async (kind: string, name: string) => {
    const { code, stdout, stderr } = await own.tryKubectl(['get', kind, name, '-o', 'json', '--show-managed-fields'], { namespace });
    if (code === 0) return JSON.parse(stdout) as KubeObject;
    if (stderr.includes('NotFound')) return undefined;
    throw new Error(stderr);
  };
  return {
    plane: own,
    namespace,
    repository,
    server,
    cluster,
    doors,
    get,
    commit: (files, message = 'change') => commitFiles(repository, message, files),
    async project(spec = {}) {
      const { source, ...rest } = spec as { source?: object };
      const object = {
        apiVersion: 'plumbline.dev/v1alpha1',
        kind: 'Project',
        metadata: { name: 'api', namespace },
        spec: { source: { url: server.url, path: 'k8s', ...source }, ...rest },
      };
      await own.kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], { input: JSON.stringify(object) });
    },
    sync: (overrides = {}) => reconcile({ namespace, name: 'api' }, 'test', { ...doors, ...overrides }),
    status: async () => ((await get('project', 'api'))?.['status'] as ProjectStatus | undefined) ?? {},
    apply: async (yaml, manager = 'somebody') => {
      await own.kubectl(['apply', '--server-side', '--force-conflicts', `--field-manager=${manager}`, '-f', '-'], {
        namespace,
        input: yaml,
      });
    },
    async close() {
      await own.kubectl(['delete', 'project', '--all', '--wait=false'], { namespace });
      await server.close();
      await rm(scratch, { recursive: true, force: true });
      await rm(repository, { recursive: true, force: true });
    },
  };
}

/** A ConfigMap as a file. */
export function configMap(name: string, data: Record<string, string>): string {
  const lines = Object.entries(data).map(([key, value]) => `  ${key}: ${JSON.stringify(value)}`);
  return ['apiVersion: v1', 'kind: ConfigMap', 'metadata:', `  name: ${name}`, 'data:', ...lines, ''].join('\n');
}
