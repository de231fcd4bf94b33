/**
 * Everything that Plumbline needs and is, on this machine: a control plane with `deploy/` applied, a node that runs the runner's pods as
 * processes, and a GitHub on loopback with an App. Used by end-to-end tests, the demo and the benches.
 */
import { join } from 'node:path';
import type { KubeObject } from '../../src/object.ts';
import { type ControlPlane, startControlPlane } from './cluster/control-plane.ts';
import { type ProcessNode, startProcessNode } from './cluster/process-node.ts';
import { until } from './cluster/until.ts';
import { type GitHub, startGitHub } from './github/github.ts';
import type { RegisteredApp } from './github/owners.ts';
import { install } from './project-world.ts';

/** What `app.yml` asks for. */
export const appPermissions = {
  metadata: 'read',
  contents: 'read',
  pull_requests: 'write',
  checks: 'write',
  deployments: 'write',
  issues: 'write',
  merge_queues: 'read',
  statuses: 'read',
} as const;
export const appEvents = ['check_run', 'check_suite', 'issue_comment', 'merge_group', 'pull_request', 'push', 'repository'];

export type Installation = {
  plane: ControlPlane;
  node: ProcessNode;
  github: GitHub;
  app: RegisteredApp;
  /** A namespace with the account `plumbline`, which may write what `admin` may. */
  tenant(name: string): Promise<void>;
  project(namespace: string, name: string, spec: Record<string, unknown>): Promise<void>;
  /** One tick, as the CronJob would start it, and what its runner logged. */
  tick(): Promise<string>;
  /** Waits until every Job of the runner has ended; throws with its log when one failed. */
  jobsSettled(): Promise<void>;
  jobs(): Promise<KubeObject[]>;
  /** All that the runners logged so far. */
  logs(): string;
  stop(): Promise<void>;
};

/** `suspendTicks`: the CronJob waits for `tick()` instead of for the minute. */
export async function startInstallation(options: { suspendTicks: boolean; echo?: (line: string) => void }): Promise<Installation> {
  const plane = await startControlPlane();
  const stops: (() => Promise<void>)[] = [() => plane.stop()];
  try {
    const github = await startGitHub();
    stops.unshift(() => github.stop());
    const app = await github.owners.registerApp({ permissions: appPermissions, events: appEvents });
    await install(plane);
    await plane.kubectl(['apply', '--server-side', '-k', join(import.meta.dirname, '../../deploy/app')]);
    await configure(plane, github, app, options.suspendTicks);
    const node = await startProcessNode(plane, options.echo ? { echo: options.echo } : {});
    stops.unshift(() => node.stop());
    return installation(plane, node, github, app, stops);
  } catch (error) {
    for (const stop of stops) await stop();
    throw error;
  }
}

async function configure(plane: ControlPlane, github: GitHub, app: RegisteredApp, suspendTicks: boolean): Promise<void> {
  const system = { namespace: 'plumbline-system' };
  await plane.kubectl(
    ['create', 'secret', 'generic', 'plumbline-github', `--from-literal=appId=${app.appId}`, `--from-literal=privateKey=${app.privateKey}`],
    system,
  );
  const data = { 'github.apiUrl': github.apiUrl, 'github.url': github.url };
  await plane.kubectl(['patch', 'configmap', 'plumbline-config', '--type=merge', '-p', JSON.stringify({ data })], system);
  if (suspendTicks) await plane.kubectl(['patch', 'cronjob', 'runner', '--type=merge', '-p', '{"spec":{"suspend":true}}'], system);
}

function installation(
  plane: ControlPlane,
  node: ProcessNode,
  github: GitHub,
  app: RegisteredApp,
  stops: (() => Promise<void>)[],
): Installation {
  let ticks = 0;
  const namespace = 'plumbline-system';
  const jobs = async () => (await plane.api.ok<{ items: KubeObject[] }>('GET', `/apis/batch/v1/namespaces/${namespace}/jobs`)).items;
  const logs = () =>
    node
      .pods(namespace)
      .map((pod) => node.logs(namespace, pod))
      .join('');
  const isEnded = (job: KubeObject) => conditions(job).some((one) => one === 'Complete' || one === 'Failed');
  return {
    plane,
    node,
    github,
    app,
    jobs,
    logs,
    async tenant(name) {
      await plane.kubectl(['create', 'namespace', name]);
      await plane.kubectl(['create', 'serviceaccount', 'plumbline'], { namespace: name });
      await plane.kubectl(['create', 'rolebinding', 'plumbline', '--clusterrole=admin', `--serviceaccount=${name}:plumbline`], {
        namespace: name,
      });
    },
    async project(inNamespace, name, spec) {
      const object = { apiVersion: 'plumbline.dev/v1alpha1', kind: 'Project', metadata: { name, namespace: inNamespace }, spec };
      await plane.kubectl(['apply', '--server-side', '-f', '-'], { input: JSON.stringify(object) });
    },
    async tick() {
      const name = `tick-${++ticks}`;
      await plane.kubectl(['create', 'job', name, '--from=cronjob/runner'], { namespace });
      await until(`${name} ends`, 60_000, async () => (await jobs()).some((job) => job.metadata.name === name && isEnded(job)));
      const pod = node.pods(namespace).find((one) => one.startsWith(`${name}-`));
      return pod ? node.logs(namespace, pod, 'runner') : '';
    },
    async jobsSettled() {
      await until('every Job of the runner has ended', 120_000, async () => (await jobs()).every(isEnded));
      const failed = (await jobs()).filter((job) => conditions(job).includes('Failed'));
      if (failed.length > 0) throw new Error(`${failed.map((job) => job.metadata.name).join(', ')} failed:\n${logs()}`);
    },
    async stop() {
      for (const stop of stops) await stop();
    },
  };
}

function conditions(job: KubeObject): string[] {
  const status = job['status'] as { conditions?: { type: string; status: string }[] } | undefined;
  return (status?.conditions ?? []).filter((one) => one.status === 'True').map((one) => one.type);
}
