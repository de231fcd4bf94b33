/**
 * The App on real parts: two replicas as processes, with the App's own token on a real API server, told by a loopback GitHub.
 * Each fault says what GitHub's delivery log shows, and that cluster and GitHub end right. The plane is this suite's own: it is frozen.
 */
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { KubeObject } from '../../src/object.ts';
import { type AppProcess, startAppProcess, webhookSecret } from '../support/app/process.ts';
import { deliver } from '../support/app/signed.ts';
import { type ControlPlane, startControlPlane } from '../support/cluster/control-plane.ts';
import { until } from '../support/cluster/until.ts';
import { type GitHub, startGitHub } from '../support/github/github.ts';

const jobsPath = '/apis/batch/v1/namespaces/plumbline-system/jobs';
let plane: ControlPlane;
let kubeconfig: string;

beforeAll(async () => {
  plane = await startControlPlane();
  await plane.kubectl(['apply', '-k', 'deploy']);
  await plane.kubectl(['apply', '-k', 'deploy/app']);
  // Only the Jobs of the App are looked at here.
  await plane.kubectl(['patch', 'cronjob', 'runner', '-n', 'plumbline-system', '--type=merge', '-p', '{"spec":{"suspend":true}}']);
  kubeconfig = await plane.kubeconfigFor({ serviceAccount: { namespace: 'plumbline-system', name: 'plumbline-app' } });
});
afterAll(() => plane?.stop());

let github: GitHub;
let apps: AppProcess[];
let door: Door;
let environment: Record<string, string>;
let repositoryId: number;

beforeEach(async () => {
  github = await startGitHub();
  apps = [];
  door = await openDoor();
  await github.people.createRepository({ owner: 'acme', name: 'api', files: { 'k8s/web.yaml': 'kind: A\n' } });
  repositoryId = github.people.repository('acme/api').id;
  const { appId, privateKey } = await github.owners.registerApp({
    permissions: { contents: 'read', pull_requests: 'write', checks: 'write', issues: 'write', merge_queues: 'read' },
    events: ['pull_request', 'push', 'issue_comment', 'check_run', 'check_suite', 'merge_group', 'repository'],
    webhookUrl: `${door.url}/api/github/webhooks`,
    secret: webhookSecret,
  });
  environment = { KUBECONFIG: kubeconfig, APP_ID: String(appId), PRIVATE_KEY: privateKey, GITHUB_API_URL: github.apiUrl };
  github.owners.installApp(appId, ['acme/api']);
});

afterEach(async () => {
  plane.apiServer.thaw();
  await Promise.all(apps.map((app) => app.stop()));
  await github.deliveriesSettled();
  const { violations } = github;
  await github.stop();
  await door.close();
  await plane.kubectl(['delete', 'jobs', '--all', '-n', 'plumbline-system', '--wait=false']);
  expect(violations).toEqual([]);
});

/** What stands before the replicas: sends each request to the next one, 502 when there is none. */
type Door = { url: string; to: AppProcess[]; close(): Promise<void> };

async function openDoor(): Promise<Door> {
  const to: AppProcess[] = [];
  let turn = 0;
  const server: Server = createServer((incoming, outgoing) => {
    const target = to[turn++ % Math.max(1, to.length)];
    if (!target) return void outgoing.writeHead(502).end();
    const inner = request(`${target.url}${incoming.url}`, { method: incoming.method ?? 'POST', headers: incoming.headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    inner.once('error', () => outgoing.headersSent || outgoing.writeHead(502).end());
    incoming.pipe(inner);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const close = () => new Promise<void>((closed) => server.close(() => closed()).closeAllConnections());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, to, close };
}

async function startReplicas(count: number, more: Record<string, string> = {}, program?: string): Promise<void> {
  const started = await Promise.all(Array.from({ length: count }, () => startAppProcess({ ...environment, ...more }, program)));
  apps.push(...started);
  door.to.splice(0, door.to.length, ...started);
}

const jobs = async (): Promise<KubeObject[]> => {
  const { items } = await plane.api.ok<{ items: KubeObject[] }>('GET', jobsPath);
  return items.filter((job) => !job.metadata.deletionTimestamp).sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
};
const jobNames = async () => (await jobs()).map((job) => job.metadata.name);
const requestsOf = async () => (await jobs()).map((job) => JSON.parse(job.metadata.annotations?.['plumbline.dev/request'] ?? '{}'));
const runs = () => github.people.repository('acme/api').runs;
const statuses = () => github.deliveries.filter((one) => one.event === 'pull_request').map((one) => one.statusCode);
/** Deliveries have ended and what the App does after its answers is done. */
const settled = async () => {
  await github.deliveriesSettled();
  const answered = github.deliveries.filter((one) => one.statusCode > 0 && one.statusCode !== 502).length;
  await until(
    'the App has logged what it answered',
    20_000,
    async () => apps.flatMap((app) => app.lines()).filter((line) => 'guid' in line).length >= answered,
  );
};
const refusedOf = (app: AppProcess | undefined) => app?.lines().filter((line) => line['event'] === 'pull_request');
const openPull = async (branch = 'feature') => {
  await github.people.commit('acme/api', branch, { files: { 'k8s/web.yaml': `kind: B # ${branch}\n` } });
  return (await github.people.openPullRequest('acme/api', { title: `Change ${branch}`, head: branch })).number;
};
const project = async (name: string, revision?: string) => {
  const namespace = await plane.freshNamespace('app');
  const spec = { source: { repository: 'acme/api', ...(revision ? { revision } : {}) } };
  const body = { apiVersion: 'plumbline.dev/v1alpha1', kind: 'Project', metadata: { name, namespace }, spec };
  await plane.api.ok('POST', `/apis/plumbline.dev/v1alpha1/namespaces/${namespace}/projects`, { body });
};

describe('a pull request', () => {
  test('gets its Job, and its queued check from the delivery that made the Job', async () => {
    await startReplicas(2);
    const number = await openPull();
    await settled();
    expect(statuses()).toEqual([202]);
    expect(await jobNames()).toEqual([`pr-${repositoryId}-${number}-1`]);
    expect(await requestsOf()).toEqual([{ kind: 'pull', installation: expect.any(Number), repository: repositoryId, number }]);
    expect(runs()).toMatchObject([{ name: 'plumbline', status: 'queued', headSha: await github.people.tip('acme/api', 'feature') }]);
  });

  test('that a waiting Job covers gets no second one, whatever happens to it meanwhile', async () => {
    await startReplicas(2);
    const number = await openPull();
    await settled();
    await github.people.commit('acme/api', 'feature', { files: { 'k8s/web.yaml': 'kind: C\n' } });
    github.people.label('acme/api', number, 'preview');
    github.people.comment('acme/api', number, '/status');
    await settled();
    expect(await jobNames()).toEqual([`pr-${repositoryId}-${number}-1`]);
  });

  test('whose Job has started gets the next one', async () => {
    await startReplicas(2);
    const number = await openPull();
    await settled();
    const body = { metadata: { labels: { 'plumbline.dev/started': 'true' } } };
    await plane.api.ok('PATCH', `${jobsPath}/pr-${repositoryId}-${number}-1`, { body, patch: 'merge-patch+json' });
    github.people.label('acme/api', number, 'preview');
    await settled();
    expect(await jobNames()).toEqual([`pr-${repositoryId}-${number}-1`, `pr-${repositoryId}-${number}-2`]);
    expect(runs()).toHaveLength(1);
  });

  test('told twice and to two replicas at once: one Job, one check', async () => {
    await startReplicas(2);
    github.faults.add({ delivery: 'any', effect: 'double' });
    const number = await openPull();
    await settled();
    expect(statuses()).toEqual([202, 202]);
    expect(await jobNames()).toEqual([`pr-${repositoryId}-${number}-1`]);
    expect(runs()).toHaveLength(1);
  });

  test('whose deliveries come in the wrong order: the same one Job', async () => {
    await startReplicas(2);
    const release = github.faults.add({ delivery: 'pull_request', effect: 'hold' });
    const number = await openPull();
    await github.people.commit('acme/api', 'feature', { files: { 'k8s/web.yaml': 'kind: C\n' } });
    await github.people.closePullRequest('acme/api', number);
    release();
    await settled();
    expect(statuses()).toEqual([202, 202, 202]);
    expect(await jobNames()).toEqual([`pr-${repositoryId}-${number}-1`]);
    expect(runs().length).toBeLessThanOrEqual(1);
  });

  test('while GitHub refuses to open a check: the Job is there, and the log says why without a token', async () => {
    await startReplicas(1);
    github.faults.add({
      operation: 'POST /app/installations/{installation_id}/access_tokens',
      status: 403,
      message: 'This installation has been suspended',
    });
    const number = await openPull();
    await settled();
    expect(statuses()).toEqual([202]);
    expect(await jobNames()).toEqual([`pr-${repositoryId}-${number}-1`]);
    expect(apps[0]?.lines().at(-1)).toMatchObject({ status: 202, check: 'GITHUB_FORBIDDEN' });
    expect(apps[0]?.output()).not.toMatch(/ghs_|eyJ|BEGIN/);
  });
});

describe('other events', () => {
  test('a push starts a look at its ref when a Project tracks it, and nothing otherwise', async () => {
    await startReplicas(1);
    await project('prod', 'production');
    await github.people.commit('acme/api', 'feature', { files: { 'a.yaml': 'kind: A\n' } });
    await settled();
    expect(await jobNames()).toEqual([]);
    await github.people.commit('acme/api', 'production', { files: { 'a.yaml': 'kind: A\n' } });
    await settled();
    expect(await requestsOf()).toMatchObject([{ kind: 'ref', ref: 'refs/heads/production' }]);
    await plane.kubectl(['delete', 'jobs', '--all', '-n', 'plumbline-system', '--wait=false']);
    await github.people.deleteBranch('acme/api', 'production');
    await settled();
    expect(await requestsOf()).toMatchObject([{ kind: 'ref', ref: 'refs/heads/production' }]);
  });

  test('a Project without a revision tracks the default branch', async () => {
    await startReplicas(1);
    await project('main');
    await github.people.commit('acme/api', 'main', { files: { 'a.yaml': 'kind: A\n' } });
    await settled();
    expect(await requestsOf()).toMatchObject([{ kind: 'ref', ref: 'refs/heads/main' }]);
  });

  test('a comment counts when it is a command; a re-run and a merge group have their keys', async () => {
    await startReplicas(1);
    github.faults.add({ delivery: 'pull_request', effect: 'lose' });
    const number = await openPull();
    github.people.comment('acme/api', number, 'nice work');
    await settled();
    expect(await jobNames()).toEqual([]);
    github.people.comment('acme/api', number, '/status');
    await settled();
    expect(await jobNames()).toEqual([`pr-${repositoryId}-${number}-1`]);
    expect(runs()).toEqual([]);
    await github.owners.queuePullRequest('acme/api', number);
    await settled();
    expect((await requestsOf()).map((one) => one.kind).sort()).toEqual(['pull', 'ref']);
  });

  test('a re-run of a check on the head of a fork, where GitHub names no pull request: it is looked for', async () => {
    await startReplicas(1);
    const number = await openPull();
    await settled();
    await plane.kubectl(['delete', 'jobs', '--all', '-n', 'plumbline-system', '--wait=false']);
    const genuine = github.deliveries.find((one) => one.event === 'pull_request')?.request.payload;
    const headSha = runs()[0]?.headSha;
    const check_run = { app: { id: Number(environment['APP_ID']) }, head_sha: headSha, pull_requests: [] };
    const payload = { ...genuine, action: 'rerequested', check_run };
    const answer = await deliver(door.url, { event: 'check_run', payload, secret: webhookSecret });
    expect(answer.status).toBe(202);
    expect(await jobNames()).toEqual([`pr-${repositoryId}-${number}-1`]);
    const unknown = { ...payload, check_run: { ...check_run, head_sha: 'f'.repeat(40) } };
    expect((await deliver(door.url, { event: 'check_run', payload: unknown, secret: webhookSecret })).status).toBe(202);
    expect(await jobNames()).toHaveLength(1);
  });

  test('ping, events that nobody asked for, and other payloads of GitHub make nothing, and neither they nor the start ask GitHub for anything', async () => {
    const before = github.requests.length;
    await startReplicas(1);
    const genuine = { zen: 'x', hook_id: 1, installation: { id: 99 }, repository: { id: 7 } };
    for (const event of ['ping', 'star', 'installation', 'repository', 'workflow_run', 'check_suite']) {
      expect((await deliver(door.url, { event, payload: { ...genuine, action: 'created' }, secret: webhookSecret })).status).toBe(202);
    }
    for (const odd of [{ installation: null }, { installation: 'x' }, { installation: [] }, { installation: { id: {} } }, { action: {} }]) {
      expect([202, 400]).toContain(
        (await deliver(door.url, { event: 'star', payload: { ...genuine, ...odd }, secret: webhookSecret })).status,
      );
      expect(
        (await deliver(door.url, { event: 'pull_request', payload: { ...genuine, action: 'opened', ...odd }, secret: webhookSecret }))
          .status,
      ).toBeLessThan(500);
    }
    expect(await jobNames()).toEqual([]);
    expect(github.requests.length).toBe(before);
  });
});

describe('a replica that is killed', () => {
  test.each([
    ['before the Job', 0],
    ['between Job and ack', 1],
    ['after the ack', 1],
  ])('%s: GitHub knows, and a redelivery to the next one ends with one Job', async (place, left) => {
    await startReplicas(1, { KILL: place }, 'test/support/app/doomed.ts');
    const number = await openPull();
    await github.deliveriesSettled();
    expect(await apps[0]?.ended).toMatchObject({ signal: 'SIGKILL' });
    expect(await jobNames()).toHaveLength(left);
    expect(statuses()).toEqual([place === 'after the ack' ? 202 : 502]);
    expect(runs()).toEqual([]);
    const lost = github.deliveries.find((one) => one.event === 'pull_request');
    apps.length = 0;
    await startReplicas(1);
    // What a person does on the page of the App, or the App's own sweep.
    const again = await deliver(door.url, {
      event: 'pull_request',
      payload: lost?.request.payload,
      guid: lost?.guid ?? '',
      secret: webhookSecret,
    });
    expect(again.status).toBe(202);
    await until('it is logged', 10_000, async () => apps[0]?.lines().some((line) => line['guid'] === lost?.guid));
    expect(await jobNames()).toEqual([`pr-${repositoryId}-${number}-1`]);
    // Whoever made the Job opens the check; where that one died, the runner does.
    expect(runs()).toHaveLength(left === 0 ? 1 : 0);
  });

  test('by SIGTERM while a delivery is under way finishes it and ends with 0', async () => {
    await startReplicas(1);
    plane.apiServer.freeze();
    const payload = { ...(await openedPayload()) };
    const answer = deliver(apps[0]?.url ?? '', { event: 'pull_request', payload, secret: webhookSecret });
    await until(
      'the App asks the API server',
      5_000,
      async () => (await deliver(apps[0]?.url ?? '', { event: 'ping', secret: webhookSecret })).status === 202,
    );
    apps[0]?.child.kill('SIGTERM');
    plane.apiServer.thaw();
    expect((await answer).status).toBe(202);
    expect(await apps[0]?.ended).toEqual({ code: 0, signal: null });
    expect(await jobNames()).toHaveLength(1);
  });
});

/** The payload of a pull request that was opened while the App heard nothing. */
async function openedPayload(): Promise<Record<string, unknown>> {
  const replicas = door.to.splice(0);
  await openPull();
  await github.deliveriesSettled();
  door.to.push(...replicas);
  const payload = github.deliveries.find((one) => one.event === 'pull_request')?.request.payload;
  if (!payload) throw new Error('no delivery was made');
  return payload;
}

describe('when no Job can be made', () => {
  test('the API server is frozen: 503 before the ten seconds of GitHub, and no ack that is not true', async () => {
    await startReplicas(2);
    plane.apiServer.freeze();
    const number = await openPull();
    await github.deliveriesSettled();
    expect(statuses()).toEqual([503]);
    expect(github.deliveries.at(-1)?.duration).toBeLessThan(10);
    plane.apiServer.thaw();
    // Whatever was on its way to the API server may still arrive; the next delivery meets it or makes it.
    github.people.label('acme/api', number, 'preview');
    await github.deliveriesSettled();
    expect(statuses()).toEqual([503, 202]);
    expect(await jobNames()).toEqual([`pr-${repositoryId}-${number}-1`]);
  });

  test('the quota is full: 503, and the log says so', async () => {
    await startReplicas(1);
    await plane.kubectl([
      'patch',
      'resourcequota',
      'plumbline-jobs',
      '-n',
      'plumbline-system',
      '--type=merge',
      '-p',
      '{"spec":{"hard":{"count/jobs.batch":"0"}}}',
    ]);
    try {
      await until('the quota is known', 10_000, async () => {
        const quota = await plane.api.ok('GET', '/api/v1/namespaces/plumbline-system/resourcequotas/plumbline-jobs');
        return (quota['status'] as { hard?: Record<string, string> }).hard?.['count/jobs.batch'] === '0';
      });
      await openPull();
      await settled();
      expect(statuses()).toEqual([503]);
      expect(refusedOf(apps[0])).toMatchObject([{ status: 503, outcome: 'JOB_QUOTA_FULL' }]);
      expect(runs()).toEqual([]);
    } finally {
      await plane.kubectl(['apply', '-f', 'deploy/app/quota.yaml']);
    }
  });

  test('the runner is not installed: 503, and the log says so', async () => {
    await startReplicas(1);
    await plane.kubectl(['delete', 'cronjob', 'runner', '-n', 'plumbline-system']);
    try {
      await openPull();
      await settled();
      expect(statuses()).toEqual([503]);
      expect(refusedOf(apps[0])).toMatchObject([{ status: 503, outcome: 'RUNNER_NOT_INSTALLED' }]);
    } finally {
      await plane.kubectl(['apply', '-f', 'deploy/runner/cronjob.yaml']);
    }
  });
});
