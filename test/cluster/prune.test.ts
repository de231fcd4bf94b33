import { beforeAll, describe, expect, test } from '@jest/globals';
import { until } from '../support/cluster/until.ts';
import { configMap } from '../support/project-world.ts';
import { installedPlane, openTenant, type Tenant } from '../support/tenant.ts';

beforeAll(async () => {
  await installedPlane();
}, 90_000);

const claim =
  'apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\nspec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n';
const maps = (...names: string[]) => Object.fromEntries(names.map((name) => [`k8s/${name}.yaml`, configMap(name, { name })]));
const numbered = (count: number) => Array.from({ length: count }, (_, index) => `c${index}`);

async function synced(files: Record<string, string>, policy: object = { prune: true }): Promise<Tenant> {
  const tenant = await openTenant();
  await tenant.project({ syncPolicy: policy });
  tenant.commit(files);
  await tenant.sync();
  return tenant;
}
const left = async (tenant: Tenant) => (await tenant.names('ConfigMap')).sort();
const known = async (tenant: Tenant) => [...(await tenant.inventory()).keys()].map((id) => id.split('/').at(-1)).sort();

describe('what leaves Git', () => {
  test('stays while prune is off, is named, and is no news to the next sync; with prune it goes', async () => {
    const tenant = await synced(maps('a', 'b'), {});
    tenant.commit(maps('a'));
    const outcome = await tenant.sync();
    expect(outcome).toMatchObject({
      sync: 'OutOfSync',
      reason: 'PruneDisabled',
      message: `left Git and still there (prune is off): ConfigMap/${tenant.namespace}/b`,
    });
    tenant.writes();
    expect(await tenant.sync()).toMatchObject({ reason: 'PruneDisabled' });
    expect([tenant.writes(), await left(tenant), await known(tenant)]).toEqual([[], ['a', 'b'], ['a', 'b']]);
    await tenant.project({ syncPolicy: { prune: true } });
    expect(await tenant.sync()).toMatchObject({ sync: 'Synced' });
    expect([await left(tenant), await known(tenant)]).toEqual([['a'], ['a']]);
  });

  test('stays with plumbline.dev/prune: disabled, and goes once that is taken away', async () => {
    const tenant = await synced({
      ...maps('a'),
      'k8s/b.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b, annotations: {plumbline.dev/prune: disabled}}\n',
    });
    tenant.commit(maps('a'));
    expect(await tenant.sync()).toMatchObject({ sync: 'OutOfSync', reason: 'PruneDisabled' });
    await tenant.edit('ConfigMap', 'b', { metadata: { annotations: { 'plumbline.dev/prune': null } } });
    expect(await tenant.sync()).toMatchObject({ sync: 'Synced' });
    expect(await left(tenant)).toEqual(['a']);
  });

  test.each<[string, (tenant: Tenant) => Promise<unknown>]>([
    ['somebody took our label off', (tenant) => tenant.edit('ConfigMap', 'b', { metadata: { labels: null } })],
    [
      'somebody deleted it and made another of that name, with our label',
      async (tenant) => {
        const before = await tenant.get('ConfigMap', 'b');
        await tenant.remove('ConfigMap', 'b');
        await tenant.create({ kind: 'ConfigMap', metadata: { name: 'b', labels: before?.metadata.labels } });
      },
    ],
  ])('is let go and stays when %s', async (_, change) => {
    const tenant = await synced(maps('a', 'b'));
    await change(tenant);
    tenant.commit(maps('a'));
    tenant.writes();
    expect(await tenant.sync()).toMatchObject({ sync: 'Synced' });
    expect([await left(tenant), await known(tenant), tenant.writes()]).toEqual([['a', 'b'], ['a'], []]);
  });

  test('nothing that merely carries our label is deleted', async () => {
    const tenant = await synced(maps('a', 'b'));
    const labels = (await tenant.get('ConfigMap', 'a'))?.metadata.labels;
    await tenant.create({ kind: 'ConfigMap', metadata: { name: 'foreign', labels } });
    tenant.commit(maps('a'));
    await tenant.sync();
    expect(await left(tenant)).toEqual(['a', 'foreign']);
  });
});

describe('a deletion that does not happen at once', () => {
  test('held by a finalizer: it stays in the inventory and is told until it is gone, and nobody is asked twice', async () => {
    const tenant = await synced({
      ...maps('a'),
      'k8s/b.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b, finalizers: [example.com/hold]}\n',
    });
    tenant.commit(maps('a'));
    tenant.writes();
    const told = {
      sync: 'OutOfSync',
      reason: 'DeletionPending',
      message: expect.stringContaining(`ConfigMap/${tenant.namespace}/b is being deleted, held by example.com/hold`),
    };
    expect(await tenant.sync()).toMatchObject(told);
    expect(tenant.writes()).toEqual(['delete configmaps/b 200', 'delete configmaps/b 200']);
    expect(await tenant.sync()).toMatchObject(told);
    expect([tenant.writes(), await known(tenant)]).toEqual([[], ['a', 'b']]);
    await tenant.edit('ConfigMap', 'b', { metadata: { finalizers: null } });
    await until('it is gone', 10_000, async () => (await tenant.get('ConfigMap', 'b')) === undefined);
    expect(await tenant.sync()).toMatchObject({ sync: 'Synced' });
    expect(await known(tenant)).toEqual(['a']);
  });

  test('refused: nothing is applied either, it stays in the inventory, and goes once it is allowed', async () => {
    const tenant = await openTenant('');
    await tenant.create({ kind: 'ServiceAccount', metadata: { name: 'plumbline' } });
    await tenant.kubectl('create', 'role', 'writer', '--verb=get,list,create,patch', '--resource=configmaps');
    await tenant.kubectl('create', 'rolebinding', 'writer', '--role=writer', `--serviceaccount=${tenant.namespace}:plumbline`);
    await tenant.project({ syncPolicy: { prune: true } });
    tenant.commit(maps('a', 'b'));
    await until('its rights are known', 20_000, async () => (await tenant.sync())?.sync === 'Synced');
    tenant.commit(maps('a', 'new'));
    const outcome = await tenant.sync();
    expect(outcome).toMatchObject({
      sync: 'Failed',
      reason: 'ApiForbidden',
      message: expect.stringContaining('cannot delete resource "configmaps"'),
    });
    expect([await left(tenant), await known(tenant)]).toEqual([
      ['a', 'b'],
      ['a', 'b'],
    ]);
    await tenant.kubectl('create', 'role', 'deleter', '--verb=delete', '--resource=configmaps');
    await tenant.kubectl('create', 'rolebinding', 'deleter', '--role=deleter', `--serviceaccount=${tenant.namespace}:plumbline`);
    await until('it may delete', 20_000, async () => (await tenant.sync())?.sync === 'Synced');
    expect(await left(tenant)).toEqual(['a', 'new']);
  });

  test('an object of Git that somebody is deleting is waited for and made anew', async () => {
    const tenant = await synced({
      'k8s/b.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b, finalizers: [example.com/hold]}\ndata: {a: "1"}\n',
    });
    await tenant.remove('ConfigMap', 'b');
    tenant.commit({ 'k8s/b.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\ndata: {a: "2"}\n' });
    expect(await tenant.sync()).toMatchObject({
      sync: 'Failed',
      failed: { retry: 'later' },
      message: expect.stringContaining('is being deleted, held by example.com/hold'),
    });
    await tenant.edit('ConfigMap', 'b', { metadata: { finalizers: null } });
    await until('it is gone', 10_000, async () => (await tenant.get('ConfigMap', 'b')) === undefined);
    expect(await tenant.sync()).toMatchObject({ sync: 'Synced' });
    expect((await tenant.get('ConfigMap', 'b'))?.['data']).toEqual({ a: '2' });
  });

  test('an object that somebody keeps writing to goes all the same: its version moved between look and delete', async () => {
    const tenant = await synced(maps('a', 'b'));
    tenant.commit(maps('a'));
    const account = tenant.doors.cluster;
    let nudged = 0;
    const outcome = await tenant.sync({
      cluster: {
        ...account,
        as: (who) => {
          const inner = account.as(who);
          return {
            ...inner,
            async delete(ref, options) {
              if (!options.dryRun && nudged++ < 2)
                await tenant.edit('ConfigMap', 'b', { metadata: { annotations: { nudged: `${nudged}` } } });
              return inner.delete(ref, options);
            },
          };
        },
      },
    });
    expect([outcome?.sync, nudged, await left(tenant)]).toEqual(['Synced', 3, ['a']]);
  });
});

describe('the deletion budget', () => {
  test('more than it allows is held; the line of the status, pasted, deletes exactly those; nothing else waits for that', async () => {
    const tenant = await synced(maps(...numbered(10)));
    tenant.commit({ ...maps(...numbered(10).slice(6)), ...maps('new') });
    const outcome = await tenant.sync();
    expect(outcome).toMatchObject({
      sync: 'OutOfSync',
      reason: 'DeletionHeld',
      message: expect.stringContaining('6 of 10 objects would be deleted'),
    });
    expect(await left(tenant)).toEqual([...numbered(10), 'new']);
    const [pending] = (await tenant.status()).pending ?? [];
    expect(pending).toMatchObject({ kind: 'delete', key: expect.stringMatching(/^[0-9a-f]{6}$/) });
    expect(outcome?.message).toContain(pending?.line);
    await tenant.sync();
    expect((await tenant.status()).pending).toEqual([pending]);
    expect(await left(tenant)).toHaveLength(11);
    await tenant.paste(pending?.line ?? '');
    expect(await tenant.sync()).toMatchObject({ sync: 'Synced' });
    expect(await left(tenant)).toEqual([...numbered(10).slice(6), 'new']);
    expect([(await tenant.status()).pending, (await tenant.read()).annotations]).toEqual([[], {}]);
  });

  test('an approval is for what was shown: one more object that left meanwhile is asked for anew', async () => {
    const tenant = await synced(maps(...numbered(10)));
    tenant.commit(maps(...numbered(10).slice(6)));
    await tenant.sync();
    const [pending] = (await tenant.status()).pending ?? [];
    tenant.commit(maps(...numbered(10).slice(7)));
    await tenant.paste(pending?.line ?? '');
    expect(await tenant.sync()).toMatchObject({ reason: 'DeletionHeld' });
    expect(await left(tenant)).toHaveLength(10);
    expect((await tenant.status()).pending?.[0]?.key).not.toBe(pending?.key);
  });

  test('a claim is never deleted unasked, its neighbours are', async () => {
    const tenant = await synced({ ...maps('a', 'b'), 'k8s/data.yaml': claim });
    tenant.commit(maps('a'));
    expect(await tenant.sync()).toMatchObject({
      reason: 'DeletionHeld',
      message: expect.stringContaining(`PersistentVolumeClaim/${tenant.namespace}/data: this kind is never deleted unasked`),
    });
    expect([await left(tenant), await tenant.names('PersistentVolumeClaim')]).toEqual([['a'], ['data']]);
    await tenant.paste((await tenant.status()).pending?.[0]?.line ?? '');
    await tenant.sync();
    expect((await tenant.get('PersistentVolumeClaim', 'data'))?.metadata.deletionTimestamp ?? 'gone').toBeDefined();
    await until('it is gone', 20_000, async () => (await tenant.names('PersistentVolumeClaim')).length === 0);
  });

  test('everything is held, with allowEmpty too', async () => {
    const tenant = await synced(maps('a', 'b'), { prune: true, allowEmpty: true });
    tenant.commit({ 'k8s/a.yaml': '# moved away\n' });
    expect(await tenant.sync()).toMatchObject({
      reason: 'DeletionHeld',
      message: expect.stringContaining('all 2 objects that were applied would be deleted'),
    });
    await tenant.paste((await tenant.status()).pending?.[0]?.line ?? '');
    expect(await tenant.sync()).toMatchObject({ sync: 'Synced', objects: 0 });
    expect(await left(tenant)).toEqual([]);
  });
});

describe('the inventory', () => {
  test('lost as a whole: nothing is deleted, it says so, and the next commit knows what is there', async () => {
    const tenant = await synced(maps('a', 'b', 'c'));
    await tenant.kubectl('delete', 'inventories.plumbline.dev', '--all');
    tenant.commit(maps('a', 'b'));
    const outcome = await tenant.sync();
    expect(outcome?.message).toContain('INVENTORY_INCOMPLETE: a part of the inventory is missing, so nothing is deleted');
    expect([await left(tenant), await known(tenant)]).toEqual([
      ['a', 'b', 'c'],
      ['a', 'b'],
    ]);
    tenant.commit(maps('a'));
    expect(await tenant.sync()).toMatchObject({ sync: 'Synced' });
    expect(await left(tenant)).toEqual(['a', 'c']);
  });

  test('of more than 500 objects lies in shards, is read whole, and one change rewrites one of them', async () => {
    const tenant = await openTenant();
    await tenant.project({ syncPolicy: { prune: true } });
    const all = numbered(520).map((name) => configMap(name, { name }));
    tenant.commit({ 'k8s/all.yaml': all.join('---\n') });
    expect(await tenant.sync()).toMatchObject({ sync: 'Synced', objects: 520 });
    const shards = () =>
      tenant.kubectl(
        'get',
        'inventories.plumbline.dev',
        '-o',
        'jsonpath={range .items[*]}{.metadata.name} {.metadata.resourceVersion}{"\\n"}{end}',
      );
    const before = (await shards()).trim().split('\n');
    expect(before.map((line) => line.split(' ')[0])).toEqual(['api-2-0', 'api-2-1']);
    all[0] = configMap('c0', { name: 'other' });
    tenant.writes();
    tenant.commit({ 'k8s/all.yaml': all.slice(0, -1).join('---\n') });
    expect(await tenant.sync()).toMatchObject({ sync: 'Synced', objects: 519 });
    expect(tenant.writes().filter((one) => one.startsWith('patch'))).toEqual(['patch configmaps/c0 200']);
    expect(await left(tenant)).toHaveLength(519);
  }, 120_000);
});
