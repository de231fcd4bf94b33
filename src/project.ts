/**
 * A Project as the cluster holds it: its spec with defaults, its status, and when it is due. Pure; the schema is `deploy/crds/projects.yaml`.
 */
import { createHash } from 'node:crypto';
import type { KubeObject } from './object.ts';
import type { Health } from './sync/health.ts';
import { productNamespace } from './work.ts';

export const projectKind = { apiVersion: 'plumbline.dev/v1alpha1', kind: 'Project' };
/** `kubectl annotate project api plumbline.dev/sync=now`: taken away again when it was done. */
export const syncAnnotation = 'plumbline.dev/sync';
/** `kubectl annotate project api plumbline.dev/approve=delete-4b1e07`: confirms exactly the deletion of that key. */
export const approveAnnotation = 'plumbline.dev/approve';

export type SyncState = 'Synced' | 'OutOfSync' | 'Syncing' | 'Failed' | 'Unknown';
export type Condition = {
  type: string;
  status: 'True' | 'False' | 'Unknown';
  reason: string;
  message: string;
  lastTransitionTime: string;
  observedGeneration?: number;
};
export type HistoryEntry = {
  revision: string;
  digest: string;
  author: string;
  trigger: string;
  startedAt: string;
  duration: string;
  result: string;
  message: string;
};
export type Pending = { kind: string; key: string; since: string; line: string };
/** What differs, as people read it: `replicas 3 -> 5 live`. */
export type Drifted = { object: string; kind: 'configuration' | 'image' | 'resource'; fields: string[] };
/** `unfinished`: it had begun to write, so the cluster may hold a part of it. */
export type Attempt = {
  revision: string;
  generation: number;
  count: number;
  at: string;
  notBefore?: string;
  failed: boolean;
  unfinished?: boolean;
};
export type ProjectStatus = {
  observedGeneration?: number;
  sync?: SyncState;
  health?: Health;
  revision?: string;
  shortRevision?: string;
  /** Of the spec, when the cluster was brought to `revision`. */
  appliedGeneration?: number;
  digest?: string;
  message?: string;
  objects?: number;
  attempt?: Attempt;
  drift?: { count: number; objects: Drifted[] };
  pending?: Pending[];
  history?: HistoryEntry[];
  conditions?: Condition[];
};

export type Project = {
  name: string;
  namespace: string;
  uid: string;
  generation: number;
  isDeleted: boolean;
  annotations: Record<string, string>;
  source: { repository?: string; url?: string; revision?: string; path: string; manifestType: 'detect' | 'kubernetes'; recurse: boolean };
  /** Where objects without a namespace go. */
  destination: string;
  account: { namespace: string; name: string };
  policy: {
    mode: 'webhook' | 'auto' | 'manual';
    intervalSeconds: number;
    prune: boolean;
    selfHeal: boolean;
    allowEmpty: boolean;
    /** How many deletions one sync may make unasked, given how many objects there are. */
    deletionBudget: (objects: number) => number;
  };
  suspend: boolean;
  status: ProjectStatus;
};

type Spec = {
  source: {
    repository?: string;
    url?: string;
    revision?: string;
    path?: string;
    manifestType?: 'detect' | 'kubernetes';
    recurse?: boolean;
  };
  destination?: { namespace?: string };
  serviceAccountName?: string;
  syncPolicy?: {
    mode?: Project['policy']['mode'];
    interval?: string;
    prune?: boolean;
    selfHeal?: boolean;
    allowEmpty?: boolean;
    maxDeletions?: string;
  };
  suspend?: boolean;
};

/** Reads what the API server accepted, so nothing is checked again that the CRD checks. */
export function projectOf(object: KubeObject): Project {
  const { metadata } = object;
  const spec = object['spec'] as Spec;
  const policy = spec.syncPolicy ?? {};
  const namespace = metadata.namespace ?? '';
  return {
    name: metadata.name,
    namespace,
    uid: metadata.uid ?? '',
    generation: metadata.generation ?? 0,
    isDeleted: metadata.deletionTimestamp !== undefined,
    annotations: metadata.annotations ?? {},
    source: {
      ...sourceOf(spec.source),
      path: cleanPath(spec.source.path ?? '/'),
      manifestType: spec.source.manifestType ?? 'detect',
      recurse: spec.source.recurse ?? true,
    },
    destination: spec.destination?.namespace ?? namespace,
    account: { namespace, name: spec.serviceAccountName ?? 'plumbline' },
    policy: {
      mode: policy.mode ?? 'webhook',
      intervalSeconds: durationSeconds(policy.interval ?? '5m'),
      prune: policy.prune ?? false,
      selfHeal: policy.selfHeal ?? false,
      allowEmpty: policy.allowEmpty ?? false,
      deletionBudget: (objects) => budget(policy.maxDeletions ?? '20%', objects),
    },
    suspend: spec.suspend ?? false,
    status: (object['status'] as ProjectStatus | undefined) ?? {},
  };
}

/** `HEAD`, as Argo CD's users write it, is the default branch: what leaving `revision` out means. */
function sourceOf({ revision, ...source }: Spec['source']): Spec['source'] {
  return revision === undefined || revision === 'HEAD' ? source : { ...source, revision };
}

/** Whether a pushed ref (`refs/heads/main`, `refs/tags/v1`) is the one that the project follows. */
export function followsRef(project: Project, ref: string, defaultBranch: string): boolean {
  const { revision } = project.source;
  if (revision === undefined) return ref === `refs/heads/${defaultBranch}`;
  return [revision, `refs/heads/${revision}`, `refs/tags/${revision}`].includes(ref);
}

/** Cluster-scoped objects and other namespaces are for Projects of the product's own namespace, which only the cluster's owner may write. */
export function mayLeaveNamespace(project: Project): boolean {
  return project.namespace === productNamespace;
}

/** `/k8s/`, `./k8s` and `k8s//.` are all `k8s`; the repository's root is empty. */
function cleanPath(path: string): string {
  return path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
}

/** `90s 5m 2h 3d`, in seconds. */
export function durationSeconds(text: string): number {
  const match = /^(\d+)([smhd])$/.exec(text);
  if (!match) return 300;
  return Number(match[1]) * { s: 1, m: 60, h: 3600, d: 86_400 }[match[2] as 's' | 'm' | 'h' | 'd'];
}

function budget(text: string, objects: number): number {
  if (!text.endsWith('%')) return Number(text);
  return Math.max(5, Math.floor((objects * Number(text.slice(0, -1))) / 100));
}

/** One manager per Project: with a shared one, two Projects would take each other's objects without a conflict. At most 128 characters. */
export function fieldManagerOf(project: { namespace: string; name: string }): string {
  const name = `plumbline:${project.namespace}/${project.name}`;
  return name.length <= 128 ? name : `plumbline:${createHash('sha256').update(name).digest('hex')}`;
}

/** ApplySet id (KEP-3659): derived from name, namespace, kind and group, so that it cannot be taken over by a label alone. */
export function applySetOf(project: { namespace: string; name: string }): string {
  const parent = `${project.name}.${project.namespace}.Project.plumbline.dev`;
  return `applyset-${createHash('sha256').update(parent).digest('base64url')}-v1`;
}
