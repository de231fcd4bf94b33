import { describe, expect, test } from '@jest/globals';
import type { KubeObject } from '../../src/object.ts';
import {
  type Inventory,
  type InventoryEntry,
  type InventoryWrite,
  readInventory,
  refOfEntry,
  writeInventory,
} from '../../src/sync/inventory.ts';

const project = { namespace: 'shop', name: 'api', uid: 'p-1' };
const entriesNamed = (count: number, more: Partial<InventoryEntry> = {}) =>
  new Map(
    Array.from({ length: count }, (_, index): [string, InventoryEntry] => {
      const id = `/ConfigMap/shop/c${index}`;
      return [id, { id, apiVersion: 'v1', since: '2026-11-21T10:00:00Z', ...more }];
    }),
  );
const nothing = readInventory([]);

/** What the cluster holds after the first `steps` requests of a write. */
function carryOut(objects: KubeObject[], write: InventoryWrite, steps = Number.POSITIVE_INFINITY): KubeObject[] {
  const all = new Map(objects.map((object) => [object.metadata.name, object]));
  const requests = [
    ...write.create.map((object) => () => all.set(object.metadata.name, object)),
    ...write.replace.map((object) => () => all.set(object.metadata.name, object)),
    ...write.remove.map((object) => () => all.delete(object.metadata.name)),
  ];
  for (const request of requests.slice(0, steps)) request();
  return [...all.values()];
}
const requestsOf = (write: InventoryWrite) => write.create.length + write.replace.length + write.remove.length;
const stored = (count: number) => carryOut([], writeInventory(project, nothing, entriesNamed(count)));
const idsOf = (inventory: Inventory) => [...inventory.entries.keys()].sort();

describe('the layout', () => {
  test.each([
    [0, 1],
    [500, 1],
    [501, 2],
    [5000, 16],
  ])('%i entries lie in %i shards of at most 500', (count, shards) => {
    const objects = stored(count);
    const sizes = objects.map((object) => (object['spec'] as { entries: unknown[] }).entries.length);
    expect([objects.length, Math.max(...sizes) <= 500, sizes.reduce((a, b) => a + b)]).toEqual([shards, true, count]);
    expect(idsOf(readInventory(objects))).toEqual([...entriesNamed(count).keys()].sort());
  });

  test('a shard is named, labelled and owned after its project', () => {
    expect(stored(1)[0]?.metadata).toEqual({
      name: 'api-1-0',
      namespace: 'shop',
      labels: { 'plumbline.dev/project': 'api' },
      ownerReferences: [{ apiVersion: 'plumbline.dev/v1alpha1', kind: 'Project', name: 'api', uid: 'p-1' }],
    });
  });

  test('one changed entry rewrites one shard, as a compare-and-swap; none rewrites none', () => {
    const objects = stored(900).map((object, index) => ({
      ...object,
      metadata: { ...object.metadata, resourceVersion: String(100 + index) },
    }));
    const inventory = readInventory(objects);
    expect(requestsOf(writeInventory(project, inventory, inventory.entries))).toBe(0);
    const changed = new Map(inventory.entries).set('/ConfigMap/shop/c1', {
      id: '/ConfigMap/shop/c1',
      apiVersion: 'v1',
      since: '2026-11-21T11:00:00Z',
    });
    const write = writeInventory(project, inventory, changed);
    expect(requestsOf(write)).toBe(1);
    expect(write.replace[0]?.metadata.resourceVersion).toMatch(/^10[01]$/);
  });

  test('never shrinks, so that a project at the border does not move to and fro', () => {
    const objects = stored(501);
    const write = writeInventory(project, readInventory(objects), entriesNamed(499));
    expect([write.create, write.remove]).toEqual([[], []]);
  });
});

describe('a crash while growing', () => {
  const before = stored(500);
  const grown = entriesNamed(600);
  const write = writeInventory(project, readInventory(before), grown);

  test.each(Array.from({ length: requestsOf(write) }, (_, steps) => steps))(
    'after %i requests nothing that was recorded is lost, and the next write completes it',
    (steps) => {
      const objects = carryOut(before, write, steps);
      const inventory = readInventory(objects);
      expect(inventory.complete).toBe(true);
      expect(idsOf(inventory)).toEqual(expect.arrayContaining([...entriesNamed(500).keys()]));
      const after = carryOut(objects, writeInventory(project, inventory, grown));
      expect(after.map((object) => object.metadata.name).sort()).toEqual(['api-2-0', 'api-2-1']);
      expect(idsOf(readInventory(after))).toEqual([...grown.keys()].sort());
    },
  );

  test('a shard of the larger layout is not believed while its sibling is missing', () => {
    const [first] = write.create;
    expect(readInventory([...before, ...(first ? [first] : [])]).entries.size).toBe(500);
  });

  test('when the set shrank meanwhile, the beginning of the larger layout is taken away again', () => {
    const objects = carryOut(before, write, 1);
    const after = carryOut(objects, writeInventory(project, readInventory(objects), entriesNamed(10)));
    expect(after.map((object) => object.metadata.name)).toEqual(['api-1-0']);
    expect(readInventory(after).entries.size).toBe(10);
  });
});

describe('a missing shard', () => {
  const objects = stored(900);

  test.each([0, 1])('without shard %i the rest is known, and that it is not all', (missing) => {
    const inventory = readInventory(objects.filter((_, index) => index !== missing));
    expect(inventory.complete).toBe(false);
    expect(inventory.entries.size).toBeGreaterThan(0);
    expect(inventory.entries.size).toBeLessThan(900);
  });

  test('is made anew by the next write', () => {
    const left = objects.slice(1);
    const after = carryOut(left, writeInventory(project, readInventory(left), entriesNamed(900)));
    expect(readInventory(after)).toMatchObject({ complete: true, entries: { size: 900 } });
  });
});

test.each([
  ['/ConfigMap/shop/a', 'v1', { apiVersion: 'v1', kind: 'ConfigMap', namespace: 'shop', name: 'a' }],
  [
    'rbac.authorization.k8s.io/ClusterRole//system:reader',
    'rbac.authorization.k8s.io/v1',
    { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', name: 'system:reader' },
  ],
])('%s names an object', (id, apiVersion, ref) => {
  expect(refOfEntry({ id, apiVersion, since: '' })).toEqual(ref);
});
