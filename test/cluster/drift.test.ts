import { beforeAll, describe, expect, test } from '@jest/globals';
import type { KubeObject } from '../../src/object.ts';
import { approveAnnotation } from '../../src/project.ts';
import { until } from '../support/cluster/until.ts';
import { configMap } from '../support/project-world.ts';
import { installedPlane, openTenant, type Tenant } from '../support/tenant.ts';

beforeAll(async () => {
  await installedPlane();
}, 90_000);

const web = (image = 'web:1', replicas = 2) =>
  `apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: ${replicas}\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec: {containers: [{name: web, image: "${image}"}]}\n`;
const canary = 'hunter2-canary';
const secret = (value = canary) => `apiVersion: v1\nkind: Secret\nmetadata: {name: token}\nstringData: {password: ${value}}\n`;
const files = {
  'k8s/web.yaml': web(),
  'k8s/settings.yaml': configMap('settings', { colour: 'blue', size: 'xl' }),
  'k8s/token.yaml': secret(),
};

async function synced(policy: object = {}): Promise<Tenant> {
  const tenant = await openTenant();
  await tenant.project({ syncPolicy: { prune: true, ...policy } });
  tenant.commit(files);
  await tenant.sync();
  tenant.writes();
  return tenant;
}
const specOf = async (tenant: Tenant) =>
  (await tenant.get('Deployment', 'web'))?.['spec'] as { replicas: number; template: { spec: { containers: { image: string }[] } } };
const drifts = async (tenant: Tenant) =>
  (await tenant.status()).drift?.objects.map(
    (one) => `${one.object.replace(tenant.namespace, 'NS')} ${one.kind}: ${one.fields.join(', ')}`,
  );

const passwordOf = (object: KubeObject | undefined) =>
  Buffer.from((object?.['data'] as { password?: string } | undefined)?.password ?? '', 'base64').toString();

type Edit = [string, (tenant: Tenant) => Promise<unknown>, RegExp, (tenant: Tenant) => Promise<unknown>, unknown];
const edits: Edit[] = [
  [
    'kubectl scale, of which Kubernetes keeps no time',
    (tenant) => tenant.kubectl('scale', 'deployment', 'web', '--replicas=5'),
    /^Deployment\/NS\/web configuration: \.spec\.replicas 2 → 5 live, kubectl$/,
    async (tenant) => (await specOf(tenant)).replicas,
    2,
  ],
  [
    'another image',
    (tenant) => tenant.kubectl('set', 'image', 'deployment/web', 'web=web:hotfix'),
    /^Deployment\/NS\/web image: \.spec\.template\.spec\.containers\[name="web"\]\.image web:1 → web:hotfix live, kubectl-set \d\d:\d\d UTC$/,
    async (tenant) => (await specOf(tenant)).template.spec.containers[0]?.image,
    'web:1',
  ],
  [
    'an edited value',
    (tenant) => tenant.edit('ConfigMap', 'settings', { data: { colour: 'red' } }),
    /^ConfigMap\/NS\/settings configuration: \.data\.colour blue → red live, kubectl-edit \d\d:\d\d UTC$/,
    async (tenant) => (await tenant.get('ConfigMap', 'settings'))?.['data'],
    { colour: 'blue', size: 'xl' },
  ],
  [
    'a removed value',
    (tenant) => tenant.edit('ConfigMap', 'settings', { data: { size: null } }),
    /^ConfigMap\/NS\/settings configuration: \.data\.size xl → removed$/,
    async (tenant) => (await tenant.get('ConfigMap', 'settings'))?.['data'],
    { colour: 'blue', size: 'xl' },
  ],
  [
    'a removed label of ours',
    (tenant) => tenant.edit('ConfigMap', 'settings', { metadata: { labels: { 'applyset.kubernetes.io/part-of': null } } }),
    /^ConfigMap\/NS\/settings configuration: \.metadata\.labels\.applyset\.kubernetes\.io\/part-of applyset-.* → removed$/,
    async (tenant) => Object.keys((await tenant.get('ConfigMap', 'settings'))?.metadata.labels ?? {}),
    ['applyset.kubernetes.io/part-of'],
  ],
  [
    'a deletion',
    (tenant) => tenant.remove('ConfigMap', 'settings'),
    /^ConfigMap\/NS\/settings resource: in Git but not in cluster$/,
    async (tenant) => (await tenant.get('ConfigMap', 'settings'))?.['data'],
    { colour: 'blue', size: 'xl' },
  ],
  [
    'a changed Secret, of which no value is shown',
    (tenant) => tenant.edit('Secret', 'token', { stringData: { password: 'stolen-canary' } }),
    /^Secret\/NS\/token configuration: \.data\.password changed, kubectl-edit \d\d:\d\d UTC$/,
    async (tenant) => passwordOf(await tenant.get('Secret', 'token')),
    canary,
  ],
];

describe('what somebody changed by hand', () => {
  test.each(edits)('%s: named and left alone; a sync that was asked for takes it back', async (_, change, words, value, wanted) => {
    const tenant = await synced();
    await change(tenant);
    const left = await value(tenant);
    const outcome = await tenant.sync();
    expect(outcome).toMatchObject({
      sync: 'OutOfSync',
      reason: 'Drifted',
      message: expect.stringMatching(/^Manual change detected in api: /),
    });
    expect(await drifts(tenant)).toEqual([expect.stringMatching(words)]);
    expect([tenant.writes(), await value(tenant)]).toEqual([[], left]);
    await tenant.edit('Project', 'api', { metadata: { annotations: { 'plumbline.dev/sync': 'now' } } });
    expect(await tenant.sync()).toMatchObject({ sync: 'Synced' });
    expect([await value(tenant), await drifts(tenant)]).toEqual([wanted, []]);
  });

  test.each(edits)('%s: taken back at once with selfHeal, and nothing else is written', async (_, change, __, value, wanted) => {
    const tenant = await synced({ selfHeal: true });
    await change(tenant);
    expect(await tenant.sync()).toMatchObject({ sync: 'Synced', history: { message: '1 applied, 0 deleted' } });
    expect(await value(tenant)).toEqual(wanted);
    expect(tenant.writes()).toHaveLength(1);
    tenant.writes();
    expect(await tenant.sync()).toMatchObject({ sync: 'Synced' });
    expect(tenant.writes()).toEqual([]);
  });

  test('a newer commit takes it back as well', async () => {
    const tenant = await synced();
    await tenant.kubectl('scale', 'deployment', 'web', '--replicas=5');
    await tenant.sync();
    tenant.commit({ ...files, 'k8s/more.yaml': configMap('more', {}) });
    expect(await tenant.sync()).toMatchObject({ sync: 'Synced' });
    expect((await specOf(tenant)).replicas).toBe(2);
  });

  test('put back by hand it is no drift any more, and the fields are ours again', async () => {
    const tenant = await synced();
    await tenant.kubectl('scale', 'deployment', 'web', '--replicas=5');
    await tenant.sync();
    await tenant.kubectl('scale', 'deployment', 'web', '--replicas=2');
    expect(await tenant.sync()).toMatchObject({ sync: 'Synced' });
    expect(await drifts(tenant)).toEqual([]);
    tenant.writes();
    await tenant.sync();
    expect(tenant.writes()).toEqual([]);
    await tenant.kubectl('scale', 'deployment', 'web', '--replicas=7');
    expect(await tenant.sync()).toMatchObject({ reason: 'Drifted' });
  });

  test('several at once are all named, the count is true, and a foreign key is none', async () => {
    const tenant = await synced();
    await tenant.edit('ConfigMap', 'settings', { data: { colour: 'red', theirs: 'x' } });
    await tenant.kubectl('scale', 'deployment', 'web', '--replicas=5');
    await tenant.sync();
    const { drift } = await tenant.status();
    expect([drift?.count, drift?.objects.map((one) => one.fields.length)]).toEqual([2, [1, 1]]);
  });

  test('a foreign key alone is no drift and stays', async () => {
    const tenant = await synced({ selfHeal: true });
    await tenant.edit('ConfigMap', 'settings', { data: { theirs: 'x' } });
    expect(await tenant.sync()).toMatchObject({ sync: 'Synced' });
    expect((await tenant.get('ConfigMap', 'settings'))?.['data']).toEqual({ colour: 'blue', size: 'xl', theirs: 'x' });
    expect(tenant.writes()).toEqual([]);
  });

  test('an autoscaler that owns replicas which Git leaves out is none', async () => {
    const tenant = await openTenant();
    await tenant.project();
    tenant.commit({ 'k8s/web.yaml': web().replace('  replicas: 2\n', '') });
    await tenant.sync();
    await tenant.kubectl('scale', 'deployment', 'web', '--replicas=4');
    expect(await tenant.sync()).toMatchObject({ sync: 'Synced' });
    expect((await specOf(tenant)).replicas).toBe(4);
  });

  test('an approval that belongs to nothing does not make it be taken back', async () => {
    const tenant = await synced();
    await tenant.kubectl('scale', 'deployment', 'web', '--replicas=5');
    await tenant.edit('Project', 'api', { metadata: { annotations: { [approveAnnotation]: 'delete-000000' } } });
    expect(await tenant.sync()).toMatchObject({ reason: 'Drifted' });
    expect((await specOf(tenant)).replicas).toBe(5);
  });
});

test('no value of a Secret is anywhere: status, inventory, events, what the outcome says', async () => {
  const tenant = await synced();
  const told = [await tenant.sync()];
  await tenant.edit('Secret', 'token', { stringData: { password: `other-${canary}` } });
  told.push(await tenant.sync());
  tenant.commit({ ...files, 'k8s/token.yaml': `apiVersion: v1\nkind: Secret\nmetadata: {name: token}\ndata: {password: [${canary}]}\n` });
  told.push(await tenant.sync());
  tenant.commit({ ...files, 'k8s/token.yaml': secret(`third-${canary}`) });
  told.push(await tenant.sync());
  expect(told.map((one) => one?.sync)).toEqual(['Synced', 'OutOfSync', 'Failed', 'Synced']);
  const places = [
    told,
    await tenant.get('Project', 'api'),
    [...(await tenant.inventory()).values()],
    await tenant.kubectl('get', 'events', '-o', 'json'),
  ];
  const text = JSON.stringify(places);
  for (const value of [canary, Buffer.from(canary).toString('base64').replace(/=+$/, '')]) expect(text).not.toContain(value);
});

test('a Secret whose value changes in Git is applied although nobody has written to it', async () => {
  const tenant = await synced();
  tenant.commit({ ...files, 'k8s/token.yaml': secret('next') });
  expect(await tenant.sync()).toMatchObject({ sync: 'Synced' });
  expect(passwordOf(await tenant.get('Secret', 'token'))).toBe('next');
});

test('an object made anew by somebody else is reported, and its fields are not taken without being asked', async () => {
  const tenant = await synced();
  await tenant.remove('ConfigMap', 'settings');
  await tenant.create({ kind: 'ConfigMap', metadata: { name: 'settings' }, data: { colour: 'green' } });
  const outcome = await tenant.sync();
  expect(outcome?.sync).not.toBe('Synced');
  expect(outcome?.message).toMatch(/settings/);
  expect((await tenant.get('ConfigMap', 'settings'))?.['data']).toEqual({ colour: 'green' });
  await until('nothing is written', 1000, async () => tenant.writes().length === 0);
});
