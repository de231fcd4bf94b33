/**
 * A Kubernetes object as JSON, its one id, and where in the repository it was written.
 */

export type KubeMetadata = {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  ownerReferences?: OwnerReference[];
  managedFields?: ManagedFields[];
  [more: string]: unknown;
};

export type OwnerReference = {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
};
export type ManagedFields = {
  manager: string;
  operation: 'Apply' | 'Update';
  apiVersion?: string;
  time?: string;
  subresource?: string;
  fieldsV1?: unknown;
};

export type KubeObject = { apiVersion: string; kind: string; metadata: KubeMetadata; [field: string]: unknown };

/** What names an object: enough to find it in a cluster. `namespace` is absent for cluster-scoped objects. */
export type ObjectRef = { apiVersion: string; kind: string; namespace?: string; name: string };

/**
 * An object with its place in the repository. `file` is relative to the repository's root; `line` is 1-based and is that of the
 * object's first line; `lines` gives for a JSON pointer (`/spec/replicas`) the line that sets it, where known.
 */
export type SourcedObject = { object: KubeObject; file: string; line: number; lines: Record<string, number> };

/** Empty for the core group: `apps/v1` -> `apps`, `v1` -> ``. */
export function groupOf(apiVersion: string): string {
  const slash = apiVersion.indexOf('/');
  return slash < 0 ? '' : apiVersion.slice(0, slash);
}

export function refOf(object: KubeObject): ObjectRef {
  const { apiVersion, kind, metadata } = object;
  return metadata.namespace === undefined
    ? { apiVersion, kind, name: metadata.name }
    : { apiVersion, kind, namespace: metadata.namespace, name: metadata.name };
}

/**
 * The identity that everything is keyed by: group, kind, namespace, name; never the version, which may change under an object.
 * `apps/Deployment/shop/web`, `/ConfigMap/shop/settings`, `rbac.authorization.k8s.io/ClusterRole//reader`.
 */
export function keyOf(ref: ObjectRef): string {
  return `${groupOf(ref.apiVersion)}/${ref.kind}/${ref.namespace ?? ''}/${ref.name}`;
}

/** What people read: `Deployment/shop/web`, `ClusterRole/reader`. */
export function nameOf(ref: ObjectRef): string {
  return [ref.kind, ref.namespace, ref.name].filter(Boolean).join('/');
}

/** The value at a JSON pointer (RFC 6901), or undefined. */
export function valueAt(value: unknown, pointer: string): unknown {
  let here = value;
  for (const part of pointer.split('/').slice(1)) {
    if (typeof here !== 'object' || here === null) return undefined;
    here = (here as Record<string, unknown>)[part.replaceAll('~1', '/').replaceAll('~0', '~')];
  }
  return here;
}

/** JSON with keys in one fixed order, so that equal values have equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : inner,
  );
}
