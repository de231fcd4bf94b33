/**
 * A tenant with a Project on a real API server whose repository lives in memory, so that a suite may have many of them: everything but
 * Git is real (`project-world.ts` has Git over HTTP as well).
 */
import { createHash } from 'node:crypto';
import { type Cluster, connectCluster } from '../../src/cluster.ts';
import { PlumblineError } from '../../src/error.ts';
import { type ReconcileDoors, reconcile } from '../../src/flow/reconcile.ts';
import type { Clone } from '../../src/git.ts';
import type { KubeObject } from '../../src/object.ts';
import type { Project, ProjectStatus } from '../../src/project.ts';
import { projectOf } from '../../src/project.ts';
import { renderInProcess } from '../../src/render/render.ts';
import type { InventoryEntry } from '../../src/sync/inventory.ts';
import type { ControlPlane } from './cluster/control-plane.ts';
import { useCluster } from './cluster/use-cluster.ts';
import { clock, install, runnerAccount } from './project-world.ts';

type Files = Record<string, string>;
type Made = { kind: string; metadata: { name: string; [more: string]: unknown }; [field: string]: unknown };
const places: Record<string, { apiVersion: string; plural: string }> = {
  ConfigMap: { apiVersion: 'v1', plural: 'configmaps' },
  Secret: { apiVersion: 'v1', plural: 'secrets' },
  Service: { apiVersion: 'v1', plural: 'services' },
  ServiceAccount: { apiVersion: 'v1', plural: 'serviceaccounts' },
  PersistentVolumeClaim: { apiVersion: 'v1', plural: 'persistentvolumeclaims' },
  ResourceQuota: { apiVersion: 'v1', plural: 'resourcequotas' },
  Deployment: { apiVersion: 'apps/v1', plural: 'deployments' },
  Role: { apiVersion: 'rbac.authorization.k8s.io/v1', plural: 'roles' },
  RoleBinding: { apiVersion: 'rbac.authorization.k8s.io/v1', plural: 'rolebindings' },
  Project: { apiVersion: 'plumbline.dev/v1alpha1', plural: 'projects' },
};

export type Tenant = {
  plane: ControlPlane;
  namespace: string;
  /** As the runner's service account. */
  cluster: Cluster;
  doors: ReconcileDoors;
  /** The tracked branch; undefined: the branch is gone. */
  head: string | undefined;
  /** While set, the repository cannot be asked. */
  outage: PlumblineError | undefined;
  /** The tracked revision holds exactly these files from now on. */
  commit(files: Files): string;
  project(spec?: Record<string, unknown>, name?: string): Promise<void>;
  sync(overrides?: Partial<ReconcileDoors>, name?: string): ReturnType<typeof reconcile>;
  read(name?: string): Promise<Project>;
  status(name?: string): Promise<ProjectStatus>;
  get(kind: string, name: string): Promise<KubeObject | undefined>;
  names(kind: string): Promise<string[]>;
  /** A merge patch by `manager`, as `kubectl edit` and its like send it. */
  edit(kind: string, name: string, change: object, manager?: string): Promise<KubeObject>;
  create(object: Made): Promise<KubeObject>;
  remove(kind: string, name: string): Promise<void>;
  inventory(name?: string): Promise<Map<string, InventoryEntry>>;
  /** Writes (not dry runs) to the tenant's own kinds since the last call. */
  writes(): string[];
  kubectl(...words: string[]): Promise<string>;
  /** A line as a person pastes it; `&&` joins several. */
  paste(line: string): Promise<void>;
};

let installed: Promise<ControlPlane> | undefined;

/** The worker's plane with `deploy/` in it. */
export function installedPlane(): Promise<ControlPlane> {
  installed ??= useCluster().then(async (plane) => {
    const there = await plane.api.request('GET', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/inventories.plumbline.dev');
    const account = await plane.api.request('GET', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/plumbline-runner');
    if (there.status !== 200 || account.status !== 200) await install(plane);
    return plane;
  });
  return installed;
}

/** `role`: the ClusterRole of the tenant's account; empty: there is no account. */
export async function openTenant(role: string | undefined = 'admin'): Promise<Tenant> {
  const plane = await installedPlane();
  const namespace = await plane.freshNamespace('tenant');
  const path = (kind: string, name = '') => {
    const place = places[kind];
    if (!place) throw new Error(`${kind} has no path`);
    const root = place.apiVersion === 'v1' ? '/api/v1' : `/apis/${place.apiVersion}`;
    return `${root}/namespaces/${namespace}/${place.plural}${name && `/${name}`}`;
  };
  const create = (object: Made) =>
    plane.api.ok<KubeObject>('POST', path(object.kind), { body: { apiVersion: places[object.kind]?.apiVersion, ...object } });
  if (role) {
    await create({ kind: 'ServiceAccount', metadata: { name: 'plumbline' } });
    await create({
      kind: 'RoleBinding',
      metadata: { name: 'plumbline' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
      subjects: [{ kind: 'ServiceAccount', name: 'plumbline', namespace }],
    });
  }
  const cluster = connectCluster({ kubeconfig: await plane.kubeconfigFor({ serviceAccount: runnerAccount }) });
  const commits = new Map<string, Files>();
  let seen = plane.requests().length;
  const tenant: Tenant = {
    plane,
    namespace,
    cluster,
    head: undefined,
    outage: undefined,
    create,
    doors: {
      cluster,
      remoteOf: async () => ({ url: 'https://git.example.com/acme/api.git' }),
      async refs() {
        if (tenant.outage) throw tenant.outage;
        const refs = new Map([['refs/heads/other', '0'.repeat(40)]]);
        return tenant.head ? refs.set('HEAD', tenant.head).set('refs/heads/main', tenant.head) : refs;
      },
      clone: async () => cloneOf(commits),
      render: renderInProcess,
      clock,
      holder: `test-${namespace}`,
      signal: new AbortController().signal,
    },
    commit(files) {
      tenant.head = createHash('sha1')
        .update(JSON.stringify([commits.size, files]))
        .digest('hex');
      commits.set(tenant.head, files);
      return tenant.head;
    },
    async project(spec = {}, name = 'api') {
      const { source, ...rest } = spec as { source?: object };
      const body = {
        apiVersion: 'plumbline.dev/v1alpha1',
        kind: 'Project',
        metadata: { name, namespace },
        spec: { source: { url: 'https://git.example.com/acme/api.git', path: 'k8s', ...source }, ...rest },
      };
      await plane.api.ok('PATCH', `${path('Project', name)}?fieldManager=test&force=true`, { body, patch: 'apply-patch+yaml' });
    },
    sync: (overrides = {}, name = 'api') => reconcile({ namespace, name }, 'test', { ...tenant.doors, ...overrides }),
    read: async (name = 'api') => projectOf(await plane.api.ok('GET', path('Project', name))),
    status: async (name = 'api') => (await tenant.read(name)).status,
    async get(kind, name) {
      const { status, body } = await plane.api.request('GET', path(kind, name));
      if (status !== 200 && status !== 404) throw new Error(`${status}`);
      return status === 200 ? body : undefined;
    },
    names: async (kind) => {
      const { items } = await plane.api.ok<{ items: KubeObject[] }>('GET', path(kind));
      return items.map((one) => one.metadata.name).filter((name) => name !== 'kube-root-ca.crt');
    },
    edit: (kind, name, change, manager = 'kubectl-edit') =>
      plane.api.ok('PATCH', `${path(kind, name)}?fieldManager=${manager}`, { body: change, patch: 'merge-patch+json' }),
    async remove(kind, name) {
      await plane.api.ok('DELETE', path(kind, name));
    },
    async inventory(name = 'api') {
      const found = await plane.api.ok<{ items: KubeObject[] }>(
        'GET',
        `/apis/plumbline.dev/v1alpha1/namespaces/${namespace}/inventories?labelSelector=plumbline.dev/project=${name}`,
      );
      const entries = found.items.flatMap((one) => (one['spec'] as { entries: InventoryEntry[] }).entries);
      return new Map(entries.map((entry) => [entry.id, entry]));
    },
    writes() {
      const all = plane.requests();
      const recent = all.slice(seen).filter((one) => one.uri.includes(`/namespaces/${namespace}/`));
      seen = all.length;
      return recent
        .filter(
          (one) => !['get', 'list', 'watch'].includes(one.verb) && !one.uri.includes('dryRun=') && one.user.includes('plumbline-runner'),
        )
        .filter((one) => !one.uri.includes('/plumbline.dev/'))
        .map((one) => `${one.verb} ${one.uri.replace(/\?.*/, '').split('/').slice(-2).join('/')} ${one.code}`);
    },
    kubectl: (...words) => plane.kubectl(words, { namespace }),
    async paste(line) {
      for (const command of line.split(' && ')) {
        const [program, ...words] = command.trim().split(/\s+/);
        if (program !== 'kubectl') throw new Error(`${command} is no kubectl command`);
        await plane.kubectl(words);
      }
    },
  };
  return tenant;
}

function cloneOf(commits: Map<string, Files>): Clone {
  const filesOf = (revision: string) => {
    const files = commits.get(revision);
    if (!files) throw new PlumblineError('GIT_COMMIT_NOT_FOUND', `no commit ${revision}`, { retry: 'later' });
    return files;
  };
  const unused = () => Promise.reject(new Error('a sync merges nothing'));
  return {
    fetch: async (revisions) => {
      for (const revision of revisions) filesOf(revision);
    },
    readTree: async (revision, folder, recurse) =>
      Object.entries(filesOf(revision))
        .map(([path, text]) => ({ path, text }))
        .filter(({ path }) => folder === '' || path.startsWith(`${folder}/`))
        .filter(({ path }) => recurse || !path.slice(folder === '' ? 0 : folder.length + 1).includes('/')),
    commit: async (sha) => ({ sha, author: 'Ada', subject: 'change', parents: [] }),
    mergeTree: unused,
    changedPaths: unused,
  };
}
