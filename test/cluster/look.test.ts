import { beforeAll, describe, expect, test } from '@jest/globals';
import { connectCluster } from '../../src/cluster.ts';
import { projectAccount } from '../../src/flow/source.ts';
import { lookAt } from '../../src/sync/look.ts';
import { loadInventory, storeInventory } from '../../src/sync/store.ts';
import { configMap } from '../support/project-world.ts';
import { installedPlane, openTenant, type Tenant } from '../support/tenant.ts';

beforeAll(async () => {
  await installedPlane();
}, 90_000);

const secret = 'apiVersion: v1\nkind: Secret\nmetadata: {name: token}\nstringData: {value: hunter2}\n';
const web =
  'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 1\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec: {containers: [{name: web, image: "web:1"}]}\n';
const files = { 'k8s/a.yaml': configMap('a', { a: '1' }), 'k8s/b.yaml': configMap('b', { b: '1' }), 'k8s/token.yaml': secret };

async function synced(more: Record<string, string> = {}): Promise<Tenant> {
  const tenant = await openTenant();
  await tenant.project({ syncPolicy: { prune: true } });
  tenant.commit({ ...files, ...more });
  await tenant.sync();
  return tenant;
}

/** What a tick would find, and what it asked for: object reads only, by name. */
async function look(tenant: Tenant) {
  const project = await tenant.read();
  const inventory = await loadInventory(tenant.cluster, project);
  const account = await projectAccount(project, tenant.cluster);
  for (const entry of inventory.entries.values())
    await account.resource({ apiVersion: entry.apiVersion, kind: entry.id.split('/')[1] ?? '' });
  const before = tenant.plane.requests().length;
  const found = await lookAt(project, inventory, account);
  const asked = tenant.plane
    .requests()
    .slice(before)
    .filter((one) => one.uri.includes(tenant.namespace));
  const short = (id: string) => id.split('/').at(-1) ?? '';
  return {
    found,
    inventory,
    suspects: found.suspects.map(short),
    updates: found.updates.map((entry) => short(entry.id)),
    reads: asked.filter((one) => one.verb === 'get').map((one) => short(one.uri)),
    lists: asked.filter((one) => one.verb === 'list').length,
  };
}

describe('a look at what was applied', () => {
  test('costs one list a kind when nobody has written, and reads nothing', async () => {
    const tenant = await synced();
    expect(await look(tenant)).toMatchObject({ suspects: [], updates: [], reads: [], lists: 2, found: { health: 'Healthy' } });
  });

  test('reads what somebody wrote to; a foreign key is no suspicion, and no second read once it is noted', async () => {
    const tenant = await synced();
    await tenant.edit('ConfigMap', 'a', { data: { theirs: 'x' } });
    const first = await look(tenant);
    expect(first).toMatchObject({ suspects: [], updates: ['a'], reads: ['a'] });
    const entries = new Map(first.inventory.entries);
    for (const entry of first.found.updates) entries.set(entry.id, entry);
    await storeInventory(tenant.cluster, await tenant.read(), first.inventory, entries);
    expect(await look(tenant)).toMatchObject({ suspects: [], updates: [], reads: [] });
  });

  test.each<[string, (tenant: Tenant) => Promise<unknown>, string]>([
    ['a value of ours', (tenant) => tenant.edit('ConfigMap', 'a', { data: { a: '2' } }), 'a'],
    [
      'a value of ours, and back',
      async (tenant) => [
        await tenant.edit('ConfigMap', 'a', { data: { a: '2' } }),
        await tenant.edit('ConfigMap', 'a', { data: { a: '1' } }),
      ],
      'a',
    ],
    ['our label', (tenant) => tenant.edit('ConfigMap', 'a', { metadata: { labels: null } }), 'a'],
    ['a deletion', (tenant) => tenant.remove('ConfigMap', 'a'), 'a'],
    ['anything in a Secret', (tenant) => tenant.edit('Secret', 'token', { data: { theirs: 'eA==' } }), 'token'],
  ])('suspects %s', async (_, change, name) => {
    const tenant = await synced();
    await change(tenant);
    expect(await look(tenant)).toMatchObject({ suspects: [name], reads: [name] });
  });

  test('what was reported as drift is read and not suspected again, until it moves', async () => {
    const tenant = await synced();
    await tenant.edit('ConfigMap', 'a', { data: { a: '2' } });
    await tenant.remove('ConfigMap', 'b');
    await tenant.sync();
    expect((await look(tenant)).suspects).toEqual([]);
    await tenant.edit('ConfigMap', 'a', { data: { a: '3' } });
    expect((await look(tenant)).suspects).toEqual(['a']);
    await tenant.create({ kind: 'ConfigMap', metadata: { name: 'b' } });
    expect((await look(tenant)).suspects.sort()).toEqual(['a', 'b']);
  });

  test('reads what is not ready at every look, and sees it become so', async () => {
    const tenant = await synced({ 'k8s/web.yaml': web });
    expect(await look(tenant)).toMatchObject({ suspects: [], reads: ['web'], found: { health: 'Progressing' } });
    await tenant.plane.kubectl(
      [
        'patch',
        'deployment',
        'web',
        '--subresource=status',
        '--type=merge',
        '-p',
        '{"status":{"observedGeneration":1,"replicas":1,"updatedReplicas":1,"readyReplicas":1,"availableReplicas":1,"unavailableReplicas":null}}',
      ],
      {
        namespace: tenant.namespace,
      },
    );
    expect((await look(tenant)).reads).toEqual(['web']);
  });

  test('an edit of what left Git and was kept is looked into once: it was a Job every minute, for ever', async () => {
    const tenant = await openTenant();
    await tenant.project();
    tenant.commit(files);
    await tenant.sync();
    const { 'k8s/b.yaml': _, ...rest } = files;
    tenant.commit(rest);
    await tenant.sync();
    await tenant.edit('ConfigMap', 'b', { data: { b: 'edited' } });
    expect((await look(tenant)).suspects).toEqual(['b']);
    await tenant.sync();
    expect((await look(tenant)).suspects).toEqual([]);
  });

  test('an object that waits for its finalizer is not suspected again, and is once it is gone', async () => {
    const tenant = await synced({ 'k8s/c.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, finalizers: [example.com/hold]}\n' });
    tenant.commit(files);
    await tenant.sync();
    expect((await look(tenant)).suspects).toEqual([]);
    await tenant.edit('ConfigMap', 'c', { metadata: { finalizers: null } });
    expect((await look(tenant)).suspects).toEqual(['c']);
  });

  test('knows no health while a part of the inventory is missing', async () => {
    const tenant = await synced();
    await tenant.kubectl('delete', 'inventories.plumbline.dev', '--all');
    expect((await look(tenant)).found).toEqual({ updates: [], suspects: [], health: 'Unknown' });
  });

  test('without the right to list says so instead of finding everything gone', async () => {
    const tenant = await synced();
    await tenant.kubectl('delete', 'rolebinding', 'plumbline');
    const project = await tenant.read();
    const inventory = await loadInventory(tenant.cluster, project);
    const nobody = connectCluster({ kubeconfig: tenant.plane.kubeconfig }).as({ namespace: tenant.namespace, name: 'nobody' });
    await expect(lookAt(project, inventory, nobody)).rejects.toMatchObject({
      code: 'API_FORBIDDEN',
      message: expect.stringContaining('cannot list resource'),
    });
  });
});
