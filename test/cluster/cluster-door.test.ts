import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { type Cluster, connectCluster } from '../../src/cluster.ts';
import { refusalOf } from '../../src/cluster-error.ts';
import { isPlumblineError, type PlumblineError } from '../../src/error.ts';
import type { KubeObject } from '../../src/object.ts';
import { heldBefore, ownedFields } from '../../src/sync/managed-fields.ts';
import { type ApiProxy, startApiProxy } from '../support/cluster/api-proxy.ts';
import type { ControlPlane } from '../support/cluster/control-plane.ts';
import { until } from '../support/cluster/until.ts';
import { useCluster } from '../support/cluster/use-cluster.ts';

let plane: ControlPlane;
let namespace: string;
let door: Cluster;
let proxy: ApiProxy;
let proxied: Cluster;
beforeAll(async () => {
  plane = await useCluster();
  namespace = await plane.freshNamespace('door');
  door = connectCluster({ kubeconfig: plane.kubeconfig });
  proxy = await startApiProxy(plane);
  proxied = connectCluster({ kubeconfig: proxy.kubeconfig });
  await proxied.resource({ apiVersion: 'v1', kind: 'ConfigMap' });
});
afterEach(() => {
  proxy.fault = () => undefined;
  proxy.seen.length = 0;
});
afterAll(() => proxy.close());

const ours = { manager: 'plumbline:door/test', force: false };
const ref = (name: string, kind = 'ConfigMap') => ({ apiVersion: 'v1', kind, namespace, name });
const settings = (name: string, data: Record<string, unknown> = { a: '1' }): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace },
  data,
});
const deployment = (name: string, spec: object = {}, container: object = {}): KubeObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name, namespace },
  spec: {
    replicas: 0,
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'web', image: 'web:1', ...container }] } },
    ...spec,
  },
});

async function thrown(work: Promise<unknown>): Promise<PlumblineError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (isPlumblineError(error)) return error;
  throw new Error(`a PlumblineError was expected, found ${error}`);
}

describe('mistakes in an object, which the server calls its own', () => {
  test.each<[string, () => KubeObject, string | undefined]>([
    ['an unknown field', () => deployment('typo', { replica: 3 }), '.spec.replica'],
    ['a wrong type', () => settings('typo', { a: { b: 1 } }), '.data.a'],
    [
      'a list item twice',
      () => deployment('typo', {}, { env: ['1', '2'].map((value) => ({ name: 'A', value })) }),
      '.spec.template.spec.containers[name="web"].env',
    ],
    ['more than etcd takes', () => deployment('large', {}, { args: ['x'.repeat(1_700_000)] }), undefined],
    ['more than the server takes', () => settings('large', { a: 'x'.repeat(3_500_000) }), undefined],
    ['what validation refuses', () => settings('UPPER'), 'metadata.name'],
  ])('%s is the object’s fault, said once, and nothing is written', async (_, object, field) => {
    const before = plane.requests().length;
    const error = await thrown(door.apply(object(), ours));
    expect(error).toMatchObject({ code: 'API_INVALID', retry: 'never' });
    if (field) expect(error.at?.field).toBe(field);
    const { kind } = object();
    const patches = plane
      .requests()
      .slice(before)
      .filter((one) => one.verb === 'patch' && one.uri.includes(namespace));
    expect(patches.length).toBeLessThanOrEqual(1);
    expect(await door.read({ ...ref(object().metadata.name, kind), apiVersion: object().apiVersion })).toBeUndefined();
  });

  test('a Secret that is refused leaves no value in what is said', async () => {
    const canary = 'hunter2-canary';
    const bad = [{ password: { nested: canary } }, { password: `***${canary}` }, { [`${canary} key`]: 'eA==' }].slice(0, 2);
    for (const data of bad) {
      const error = await thrown(door.apply({ ...settings('token', data), kind: 'Secret' }, ours));
      expect(error.code).toMatch(/^API_/);
      expect(JSON.stringify([error.message, error.hint, error.at, error.cause])).not.toContain(canary);
    }
  });
});

describe('deleting', () => {
  test('a wrong uid is refused and deletes nothing', async () => {
    const { object } = await door.apply(settings('kept'), ours);
    const error = await thrown(door.delete(ref('kept'), { uid: '00000000-0000-0000-0000-000000000000' }));
    expect([error.code, (await door.read(ref('kept')))?.metadata.uid]).toEqual(['API_CONFLICT', object.metadata.uid]);
  });

  test('another version than the one that was seen is refused and deletes nothing', async () => {
    const { object } = await door.apply(settings('moved'), ours);
    await door.patch(ref('moved'), { data: { b: '2' } });
    const { uid = '', resourceVersion = '' } = object.metadata;
    expect((await thrown(door.delete(ref('moved'), { uid, resourceVersion }))).code).toBe('API_CONFLICT');
    expect(await door.read(ref('moved'))).toBeDefined();
  });

  test('a dry run deletes nothing', async () => {
    const { object } = await door.apply(settings('rehearsed'), ours);
    expect(await door.delete(ref('rehearsed'), { uid: object.metadata.uid ?? '', dryRun: true })).toBe(true);
    expect(await door.read(ref('rehearsed'))).toBeDefined();
  });

  test('what is gone is no error', async () => {
    expect(await door.delete(ref('never-there'), { uid: 'any' })).toBe(false);
  });

  test('a Job takes its pods with it', async () => {
    const job: KubeObject = {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name: 'work', namespace },
      spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'nothing' }] } } },
    };
    const { object } = await door.apply(job, ours);
    const pods = () => door.listMetadata({ apiVersion: 'v1', kind: 'Pod' }, { namespace, labels: 'job-name=work' });
    await until('the Job has a pod', 20_000, async () => (await pods()).length === 1);
    await door.delete({ ...ref('work', 'Job'), apiVersion: 'batch/v1' }, { uid: object.metadata.uid ?? '' });
    await until('its pod is gone', 20_000, async () => (await pods()).length === 0);
  });

  test('a body that is refused does not spoil the next request of its connection', async () => {
    await door.apply(settings('steady'), ours);
    for (let round = 0; round < 20; round++) {
      expect((await thrown(door.delete(ref('steady'), { uid: 'wrong' }))).code).toBe('API_CONFLICT');
      expect((await door.read(ref('steady')))?.['data']).toEqual({ a: '1' });
    }
  });
});

describe('what is not there', () => {
  test('an object, its namespace, a Namespace: all read as absent', async () => {
    expect(await door.read(ref('nothing'))).toBeUndefined();
    expect(await door.read({ ...ref('nothing'), namespace: 'no-such-namespace' })).toBeUndefined();
    expect(await door.read({ apiVersion: 'v1', kind: 'Namespace', name: 'no-such-namespace' })).toBeUndefined();
  });

  test('writing into a missing namespace names the namespace', async () => {
    const error = await thrown(door.apply({ ...settings('x'), metadata: { name: 'x', namespace: 'no-such-namespace' } }, ours));
    expect([error.code, error.message]).toEqual([
      'NAMESPACE_NOT_FOUND',
      expect.stringContaining('namespaces "no-such-namespace" not found'),
    ]);
  });

  test.each([
    ['example.invalid/v1', 'Widget'],
    ['apps/v1beta1', 'Deployment'],
    ['v1', 'Configmap'],
  ])('%s %s is not served', async (apiVersion, kind) => {
    expect(await door.resource({ apiVersion, kind })).toBeUndefined();
    expect((await thrown(door.read({ apiVersion, kind, namespace, name: 'x' }))).code).toBe('KIND_NOT_SERVED');
    expect((await thrown(door.list({ apiVersion, kind }))).code).toBe('KIND_NOT_SERVED');
  });
});

describe('lists', () => {
  test('an empty one is empty, although the server says null', async () => {
    const empty = await plane.freshNamespace('empty');
    expect(await door.listMetadata({ apiVersion: 'v1', kind: 'Secret' }, { namespace: empty })).toEqual([]);
    expect(await door.list({ apiVersion: 'v1', kind: 'Secret' }, { namespace: empty, labels: 'a=b' })).toEqual([]);
  });

  test('more than a page is read whole, with type and without content where only metadata is asked for', async () => {
    const names = Array.from({ length: 501 }, (_, index) => `many-${index}`);
    await Promise.all(names.map((name) => door.create({ ...settings(name), metadata: { name, namespace, labels: { many: 'yes' } } })));
    const kind = { apiVersion: 'v1', kind: 'ConfigMap' };
    const before = proxy.seen.length;
    const metadata = await proxied.listMetadata(kind, { namespace, labels: 'many=yes' });
    expect(proxy.seen.slice(before)).toHaveLength(2);
    expect(metadata.map((one) => one.metadata.name).sort()).toEqual([...names].sort());
    expect(metadata.every((one) => one.kind === 'ConfigMap' && one.apiVersion === 'v1' && one['data'] === undefined)).toBe(true);
    const full = await door.list(kind, { namespace, labels: 'many=yes' });
    expect(full).toHaveLength(501);
    expect(full.every((one) => JSON.stringify(one['data']) === '{"a":"1"}')).toBe(true);
  });

  test('a page that came too late begins the list anew: a part is never taken for the whole', async () => {
    let expired = 0;
    proxy.fault = (_, path) =>
      path.includes('continue=') && expired++ === 0
        ? {
            status: 410,
            body: { kind: 'Status', status: 'Failure', reason: 'Expired', code: 410, message: 'the continue parameter is too old' },
          }
        : undefined;
    expect(await proxied.listMetadata({ apiVersion: 'v1', kind: 'ConfigMap' }, { namespace, labels: 'many=yes' })).toHaveLength(501);
    proxy.fault = (_, path) =>
      path.includes('continue=') ? { status: 410, body: { kind: 'Status', reason: 'Expired', code: 410 } } : undefined;
    expect((await thrown(proxied.list({ apiVersion: 'v1', kind: 'ConfigMap' }, { namespace, labels: 'many=yes' }))).code).toBe(
      'API_EXPIRED',
    );
  });
});

describe('acting as an account', () => {
  test('the API server does not ask whether it exists: left-over rights are enough', async () => {
    await plane.kubectl(['create', 'rolebinding', 'left-over', '--clusterrole=edit', `--serviceaccount=${namespace}:ghost`], { namespace });
    const ghost = door.as({ namespace, name: 'ghost' });
    await until('the rights are known', 10_000, () =>
      ghost.apply(settings('haunted'), ours).then(
        () => true,
        () => false,
      ),
    );
    expect(await door.read({ ...ref('ghost', 'ServiceAccount') })).toBeUndefined();
  });

  test('a missing right names verb, kind and namespace', async () => {
    const error = await thrown(door.as({ namespace, name: 'nobody' }).apply(settings('x'), ours));
    expect(error).toMatchObject({ code: 'API_FORBIDDEN', retry: 'never' });
    expect(error.message).toContain(`cannot patch resource "configmaps" in API group "" in the namespace "${namespace}"`);
  });
});

describe('conflicts', () => {
  test('are named as the record of our fields names them: list items by several keys, sets, dotted keys, atomic lists', async () => {
    const make = (value: number): KubeObject => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web', namespace, labels: { 'example.com/a.b': `v${value}` } },
      spec: {
        selector: { app: `web${value}` },
        ports: [
          { port: 80, protocol: 'TCP', targetPort: 8000 + value },
          { port: 80, protocol: 'UDP', name: 'u', targetPort: 8000 + value },
        ]
          .slice(0, 2)
          .map((port, index) => ({ name: `p${index}`, ...port })),
      },
    });
    const workload = (value: number) =>
      deployment(
        'paths',
        {},
        {
          image: `web:${value}`,
          args: [`${value}`],
          env: [{ name: 'A', value: `${value}` }],
          ports: [{ containerPort: 80, protocol: 'TCP', name: `p${value}` }],
        },
      );
    for (const object of [make, workload]) {
      const { object: made } = await door.apply(object(1), ours);
      const refusal = refusalOf(await thrown(door.apply(object(2), { manager: 'rival', force: false })));
      expect(refusal?.managers.every((manager) => manager === ours.manager)).toBe(true);
      const { paths } = ownedFields(made, ours.manager);
      expect(refusal?.fields.length).toBeGreaterThanOrEqual(4);
      expect(refusal?.fields.filter((field) => !heldBefore(paths, field))).toEqual([]);
    }
  });

  test('an object that is being deleted still takes an apply: that is no success', async () => {
    await door.apply({ ...settings('held'), metadata: { name: 'held', namespace, finalizers: ['example.com/hold'] } }, ours);
    const { metadata } = (await door.read(ref('held'))) ?? settings('held');
    await door.delete(ref('held'), { uid: metadata.uid ?? '' });
    const { object } = await door.apply(
      { ...settings('held', { a: '2' }), metadata: { name: 'held', namespace, finalizers: ['example.com/hold'] } },
      ours,
    );
    expect(object.metadata.deletionTimestamp).toBeDefined();
    await door.patch(ref('held'), { metadata: { finalizers: null } });
    await until('it is gone', 10_000, async () => (await door.read(ref('held'))) === undefined);
  });
});

test('what the server warns about is told', async () => {
  await plane.kubectl(['label', 'namespace', namespace, 'pod-security.kubernetes.io/warn=restricted']);
  const { warnings } = await door.apply(deployment('loose'), ours);
  expect(warnings).toEqual([expect.stringContaining('would violate PodSecurity "restricted:latest"')]);
});

describe('a server that is not well', () => {
  const tooMany = {
    status: 429,
    headers: { 'retry-after': '0' },
    body: { kind: 'Status', reason: 'TooManyRequests', code: 429, message: 'wait' },
  };
  const first = (times: number, fault: ReturnType<ApiProxy['fault']>) => {
    let left = times;
    proxy.fault = () => (left-- > 0 ? fault : undefined);
  };

  test('two 429 are waited out, for a write as well', async () => {
    first(2, tooMany);
    expect((await proxied.apply(settings('patient'), ours)).object.metadata.uid).toBeDefined();
    expect(proxy.seen).toHaveLength(3);
  });

  test('429 for ever is said, and worth another try later', async () => {
    first(99, tooMany);
    expect(await thrown(proxied.read(ref('patient')))).toMatchObject({ code: 'API_THROTTLED', retry: 'later' });
    expect(proxy.seen).toHaveLength(4);
  });

  test('a read is asked again after a 503 and after a cut connection, a write never', async () => {
    first(1, { status: 503, headers: { 'retry-after': '0' } });
    expect(await proxied.read(ref('patient'))).toBeDefined();
    first(1, 'cut');
    expect(await proxied.read(ref('patient'))).toBeDefined();
    proxy.seen.length = 0;
    first(1, { status: 503, headers: { 'retry-after': '0' } });
    expect(await thrown(proxied.apply(settings('patient'), ours))).toMatchObject({ code: 'API_SERVER_ERROR', retry: 'later' });
    first(1, 'cut');
    expect(await thrown(proxied.apply(settings('patient'), ours))).toMatchObject({ code: 'CLUSTER_UNREACHABLE', retry: 'later' });
    expect(proxy.seen).toHaveLength(2);
  });

  test('half an answer is none', async () => {
    first(99, { status: 200, body: '{"kind":"ConfigMap","metadata":{"na' });
    expect((await thrown(proxied.read(ref('patient')))).code).toBe('CLUSTER_UNREACHABLE');
  });

  test('a frozen one does not hold us for ever, and answers again when it is thawed', async () => {
    const hasty = connectCluster({ kubeconfig: plane.kubeconfig, timeoutMs: 300 });
    await hasty.resource({ apiVersion: 'v1', kind: 'ConfigMap' });
    plane.apiServer.freeze();
    try {
      expect(await thrown(hasty.read(ref('patient')))).toMatchObject({ code: 'CLUSTER_UNREACHABLE', retry: 'later' });
      expect(await thrown(hasty.create(settings('cold')))).toMatchObject({ code: 'CLUSTER_UNREACHABLE' });
    } finally {
      plane.apiServer.thaw();
    }
    await until('it answers again', 20_000, () => hasty.read(ref('patient')).catch(() => undefined));
  });

  test('no server at all is named with what happened', async () => {
    const gone = await startApiProxy(plane);
    await gone.close();
    const error = await thrown(connectCluster({ kubeconfig: gone.kubeconfig }).read(ref('x')));
    expect([error.code, error.message]).toEqual([
      'CLUSTER_UNREACHABLE',
      expect.stringMatching(/^the API server http:\/\/127\.0\.0\.1:\d+ did not answer: .*ECONNREFUSED/),
    ]);
  });
});
