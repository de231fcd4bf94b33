/**
 * What a project has applied: the only list that a prune may delete from. Pure.
 *
 * Entries are spread over shards by a hash of their id, so that one object's change rewrites one shard; the number of shards is a
 * power of two and part of a shard's name, so that growing it never mixes two layouts.
 */
import { createHash } from 'node:crypto';
import type { KubeObject, ObjectRef } from '../object.ts';
import type { Health } from './health.ts';

export const inventoryKind = { apiVersion: 'plumbline.dev/v1alpha1', kind: 'Inventory' };
export const projectLabel = 'plumbline.dev/project';
const MOST_ENTRIES = 500;

/**
 * `id` is {@link keyOf} of the object. Without `uid` the object was about to be created and nobody has confirmed it yet.
 * `resourceVersion`, `owned`, `values`: as the answer to the last apply had them; absent until looked at.
 */
export type InventoryEntry = {
  id: string;
  apiVersion: string;
  since: string;
  uid?: string;
  resourceVersion?: string;
  desired?: string;
  owned?: string;
  values?: string;
  health?: Health;
  drifted?: string;
};

/** In `drifted`: it was not there, and that was reported. */
export const goneMark = 'gone';

/** A stored shard and what it holds; `object` is the Inventory as read. */
export type Shard = { index: number; of: number; entries: InventoryEntry[]; object: KubeObject };

/** `complete: false`: a shard is missing, so nobody knows what else was applied. Then nothing may be pruned. */
export type Inventory = { entries: Map<string, InventoryEntry>; shards: Shard[]; complete: boolean };

export function refOfEntry(entry: InventoryEntry): ObjectRef {
  const [, kind = '', namespace = '', ...name] = entry.id.split('/');
  const ref = { apiVersion: entry.apiVersion, kind, name: name.join('/') };
  return namespace ? { ...ref, namespace } : ref;
}

/** The layout that is whole wins, the larger one first: a crash while growing leaves the smaller one whole. */
export function readInventory(objects: KubeObject[]): Inventory {
  const shards = objects.map(shardOf);
  const layouts = [...new Set(shards.map((shard) => shard.of))].sort((a, b) => b - a);
  for (const of of layouts) {
    const layout = shards.filter((shard) => shard.of === of);
    const whole = new Set(layout.map((shard) => shard.index)).size === of;
    if (whole) return { entries: entriesOf(layout), shards, complete: true };
  }
  return { entries: entriesOf(shards), shards, complete: shards.length === 0 };
}

function entriesOf(shards: Shard[]): Map<string, InventoryEntry> {
  return new Map(shards.flatMap((shard) => shard.entries).map((entry) => [entry.id, entry]));
}

function shardOf(object: KubeObject): Shard {
  const spec = object['spec'] as { shard: number; shards: number; entries: InventoryEntry[] };
  return { index: spec.shard, of: spec.shards, entries: spec.entries, object };
}

/** What to write so that the stored shards hold exactly `entries`: changed shards only, and layouts that are no longer used. */
export type InventoryWrite = { create: KubeObject[]; replace: KubeObject[]; remove: KubeObject[] };

export function writeInventory(
  project: { namespace: string; name: string; uid: string },
  stored: Inventory,
  entries: Map<string, InventoryEntry>,
): InventoryWrite {
  const used =
    stored.shards.length > 0 ? Math.max(...stored.shards.filter((shard) => isWhole(stored, shard.of)).map((shard) => shard.of), 1) : 1;
  const of = shardsFor(entries, used);
  const write: InventoryWrite = { create: [], replace: [], remove: [] };
  for (let index = 0; index < of; index++) {
    const wanted = [...entries.values()].filter((entry) => shardIndex(entry.id, of) === index).sort((a, b) => (a.id < b.id ? -1 : 1));
    const known = stored.shards.find((shard) => shard.of === of && shard.index === index);
    const object = inventoryObject(project, index, of, wanted);
    if (!known) write.create.push(object);
    else if (JSON.stringify(known.entries) !== JSON.stringify(wanted)) {
      const { resourceVersion } = known.object.metadata;
      write.replace.push({ ...object, metadata: { ...object.metadata, ...(resourceVersion ? { resourceVersion } : {}) } });
    }
  }
  write.remove = stored.shards.filter((shard) => shard.of !== of).map((shard) => shard.object);
  return write;
}

function isWhole(stored: Inventory, of: number): boolean {
  return new Set(stored.shards.filter((shard) => shard.of === of).map((shard) => shard.index)).size === of;
}

/** Grows when a shard would be too full; never shrinks, so that a project at the border does not move to and fro. */
function shardsFor(entries: Map<string, InventoryEntry>, used: number): number {
  for (let of = used; ; of *= 2) {
    const sizes = new Array<number>(of).fill(0);
    for (const id of entries.keys()) sizes[shardIndex(id, of)] = (sizes[shardIndex(id, of)] ?? 0) + 1;
    if (Math.max(...sizes) <= MOST_ENTRIES) return of;
  }
}

function shardIndex(id: string, of: number): number {
  return createHash('sha256').update(id).digest().readUInt32BE(0) % of;
}

function inventoryObject(
  project: { namespace: string; name: string; uid: string },
  index: number,
  of: number,
  entries: InventoryEntry[],
): KubeObject {
  return {
    ...inventoryKind,
    metadata: {
      name: `${project.name}-${of}-${index}`,
      namespace: project.namespace,
      labels: { [projectLabel]: project.name },
      ownerReferences: [{ apiVersion: 'plumbline.dev/v1alpha1', kind: 'Project', name: project.name, uid: project.uid }],
    },
    spec: { project: project.name, shard: index, shards: of, entries },
  };
}
