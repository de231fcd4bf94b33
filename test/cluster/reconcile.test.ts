import { beforeAll, describe, expect, test } from '@jest/globals';
import { PlumblineError } from '../../src/error.ts';
import { until } from '../support/cluster/until.ts';
import { configMap, openWorld } from '../support/project-world.ts';
import { installedPlane, openTenant, type Tenant } from '../support/tenant.ts';

beforeAll(async () => {
  await installedPlane();
}, 90_000);

const k8s = (files: Record<string, string>) => Object.fromEntries(Object.entries(files).map(([name, text]) => [`k8s/${name}.yaml`, text]));
const settings = (data: Record<string, string> = { colour: 'blue' }, name = 'settings') => configMap(name, data);
const service = 'apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{port: 80}]}\n';
const condition = async (tenant: Tenant, type: string) => (await tenant.status()).conditions?.find((one) => one.type === type);

describe('a project on a real API server, from a repository over HTTP', () => {
  test('applies what its revision holds and becomes Ready; a commit updates it; a missing path or branch is named and changes nothing', async () => {
    const world = await openWorld();
    try {
      const revision = await world.commit({ 'k8s/settings.yaml': settings(), 'k8s/web.yaml': service });
      await world.project({ syncPolicy: { prune: true } });
      expect(await world.sync()).toMatchObject({ sync: 'Synced', revision });
      expect((await world.get('configmap', 'settings'))?.['data']).toEqual({ colour: 'blue' });
      await world.plane.kubectl(['wait', '--for=condition=Ready', 'project/api', '--timeout=5s'], { namespace: world.namespace });
      expect(await world.status()).toMatchObject({ sync: 'Synced', health: 'Healthy', revision, objects: 2, drift: { count: 0 } });
      expect((await world.status()).history).toEqual([
        expect.objectContaining({ revision, author: 'Ada', trigger: 'test', result: 'Synced', message: '2 applied, 0 deleted' }),
      ]);
      await world.project({ syncPolicy: { prune: true }, source: { path: 'deploy' } });
      expect((await world.sync())?.message).toBe(
        `MANIFEST_NOT_FOUND: no manifests in deploy at ${revision.slice(0, 7)}; found some in k8s: set spec.source.path to one of them`,
      );
      await world.project({ syncPolicy: { prune: true }, source: { revision: 'release' } });
      expect((await world.sync())?.message).toBe(
        'REVISION_NOT_FOUND: the repository has no branch, tag or commit release; it has main: correct spec.source.revision',
      );
      await world.project({ syncPolicy: { prune: true } });
      world.server.fail = 503;
      expect(await world.sync()).toMatchObject({ sync: 'Failed', failed: { retry: 'later' } });
      expect(await world.get('configmap', 'settings')).toBeDefined();
      world.server.fail = undefined;
      expect(await world.sync()).toMatchObject({ sync: 'Synced' });
    } finally {
      await world.close();
    }
  });
});

describe('a commit', () => {
  let tenant: Tenant;
  beforeAll(async () => {
    tenant = await openTenant();
    await tenant.project({ syncPolicy: { prune: true } });
  });

  test('creates, updates and deletes, and writes only what it changes', async () => {
    tenant.commit(k8s({ a: settings({ a: '1' }, 'a'), b: settings({ b: '1' }, 'b'), c: settings({ c: '1' }, 'c') }));
    await tenant.sync();
    tenant.writes();
    tenant.commit(k8s({ a: settings({ a: '2', x: '1' }, 'a'), c: settings({ c: '1' }, 'c'), d: settings({ d: '1' }, 'd') }));
    const outcome = await tenant.sync();
    expect(outcome).toMatchObject({
      sync: 'Synced',
      message: '3 objects are as Git has them',
      history: { message: '2 applied, 1 deleted' },
    });
    expect((await tenant.names('ConfigMap')).sort()).toEqual(['a', 'c', 'd']);
    expect((await tenant.get('ConfigMap', 'a'))?.['data']).toEqual({ a: '2', x: '1' });
    // The delete is rehearsed first; that is said in its body, which the audit log does not show.
    expect(tenant.writes().sort()).toEqual([
      'delete configmaps/b 200',
      'delete configmaps/b 200',
      'patch configmaps/a 200',
      'patch configmaps/d 201',
    ]);
  });

  test('a key that leaves Git leaves the cluster', async () => {
    tenant.commit(k8s({ a: settings({ a: '2' }, 'a'), c: settings({ c: '1' }, 'c'), d: settings({ d: '1' }, 'd') }));
    await tenant.sync();
    expect((await tenant.get('ConfigMap', 'a'))?.['data']).toEqual({ a: '2' });
  });

  test('synced a second time writes nothing, not even a dry run', async () => {
    const before = tenant.plane.requests().length;
    tenant.writes();
    const inventory = await tenant.inventory();
    expect(await tenant.sync()).toMatchObject({ sync: 'Synced' });
    expect(tenant.writes()).toEqual([]);
    const dry = tenant.plane
      .requests()
      .slice(before)
      .filter((one) => one.uri.includes('dryRun') && one.uri.includes(tenant.namespace));
    expect([dry, await tenant.inventory()]).toEqual([[], inventory]);
  });

  test('that changes no manifest changes the revision in the status and nothing else', async () => {
    tenant.writes();
    const history = (await tenant.status()).history?.length;
    const revision = tenant.commit({
      ...k8s({ a: settings({ a: '2' }, 'a'), c: settings({ c: '1' }, 'c'), d: settings({ d: '1' }, 'd') }),
      'README.md': 'x',
    });
    await tenant.sync();
    expect(tenant.writes()).toEqual([]);
    expect(await tenant.status()).toMatchObject({ revision, sync: 'Synced', history: { length: history } });
  });

  test('that comes while we work is taken along', async () => {
    tenant.commit(k8s({ a: settings({ a: 'old' }, 'a') }));
    let newest: string | undefined;
    const outcome = await tenant.sync({
      render: async (request) => {
        newest ??= tenant.commit(k8s({ a: settings({ a: 'new' }, 'a'), b: settings({}, 'b') }));
        return tenant.doors.render(request);
      },
    });
    expect([outcome?.revision, outcome?.sync]).toEqual([newest, 'Synced']);
    expect((await tenant.get('ConfigMap', 'a'))?.['data']).toEqual({ a: 'new' });
  });
});

describe('a source that cannot be used changes nothing', () => {
  let tenant: Tenant;
  const good = k8s({ a: settings({ a: '1' }, 'a'), b: settings({ b: '1' }, 'b') });
  beforeAll(async () => {
    tenant = await openTenant();
    await tenant.project({ syncPolicy: { prune: true } });
    tenant.commit(good);
    await tenant.sync();
  });

  test.each<[string, Record<string, string>, string, RegExp]>([
    [
      'a half-written file',
      { ...good, 'k8s/c.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c\ndata: {}\n' },
      'YamlUnparsable',
      /k8s\/c\.yaml:\d/,
    ],
    ['no object', { ...good, 'k8s/c.yaml': 'kind: ConfigMap\nmetadata: {name: c}\n' }, 'ManifestInvalid', /apiVersion.*\(k8s\/c\.yaml:1\)/],
    [
      'another namespace',
      { ...good, 'k8s/c.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: kube-system}\n' },
      'ObjectNotAllowed',
      /metadata\.namespace is kube-system/,
    ],
    [
      'a kind of the whole cluster',
      { ...good, 'k8s/c.yaml': 'apiVersion: v1\nkind: Namespace\nmetadata: {name: c}\n' },
      'ObjectNotAllowed',
      /Namespace belongs to the whole cluster/,
    ],
    [
      'an unknown kind',
      { ...good, 'k8s/c.yaml': 'apiVersion: example.invalid/v1\nkind: Widget\nmetadata: {name: c}\n' },
      'KindNotServed',
      /does not serve Widget of example\.invalid\/v1 \(k8s\/c\.yaml:1\)/,
    ],
    [
      'an unknown field',
      { ...good, 'k8s/c.yaml': 'apiVersion: v1\nkind: Service\nmetadata: {name: c}\nspec: {port: 80}\n' },
      'ApiInvalid',
      /nothing was applied[\s\S]*\.spec\.port: field not declared in schema \(k8s\/c\.yaml:1\)/,
    ],
    [
      'what validation refuses',
      { ...good, 'k8s/c.yaml': 'apiVersion: v1\nkind: Service\nmetadata: {name: c}\nspec: {ports: [{port: 99999}]}\n' },
      'ApiInvalid',
      /nothing was applied[\s\S]*99999/,
    ],
    [
      'a path that was renamed',
      { 'manifests/a.yaml': settings({ a: '1' }, 'a') },
      'ManifestNotFound',
      /found some in manifests: set spec\.source\.path/,
    ],
    ['a folder that holds comments only', { 'k8s/a.yaml': '# nothing yet\n' }, 'NoManifests', /the files in k8s hold no object/],
  ])('%s', async (_, files, reason, message) => {
    tenant.writes();
    const running = (await tenant.status()).revision;
    tenant.commit(files);
    await tenant.sync();
    const status = await tenant.status();
    expect([status.sync, status.revision]).toEqual(['Failed', running]);
    expect(status.message).toMatch(message);
    expect(await condition(tenant, 'Stalled')).toMatchObject({ status: 'True', reason });
    expect(await condition(tenant, 'Ready')).toMatchObject({ status: 'False', reason });
    expect([tenant.writes(), (await tenant.names('ConfigMap')).sort()]).toEqual([[], ['a', 'b']]);
  });

  test('a branch that is gone', async () => {
    await tenant.project({ syncPolicy: { prune: true }, source: { revision: 'main' } });
    const revision = tenant.commit(good);
    await tenant.sync();
    tenant.head = undefined;
    expect(await tenant.sync()).toMatchObject({ sync: 'Failed', reason: 'RevisionNotFound', failed: { retry: 'later' } });
    expect((await tenant.status()).revision).toBe(revision);
    expect((await tenant.names('ConfigMap')).sort()).toEqual(['a', 'b']);
  });

  test('a repository that is away is tried again, deletes nothing, and recovers by itself', async () => {
    tenant.commit(good);
    await tenant.sync();
    tenant.outage = new PlumblineError('GIT_UNREACHABLE', 'no answer', { retry: 'later' });
    tenant.writes();
    for (const wait of [5, 10]) {
      expect(await tenant.sync()).toMatchObject({ sync: 'Failed', reason: 'GitUnreachable' });
      const { attempt } = await tenant.status();
      expect((Date.parse(attempt?.notBefore ?? '') - Date.parse(attempt?.at ?? '')) / 1000).toBe(wait);
    }
    expect(await condition(tenant, 'Stalled')).toMatchObject({ status: 'False' });
    tenant.outage = undefined;
    expect(await tenant.sync()).toMatchObject({ sync: 'Synced' });
    expect(tenant.writes()).toEqual([]);
  });
});

describe('an object that the cluster refuses', () => {
  test('an immutable field: nothing else of the commit is applied either, and it names field and line', async () => {
    const tenant = await openTenant();
    await tenant.project();
    const immutable = (value: string) =>
      `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fixed}\nimmutable: true\ndata: {a: "${value}"}\n`;
    tenant.commit(k8s({ fixed: immutable('1'), a: settings({ a: '1' }, 'a') }));
    await tenant.sync();
    tenant.commit(k8s({ fixed: immutable('2'), a: settings({ a: '2' }, 'a') }));
    const outcome = await tenant.sync();
    expect(outcome?.message).toMatch(/nothing was applied\nAPI_INVALID: ConfigMap\/tenant-\w+\/fixed: .*immutable.*\(k8s\/fixed\.yaml:1\)/);
    expect((await tenant.get('ConfigMap', 'a'))?.['data']).toEqual({ a: '1' });
  });

  test('a quota that one object would exceed', async () => {
    const tenant = await openTenant();
    await tenant.project();
    await tenant.create({ kind: 'ResourceQuota', metadata: { name: 'few' }, spec: { hard: { 'count/services': '0' } } });
    await until('the quota is counted', 20_000, async () => {
      const status = (await tenant.get('ResourceQuota', 'few'))?.['status'] as { hard?: object } | undefined;
      return status?.hard !== undefined;
    });
    tenant.commit(k8s({ web: service, a: settings({}, 'a') }));
    const outcome = await tenant.sync();
    expect(outcome).toMatchObject({ sync: 'Failed', reason: 'ApiForbidden', message: expect.stringContaining('exceeded quota: few') });
    expect(await tenant.names('ConfigMap')).toEqual([]);
  });
});

describe('the account', () => {
  test('that is missing: the two commands of the message, pasted as they are, make it work', async () => {
    const tenant = await openTenant('');
    await tenant.project();
    tenant.commit(k8s({ a: settings() }));
    const message = (await tenant.sync())?.message ?? '';
    expect(message).toContain(`PROJECT_ACCOUNT_MISSING: there is no service account plumbline in namespace ${tenant.namespace}`);
    expect(await tenant.names('ConfigMap')).toEqual([]);
    await tenant.paste(message.slice(message.indexOf('kubectl create')));
    await until('its rights are known', 20_000, async () => (await tenant.sync())?.sync === 'Synced');
    expect(await tenant.names('ConfigMap')).toEqual(['settings']);
  });

  test('that may not read: named before anything else happens', async () => {
    const tenant = await openTenant('system:discovery');
    await tenant.project();
    tenant.commit(k8s({ a: settings() }));
    expect((await tenant.sync())?.message).toContain(
      `cannot get resource "configmaps" in API group "" in the namespace "${tenant.namespace}"`,
    );
  });

  test('that may not write one kind: verb, kind and namespace are named, and nothing of the commit is applied', async () => {
    const tenant = await openTenant('edit');
    await tenant.project();
    tenant.commit(
      k8s({ a: settings({}, 'a'), role: 'apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: r}\nrules: []\n' }),
    );
    await tenant.kubectl('create', 'role', 'looker', '--verb=get', '--resource=roles.rbac.authorization.k8s.io');
    await tenant.kubectl('create', 'rolebinding', 'looker', '--role=looker', `--serviceaccount=${tenant.namespace}:plumbline`);
    const outcome = await until('the right to read is known', 20_000, async () => {
      const found = await tenant.sync();
      return found?.message.includes('cannot get') ? undefined : found;
    });
    expect(outcome).toMatchObject({ sync: 'Failed', reason: 'ApiForbidden' });
    expect(outcome?.message).toContain(
      `cannot patch resource "roles" in API group "rbac.authorization.k8s.io" in the namespace "${tenant.namespace}" (k8s/role.yaml:1)`,
    );
    expect(await tenant.names('ConfigMap')).toEqual([]);
  });
});

describe('modes', () => {
  test('manual: a commit is only told; the line of the message, pasted, syncs it once', async () => {
    const tenant = await openTenant();
    await tenant.project({ syncPolicy: { mode: 'manual' } });
    tenant.commit(k8s({ a: settings({ a: '1' }, 'a') }));
    const told = await tenant.sync();
    expect(told).toMatchObject({ sync: 'OutOfSync', reason: 'WaitingForSync', message: expect.stringContaining('1 to create; to sync: ') });
    expect(await tenant.names('ConfigMap')).toEqual([]);
    expect(await tenant.sync()).toMatchObject({ reason: 'WaitingForSync' });
    await tenant.paste(told?.message.split('to sync: ')[1] ?? '');
    expect(await tenant.sync()).toMatchObject({ sync: 'Synced' });
    expect(await tenant.names('ConfigMap')).toEqual(['a']);
    expect((await tenant.read()).annotations).toEqual({});
    tenant.commit(k8s({ a: settings({ a: '2' }, 'a') }));
    expect(await tenant.sync()).toMatchObject({ reason: 'WaitingForSync', message: expect.stringContaining('1 to update') });
    expect((await tenant.get('ConfigMap', 'a'))?.['data']).toEqual({ a: '1' });
  });

  test('manual: a commit that changes nothing needs nobody', async () => {
    const tenant = await openTenant();
    await tenant.project({ syncPolicy: { mode: 'manual' } });
    const files = k8s({ a: settings() });
    tenant.commit(files);
    await tenant.sync();
    await tenant.edit('Project', 'api', { metadata: { annotations: { 'plumbline.dev/sync': 'now' } } });
    await tenant.sync();
    const revision = tenant.commit({ ...files, 'README.md': 'x' });
    expect(await tenant.sync()).toMatchObject({ sync: 'Synced', revision });
  });

  test('suspended: nothing is looked at, nothing is written, and it goes on where it was', async () => {
    const tenant = await openTenant();
    await tenant.project({ suspend: true });
    tenant.commit(k8s({ a: settings() }));
    expect(await tenant.sync()).toBeUndefined();
    expect([await tenant.status(), await tenant.names('ConfigMap')]).toEqual([{}, []]);
    await tenant.project({ suspend: false });
    expect(await tenant.sync()).toMatchObject({ sync: 'Synced' });
  });

  test('a Project that is gone is no error', async () => {
    const tenant = await openTenant();
    expect(await tenant.sync()).toBeUndefined();
  });
});
