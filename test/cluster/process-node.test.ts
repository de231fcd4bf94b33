import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { KubeObject } from '../../src/object.ts';
import type { ControlPlane } from '../support/cluster/control-plane.ts';
import { identityOf, isAlive } from '../support/cluster/identity.mjs';
import { type ProcessNode, startProcessNode } from '../support/cluster/process-node.ts';
import { until } from '../support/cluster/until.ts';
import { useCluster } from '../support/cluster/use-cluster.ts';

type ContainerStatus = {
  name: string;
  restartCount: number;
  state: {
    waiting?: { reason: string; message: string };
    running?: { startedAt: string };
    terminated?: { exitCode: number; reason: string; startedAt: string; finishedAt: string };
  };
};
type LivePod = KubeObject & {
  status: { phase: string; reason?: string; containerStatuses?: ContainerStatus[]; initContainerStatuses?: ContainerStatus[] };
};

let cluster: ControlPlane;
let node: ProcessNode;
let namespace: string;
beforeAll(async () => {
  cluster = await useCluster();
  node = await startProcessNode(cluster, { app: join(import.meta.dirname, '../fixtures/cluster/app') });
  namespace = await cluster.freshNamespace();
});
afterAll(async () => {
  await node?.stop();
});

const run = (...args: string[]) => ({ name: 'main', image: 'plumbline:dev', command: ['node', '/app/pod.mjs', ...args] });
const podsPath = () => `/api/v1/namespaces/${namespace}/pods`;
const get = async (name: string) => (await cluster.api.ok<LivePod>('GET', `${podsPath()}/${name}`)) satisfies LivePod;

async function create(name: string, spec: object): Promise<void> {
  const tolerant = { restartPolicy: 'Never', automountServiceAccountToken: false, nodeName: undefined, ...spec };
  await cluster.api.ok('POST', podsPath(), {
    body: { apiVersion: 'v1', kind: 'Pod', metadata: { name, labels: { app: name } }, spec: tolerant },
  });
}

async function phase(name: string, ...wanted: string[]): Promise<LivePod> {
  return until(`pod ${name} is ${wanted}`, 30_000, async () => {
    const pod = await get(name);
    return wanted.includes(pod.status.phase) ? pod : undefined;
  });
}

async function output(name: string, text: string): Promise<void> {
  await until(`pod ${name} says ${text}`, 30_000, async () => node.logs(namespace, name).includes(text));
}

async function gone(name: string): Promise<void> {
  await until(`pod ${name} is gone`, 30_000, async () => (await cluster.api.request('GET', `${podsPath()}/${name}`)).status === 404);
}

describe('a pod of the image plumbline', () => {
  test('it is a process whose end is the end of the pod', async () => {
    await create('well', { containers: [run('tell', '/app/file')] });
    const pod = await phase('well', 'Succeeded', 'Failed');
    expect(pod.status.phase).toBe('Succeeded');
    const ended = pod.status.containerStatuses?.[0]?.state.terminated;
    expect(ended).toMatchObject({ exitCode: 0, reason: 'Completed' });
    expect(Date.parse(ended?.finishedAt ?? '')).toBeGreaterThanOrEqual(Date.parse(ended?.startedAt ?? ''));
    const told = JSON.parse(node.logs(namespace, 'well', 'main'));
    expect(told.node).toMatch(/^24\./);
    expect(told.args[0]).toMatch(/fixtures\/cluster\/app\/file$/);
  });

  test('its environment is bare, and it has no credentials unless it mounts a token', async () => {
    await create('bare', { containers: [run('tell')] });
    await phase('bare', 'Succeeded');
    const { env } = JSON.parse(node.logs(namespace, 'bare'));
    expect(Object.keys(env).sort()).toEqual(['HOME', 'HOSTNAME', 'PATH', 'TMPDIR']);
  });

  test('a failing process fails the pod with its exit code', async () => {
    await create('ill', { containers: [run('exit', '7')] });
    const pod = await phase('ill', 'Succeeded', 'Failed');
    expect(pod.status.phase).toBe('Failed');
    expect(pod.status.containerStatuses?.[0]?.state.terminated).toMatchObject({ exitCode: 7, reason: 'Error' });
  });

  test('downward fields, Secrets, ConfigMaps and mounts arrive as a kubelet gives them', async () => {
    await cluster.kubectl(['create', 'secret', 'generic', 'key', '--from-literal=id=4711'], { namespace });
    await cluster.kubectl(['create', 'configmap', 'settings', '--from-literal=mode=fast'], { namespace });
    const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
    const env = [
      field('POD', 'metadata.name'),
      field('NAMESPACE', 'metadata.namespace'),
      field('LABEL', "metadata.labels['app']"),
      { name: 'ID', valueFrom: { secretKeyRef: { name: 'key', key: 'id' } } },
      { name: 'NONE', valueFrom: { secretKeyRef: { name: 'missing', key: 'id', optional: true } } },
      { name: 'MODE', valueFrom: { configMapKeyRef: { name: 'settings', key: 'mode' } } },
      { name: 'SOCKET', value: '/run/x/$(MODE).sock' },
    ];
    const mounts = [{ name: 'x', mountPath: '/run/x' }];
    await create('fed', { containers: [{ ...run('tell'), env, volumeMounts: mounts }], volumes: [{ name: 'x', emptyDir: {} }] });
    await phase('fed', 'Succeeded');
    const told = JSON.parse(node.logs(namespace, 'fed'));
    expect(told.env).toMatchObject({ POD: 'fed', NAMESPACE: namespace, LABEL: 'fed', ID: '4711', MODE: 'fast' });
    expect(told.env.NONE).toBeUndefined();
    expect(told.env.SOCKET).toMatch(/\/x\/fast\.sock$/);
    expect(told.env.SOCKET.length).toBeLessThan(108);
  });

  test('a missing Secret keeps it waiting with the reason, and it starts when the Secret comes', async () => {
    const env = [{ name: 'ID', valueFrom: { secretKeyRef: { name: 'later', key: 'id' } } }];
    await create('patient', { containers: [{ ...run('tell'), env }] });
    await until('it waits', 20_000, async () => {
      const waiting = (await get('patient')).status.containerStatuses?.[0]?.state.waiting;
      return waiting?.reason === 'CreateContainerConfigError' && waiting.message.includes('"later" not found');
    });
    await cluster.kubectl(['create', 'secret', 'generic', 'later', '--from-literal=id=1'], { namespace });
    await phase('patient', 'Succeeded');
  });

  test('only the container that mounts the token gets one, and the token is the account', async () => {
    const token = { name: 'token', projected: { sources: [{ serviceAccountToken: { path: 'token', expirationSeconds: 3600 } }] } };
    const holder = { ...run('tell'), volumeMounts: [{ name: 'token', mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' }] };
    await create('held', { containers: [holder, { ...run('tell'), name: 'other' }], volumes: [token] });
    await phase('held', 'Succeeded');
    expect(JSON.parse(node.logs(namespace, 'held', 'other')).env.KUBECONFIG).toBeUndefined();
    const given = JSON.parse(node.logs(namespace, 'held', 'main').split('\n')[1] ?? '');
    const claims = JSON.parse(Buffer.from(given.token.split('.')[1], 'base64url').toString());
    expect(claims.sub).toBe(`system:serviceaccount:${namespace}:default`);
    expect(claims['kubernetes.io'].pod.name).toBe('held');
  });

  test('a sidecar starts first, serves, and is asked to end when the main container has ended', async () => {
    const volumeMounts = [{ name: 'run', mountPath: '/run/render' }];
    const socket = '/run/render/render.sock';
    const sidecar = { ...run('serve', socket), name: 'render', restartPolicy: 'Always', volumeMounts };
    await create('pair', {
      initContainers: [sidecar],
      containers: [{ ...run('ask', socket), volumeMounts }],
      volumes: [{ name: 'run', emptyDir: {} }],
    });
    const pod = await phase('pair', 'Succeeded', 'Failed');
    expect(pod.status.phase).toBe('Succeeded');
    expect(node.logs(namespace, 'pair', 'main')).toBe('heard: I hold nothing\n');
    expect(node.logs(namespace, 'pair', 'render')).toBe('serving\nserved enough\n');
    expect(pod.status.initContainerStatuses?.[0]?.state.terminated?.exitCode).toBe(0);
  });

  test('a killed sidecar is started again and its pod goes on', async () => {
    const sidecar = { ...run('stay'), name: 'side', restartPolicy: 'Always' };
    await create('sided', { initContainers: [sidecar], containers: [run('stay')] });
    await phase('sided', 'Running');
    await output('sided', 'here');
    node.killPod(namespace, 'sided', 'SIGKILL', 'side');
    await until('the sidecar runs again', 20_000, async () => (await get('sided')).status.initContainerStatuses?.[0]?.restartCount === 1);
    expect((await get('sided')).status.phase).toBe('Running');
    await cluster.api.ok('DELETE', `${podsPath()}/sided`);
    await gone('sided');
  });

  test('restartPolicy OnFailure runs a failed container again, and the count is told', async () => {
    const volumes = [{ name: 'memory', emptyDir: {} }];
    const main = { ...run('once', '/memory/been-here'), volumeMounts: [{ name: 'memory', mountPath: '/memory' }] };
    await create('again', { restartPolicy: 'OnFailure', containers: [main], volumes });
    const pod = await phase('again', 'Succeeded', 'Failed');
    expect(pod.status.phase).toBe('Succeeded');
    expect(pod.status.containerStatuses?.[0]?.restartCount).toBe(1);
  });
});

describe('the end of a pod', () => {
  test('a deleted pod is asked to end, and its object goes when its process has', async () => {
    await create('asked', { containers: [run('stay')] });
    await output('asked', 'here');
    await cluster.api.ok('DELETE', `${podsPath()}/asked`);
    await gone('asked');
    expect(node.logs(namespace, 'asked')).toContain('asked to end');
  });

  test('one that does not listen is killed after its grace period, with all that it started', async () => {
    await create('deaf', { terminationGracePeriodSeconds: 1, containers: [run('stubborn')] });
    await output('deaf', 'child');
    const child = identityOf(Number(/child (\d+)/.exec(node.logs(namespace, 'deaf'))?.[1])) ?? '';
    expect(isAlive(child)).toBe(true);
    await cluster.api.ok('DELETE', `${podsPath()}/deaf`);
    await gone('deaf');
    expect(node.logs(namespace, 'deaf')).toContain('no');
    await until('its child is gone', 5000, async () => !isAlive(child));
  });

  test('a killed process fails the pod with 137, and its Job makes another', async () => {
    const template = { spec: { restartPolicy: 'Never', containers: [run('stay')] } };
    const body = { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'hit' }, spec: { backoffLimit: 1, template } };
    await cluster.api.ok('POST', `/apis/batch/v1/namespaces/${namespace}/jobs`, { body });
    const its = async () => (await cluster.api.ok<{ items: LivePod[] }>('GET', `${podsPath()}?labelSelector=job-name=hit`)).items;
    const first = await until('the Job runs', 20_000, async () => (await its()).find((pod) => pod.status.phase === 'Running'));
    node.killPod(namespace, first.metadata.name);
    const failed = await phase(first.metadata.name, 'Failed');
    expect(failed.status.containerStatuses?.[0]?.state.terminated?.exitCode).toBe(137);
    await until('the Job made another', 40_000, async () => (await its()).some((pod) => pod.metadata.name !== first.metadata.name));
    await cluster.kubectl(['delete', 'job', 'hit', '--wait=false'], { namespace });
  });

  test('past its own deadline it ends as DeadlineExceeded', async () => {
    await create('slow', { activeDeadlineSeconds: 1, containers: [run('stay')] });
    const pod = await phase('slow', 'Failed', 'Succeeded');
    expect(pod.status).toMatchObject({ phase: 'Failed', reason: 'DeadlineExceeded' });
  });

  test('a frozen pod stays Running and goes on when it is thawed', async () => {
    await create('cold', { containers: [run('stay')] });
    await output('cold', 'here');
    node.freezePod(namespace, 'cold');
    await cluster.api.ok('DELETE', `${podsPath()}/cold`);
    expect((await get('cold')).metadata.deletionTimestamp).toBeDefined();
    expect(node.logs(namespace, 'cold')).not.toContain('asked to end');
    node.thawPod(namespace, 'cold');
    await gone('cold');
    expect(node.logs(namespace, 'cold')).toContain('asked to end');
  });

  test('the API server restarts under it: the pod goes on and its end is told', async () => {
    await create('through', { containers: [run('stay')] });
    await output('through', 'here');
    await cluster.apiServer.restart();
    expect((await get('through')).status.phase).toBe('Running');
    node.killPod(namespace, 'through', 'SIGTERM');
    await phase('through', 'Succeeded');
  });
});

describe('the node', () => {
  test('it runs nobody else: another image waits and is told why', async () => {
    await create('foreign', { containers: [{ name: 'web', image: 'nginx:1.29' }] });
    await until('it says why', 20_000, async () => {
      const waiting = (await get('foreign')).status.containerStatuses?.[0]?.state.waiting;
      return waiting?.message === "the process node runs Plumbline's own pods only, not image nginx:1.29";
    });
    expect((await get('foreign')).status.phase).toBe('Pending');
    await cluster.api.ok('DELETE', `${podsPath()}/foreign`);
    await gone('foreign');
  });

  test('a person sees what it is', async () => {
    const shown = await cluster.kubectl(['get', 'node', node.name, '-o', 'wide']);
    expect(shown).toContain('Ready');
    expect(shown).toContain('processes of this machine');
  });

  test('kubectl logs shows what a container wrote, while it runs and after', async () => {
    await create('wordy', { containers: [run('stay')] });
    await output('wordy', 'here');
    expect(await cluster.kubectl(['logs', 'wordy'], { namespace })).toBe('here\n');
    const following = cluster.kubectl(['logs', 'wordy', '--follow'], { namespace });
    node.killPod(namespace, 'wordy', 'SIGTERM');
    expect(await following).toBe('here\nasked to end\n');
    expect(await cluster.kubectl(['logs', 'wordy', '--tail=1'], { namespace })).toBe('asked to end\n');
    expect((await cluster.tryKubectl(['logs', 'wordy', '--previous'], { namespace })).code).toBe(1);
  });

  test('it may read only what its pods name', async () => {
    await cluster.kubectl(['create', 'secret', 'generic', 'foreign', '--from-literal=a=b'], { namespace });
    const api = await cluster.apiFor({ user: `system:node:${node.name}`, groups: ['system:nodes'] });
    expect((await api.request('GET', `/api/v1/namespaces/${namespace}/secrets/foreign`)).status).toBe(403);
    api.close();
  });

  test('a stopped node leaves neither Node nor pod nor process', async () => {
    const other = await startProcessNode(cluster, { app: join(import.meta.dirname, '../fixtures/cluster/app') });
    await create('last', { nodeName: other.name, containers: [run('stubborn')] });
    await until('it runs', 20_000, async () => other.logs(namespace, 'last').includes('child'));
    const child = identityOf(Number(/child (\d+)/.exec(other.logs(namespace, 'last'))?.[1])) ?? '';
    await other.stop();
    expect((await cluster.api.request('GET', `/api/v1/nodes/${other.name}`)).status).toBe(404);
    expect((await cluster.api.request('GET', `${podsPath()}/last`)).status).toBe(404);
    expect(isAlive(child)).toBe(false);
  });

  test('kill -9 of the process that it lives in ends the processes of its pods', async () => {
    const modules = ['control-plane', 'process-node', 'until'].map((name) => join(import.meta.dirname, `../support/cluster/${name}.ts`));
    const script = `const [{ startControlPlane }, { startProcessNode }, { until }] = await Promise.all(process.argv.slice(2).map((path) => import(path)));
      const plane = await startControlPlane();
      const node = await startProcessNode(plane, { app: process.argv[1] });
      const namespace = await plane.freshNamespace();
      const spec = ${JSON.stringify({ restartPolicy: 'Never', containers: [run('stubborn')] })};
      await plane.api.ok('POST', '/api/v1/namespaces/' + namespace + '/pods', { body: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec } });
      await until('it runs', 60_000, async () => node.logs(namespace, 'p').includes('child'));
      const status = async () => (await plane.api.ok('GET', '/api/v1/namespaces/' + namespace + '/pods/p')).status.containerStatuses?.[0].containerID;
      const id = await until('its process is known', 20_000, status);
      console.log(JSON.stringify({ folder: plane.folder, pids: [id.replace('process://', ''), /child (\\d+)/.exec(node.logs(namespace, 'p'))[1]].map(Number) }));`;
    const argv = ['--input-type=module', '-e', script, join(import.meta.dirname, '../fixtures/cluster/app'), ...modules];
    const owner = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
    const said = await new Promise<string>((resolve) => owner.stdout.setEncoding('utf8').once('data', resolve));
    const { folder, pids } = JSON.parse(said) as { folder: string; pids: number[] };
    const processes = pids.map((pid) => identityOf(pid) ?? '');
    expect(processes.filter(isAlive)).toHaveLength(2);
    owner.kill('SIGKILL');
    await until('pod and plane are gone', 20_000, async () => !processes.some(isAlive) && !existsSync(folder));
  });
});
