/** Projects, objects and entries for the tables of this room. */
import type { KubeObject } from '../../src/object.ts';
import { applySetOf, fieldManagerOf, type Project, projectOf } from '../../src/project.ts';
import { applySetLabel, type Desired, hashOf } from '../../src/sync/desired.ts';
import type { Inventory, InventoryEntry } from '../../src/sync/inventory.ts';

export function project(spec: Record<string, unknown> = {}, metadata: Partial<KubeObject['metadata']> = {}, status = {}): Project {
  return projectOf({
    apiVersion: 'plumbline.dev/v1alpha1',
    kind: 'Project',
    metadata: { name: 'api', namespace: 'shop', uid: 'p-1', generation: 1, ...metadata },
    spec: { source: { url: 'https://git.example.com/acme/api.git', path: 'k8s' }, ...spec },
    status,
  });
}

const places: Record<string, { apiVersion: string; group: string; namespace?: string }> = {
  ConfigMap: { apiVersion: 'v1', group: '', namespace: 'shop' },
  Secret: { apiVersion: 'v1', group: '', namespace: 'shop' },
  Service: { apiVersion: 'v1', group: '', namespace: 'shop' },
  PersistentVolumeClaim: { apiVersion: 'v1', group: '', namespace: 'shop' },
  PersistentVolume: { apiVersion: 'v1', group: '' },
  Namespace: { apiVersion: 'v1', group: '' },
  Deployment: { apiVersion: 'apps/v1', group: 'apps', namespace: 'shop' },
  Role: { apiVersion: 'rbac.authorization.k8s.io/v1', group: 'rbac.authorization.k8s.io', namespace: 'shop' },
  RoleBinding: { apiVersion: 'rbac.authorization.k8s.io/v1', group: 'rbac.authorization.k8s.io', namespace: 'shop' },
  CustomResourceDefinition: { apiVersion: 'apiextensions.k8s.io/v1', group: 'apiextensions.k8s.io' },
};

function placeOf(kind: string) {
  const place = places[kind];
  if (!place) throw new Error(`${kind} is not in the table`);
  return place;
}

export function idOf(kind: string, name: string): string {
  const { group, namespace = '' } = placeOf(kind);
  return `${group}/${kind}/${namespace}/${name}`;
}

/** As it lives in the cluster, applied by `of`; uid `u-NAME`, resourceVersion 7. */
export function live(kind: string, name: string, metadata: Partial<KubeObject['metadata']> = {}, of = project()): KubeObject {
  const { apiVersion, namespace } = placeOf(kind);
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      ...(namespace ? { namespace } : {}),
      uid: `u-${name}`,
      resourceVersion: '7',
      creationTimestamp: '2026-11-21T10:00:05Z',
      labels: { [applySetLabel]: applySetOf(of) },
      managedFields: [{ manager: fieldManagerOf(of), operation: 'Apply', fieldsV1: { 'f:data': { 'f:a': {} } } }],
      ...metadata,
    },
    data: { a: '1' },
  };
}

export function wanted(kind: string, name: string, data: Record<string, string> = { a: '1' }): Desired {
  const { apiVersion, namespace } = placeOf(kind);
  const metadata = { name, ...(namespace ? { namespace } : {}), labels: { [applySetLabel]: applySetOf(project()) } };
  const object: KubeObject = { apiVersion, kind, metadata, data };
  return { id: idOf(kind, name), object, source: { file: `k8s/${name}.yaml`, line: 1 }, hash: hashOf(object) };
}

/** As recorded after {@link wanted} was applied to {@link live}. */
export function entry(kind: string, name: string, more: Partial<InventoryEntry> = {}): InventoryEntry {
  return {
    id: idOf(kind, name),
    apiVersion: placeOf(kind).apiVersion,
    since: '2026-11-21T10:00:05.123Z',
    uid: `u-${name}`,
    resourceVersion: '7',
    desired: wanted(kind, name).hash,
    ...more,
  };
}

export function inventory(entries: InventoryEntry[], complete = true): Inventory {
  return { entries: new Map(entries.map((one) => [one.id, one])), shards: [], complete };
}
