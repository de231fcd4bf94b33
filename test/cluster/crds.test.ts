import { beforeAll, describe, expect, test } from '@jest/globals';
import type { KubeObject } from '../../src/object.ts';
import { installedPlane, openTenant, type Tenant } from '../support/tenant.ts';

let tenant: Tenant;
beforeAll(async () => {
  await installedPlane();
  tenant = await openTenant();
}, 90_000);

type Refused = { message?: string };
const offer = (spec: unknown, name = 'api') =>
  tenant.plane.api.request<KubeObject & Refused>(
    'POST',
    `/apis/plumbline.dev/v1alpha1/namespaces/${tenant.namespace}/projects?dryRun=All`,
    {
      body: { apiVersion: 'plumbline.dev/v1alpha1', kind: 'Project', metadata: { name }, spec },
    },
  );
const source = { repository: 'acme/api' };

describe('a Project that makes no sense is refused when it is written', () => {
  test.each<[string, unknown, string]>([
    ['no spec at all', undefined, 'spec: Required value'],
    ['no source', {}, 'spec.source: Required value'],
    [
      'neither repository nor url',
      { source: {} },
      'write either repository (OWNER/NAME on the GitHub of this installation) or url (any Git repository over HTTP)',
    ],
    ['both', { source: { repository: 'a/b', url: 'https://x.example.com/a' } }, 'write either repository'],
    ['a repository without owner', { source: { repository: 'api' } }, 'repository is OWNER/NAME, such as acme/api'],
    ['a repository as an address', { source: { repository: 'https://github.com/acme/api' } }, 'repository is OWNER/NAME, such as acme/api'],
    [
      'an ssh address',
      { source: { url: 'ssh://git@example.com/api.git' } },
      'url begins with https:// or http:// and holds no credentials',
    ],
    [
      'a password in the address',
      { source: { url: 'https://me:secret@example.com/api.git' } },
      'url begins with https:// or http:// and holds no credentials',
    ],
    ['a path that leads out', { source: { ...source, path: 'k8s/../../etc' } }, 'path stays inside the repository: it may not contain ..'],
    [
      'a revision that is an option',
      { source: { ...source, revision: '--upload-pack=x' } },
      'revision is a branch, a tag or a full commit id',
    ],
    ['a revision that is a range', { source: { ...source, revision: 'a..b' } }, 'revision is a branch, a tag or a full commit id'],
    ['a revision with a blank', { source: { ...source, revision: 'a b' } }, 'revision is a branch, a tag or a full commit id'],
    [
      'an unknown type',
      { source: { ...source, manifestType: 'jsonnet' } },
      'Unsupported value: "jsonnet": supported values: "detect", "kubernetes"',
    ],
    ['an unknown mode', { source, syncPolicy: { mode: 'push' } }, 'supported values: "webhook", "auto", "manual"'],
    ['an interval without unit', { source, syncPolicy: { interval: '5' } }, 'interval is a duration such as 90s, 5m, 2h or 3d'],
    ['an interval of nothing', { source, syncPolicy: { interval: '0m' } }, 'interval is a duration such as 90s, 5m, 2h or 3d'],
    ['a share above all', { source, syncPolicy: { maxDeletions: '120%' } }, 'maxDeletions is a number or a percentage, such as 10 or 20%'],
    ['a negative budget', { source, syncPolicy: { maxDeletions: '-1' } }, 'maxDeletions is a number or a percentage, such as 10 or 20%'],
    ['prune as a word', { source, syncPolicy: { prune: 'yes' } }, 'must be of type boolean'],
  ])('%s', async (_, spec, message) => {
    const { status, body } = await offer(spec);
    expect([status, body.message]).toEqual([422, expect.stringContaining(message)]);
  });

  test('a name that does not fit into a label', async () => {
    const { status, body } = await offer({ source }, 'n'.repeat(64));
    expect([status, body.message]).toEqual([422, expect.stringContaining('the name of a Project is at most 63 characters')]);
  });

  test.each<[string, object]>([
    ['a branch with slashes', { ...source, revision: 'release/1.x' }],
    ['a full commit id', { ...source, revision: '0123456789abcdef0123456789abcdef01234567' }],
    ['an address with a port', { url: 'http://127.0.0.1:8080/acme/api.git' }],
    ['a folder whose name has dots', { ...source, path: '/k8s/..prod/a..b' }],
  ])('%s is fine', async (_, good) => {
    expect((await offer({ source: good })).status).toBe(201);
  });
});

test('the smallest Project: everything else has a default', async () => {
  const { body } = await offer({ source });
  expect(body['spec']).toEqual({
    source: { repository: 'acme/api', path: '/', manifestType: 'detect', recurse: true },
    serviceAccountName: 'plumbline',
    suspend: false,
    syncPolicy: { mode: 'webhook', interval: '5m', prune: false, selfHeal: false, allowEmpty: false, maxDeletions: '20%' },
  });
});

test('kubectl get plb shows what a person wants to know', async () => {
  await tenant.project({}, 'api');
  await tenant.project({}, 'new');
  const status = {
    sync: 'OutOfSync',
    health: 'Degraded',
    revision: '3fa9c21'.padEnd(40, '0'),
    shortRevision: '3fa9c21',
    drift: { count: 2 },
    message: 'two fields changed',
  };
  await tenant.plane.kubectl(['patch', 'plb', 'api', '--subresource=status', '--type=merge', '-p', JSON.stringify({ status })], {
    namespace: tenant.namespace,
  });
  const masked = (text: string) =>
    text
      .replace(/ \d+s(?=\s)/g, ' AGE')
      .replace(/ +/g, ' ')
      .replace(/ $/gm, '');
  expect(masked(await tenant.kubectl('get', 'plb'))).toBe(
    'NAME SYNC HEALTH REVISION DRIFT AGE\napi OutOfSync Degraded 3fa9c21 2 AGE\nnew AGE\n',
  );
  expect(await tenant.kubectl('get', 'plb', '-o', 'wide')).toMatch(/MESSAGE\n.*two fields changed\n/);
});

test('kubectl wait waits for Ready, and ends without it in time', async () => {
  await tenant.project({}, 'waited');
  const early = await tenant.plane.tryKubectl(['wait', '--for=condition=Ready', 'plb/waited', '--timeout=1s'], {
    namespace: tenant.namespace,
  });
  expect([early.code, early.stderr]).toEqual([1, expect.stringContaining('timed out waiting for the condition on projects/waited')]);
  tenant.commit({ 'k8s/a.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n' });
  await tenant.sync({}, 'waited');
  expect(await tenant.kubectl('wait', '--for=condition=Ready', 'plb/waited', '--timeout=5s')).toBe(
    'project.plumbline.dev/waited condition met\n',
  );
});

describe('an inventory', () => {
  const path = () => `/apis/plumbline.dev/v1alpha1/namespaces/${tenant.namespace}/inventories`;
  const shard = (spec: object) => ({
    apiVersion: 'plumbline.dev/v1alpha1',
    kind: 'Inventory',
    metadata: { name: 'x-2-1' },
    spec: { project: 'x', shard: 1, shards: 2, entries: [], ...spec },
  });

  test.each<[string, object, string]>([
    ['a shard beyond the last', { shard: 2 }, 'shard counts from 0 and is below shards'],
    ['a negative shard', { shard: -1 }, 'should be greater than or equal to 0'],
    ['an entry without id', { entries: [{ apiVersion: 'v1' }] }, 'spec.entries[0].id: Required value'],
  ])('%s is refused', async (_, spec, message) => {
    const { status, body } = await tenant.plane.api.request<Refused>('POST', path(), { body: shard(spec) });
    expect([status, body.message]).toEqual([422, expect.stringContaining(message)]);
  });

  test.each([{ project: 'y' }, { shard: 0 }, { shards: 4 }])('never becomes another one: %j', async (change) => {
    await tenant.plane.api.request('POST', path(), { body: shard({}) });
    const { status, body } = await tenant.plane.api.request<Refused>('PATCH', `${path()}/x-2-1`, {
      body: { spec: change },
      patch: 'merge-patch+json',
    });
    expect([status, body.message]).toEqual([422, expect.stringContaining('which shard of which Project this is never changes')]);
  });
});
