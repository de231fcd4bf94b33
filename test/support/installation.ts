/**
 * Everything that Plumbline needs and is, on this machine: a control plane with `deploy/` applied, a node that runs the runner's pods as
 * processes, and a GitHub on loopback with an App. Used by end-to-end tests, the demo and the benches.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { KubeObject } from '../../src/object.ts';
import { type AppProcess, startAppProcess, webhookSecret } from './app/process.ts';
import { type Cluster, type ControlPlane, startControlPlane } from './cluster/control-plane.ts';
import { openCluster } from './cluster/open-cluster.ts';
import { type ProcessNode, startProcessNode } from './cluster/process-node.ts';
import { until } from './cluster/until.ts';
import { type GitHub, startGitHub } from './github/github.ts';
import type { RegisteredApp } from './github/owners.ts';
import type { Permissions } from './github/state.ts';
import { nowhere, startJobRunner } from './job-runner.ts';
import { install } from './project-world.ts';
import { startRunnerHere } from './runner-here.ts';

/** What the App asks its owner for. */
const manifest = parse(readFileSync(join(import.meta.dirname, '../../app.yml'), 'utf8')) as {
  default_permissions: Permissions;
  default_events: string[];
};

export type Installation = {
  cluster: Cluster;
  github: GitHub;
  app: RegisteredApp;
  /** A namespace with the account `plumbline`, which may write what `admin` may. */
  tenant(name: string): Promise<void>;
  project(namespace: string, name: string, spec: Record<string, unknown>): Promise<void>;
  /** One tick, as the CronJob would start it; returns when it has ended. */
  tick(): Promise<void>;
  /** Waits until every Job of the runner has ended; throws with its log when one failed. */
  jobsSettled(): Promise<void>;
  /** As `jobsSettled`, failed ones too. */
  jobsEnded(): Promise<void>;
  jobs(): Promise<KubeObject[]>;
  /** All that the runners logged so far. */
  logs(): string;
  /** The App, as `npm start` starts it, with its service account's rights; GitHub delivers to it from now on. */
  startApp(): Promise<AppProcess>;
  stop(): Promise<void>;
};
/** On a control plane of our own, which tests may look into. */
export type OwnInstallation = Installation & { plane: ControlPlane; node: ProcessNode };

/** `suspendTicks`: the CronJob waits for `tick()` instead of for the minute. */
export async function startInstallation(options: { suspendTicks: boolean; echo?: (line: string) => void }): Promise<OwnInstallation> {
  const plane = await startControlPlane();
  const stops: Stop[] = [() => plane.stop()];
  return orStopped(stops, async () => {
    const { github, app } = await startWorld(plane, stops, options.suspendTicks);
    const node = await startProcessNode(plane, options.echo ? { echo: options.echo } : {});
    stops.unshift(() => node.stop());
    const logs = () =>
      node
        .pods(system.namespace)
        .map((pod) => node.logs(system.namespace, pod))
        .join('');
    return { ...installation(plane, github, app, logs, stops), plane, node };
  });
}

/** As {@link startInstallation}, with the runner in this process: for tests that need many ticks and no pod. */
export async function startInstallationHere(): Promise<Installation & { plane: ControlPlane }> {
  const plane = await startControlPlane();
  const stops: Stop[] = [() => plane.stop()];
  return orStopped(stops, async () => {
    const { github, app } = await startWorld(plane, stops, true);
    const runner = await startRunnerHere(plane, github, app);
    stops.unshift(() => runner.stop());
    const usual = installation(plane, github, app, runner.logs, stops);
    // What a Job throws is in its log, as a failed pod's would be.
    return { ...usual, plane, tick: runner.tick, jobsSettled: runner.work, jobsEnded: () => runner.work().catch(() => undefined) };
  });
}

/** On a cluster that somebody has, which must not hold Plumbline yet: everything that was made there goes with `stop`. */
export async function startInstallationOn(context: string): Promise<Installation> {
  const { cluster } = await openCluster({ context });
  const stops: Stop[] = [() => cluster.stop()];
  return orStopped(stops, async () => {
    const there = await cluster.tryKubectl(['get', 'crd', 'projects.plumbline.dev']);
    if (there.code === 0)
      throw new Error(`Plumbline is installed in ${context} already, and the demo would remove it when it ends: use another cluster`);
    const deploy = join(import.meta.dirname, '../../deploy');
    stops.unshift(async () => {
      for (const folder of [join(deploy, 'app'), deploy])
        await cluster.kubectl(['delete', '--ignore-not-found', '--wait=false', '-k', folder], { timeout: 120_000 });
    });
    const { github, app } = await startWorld(cluster, stops, true);
    const template = { spec: { jobTemplate: { spec: { template: { spec: { nodeSelector: nowhere } } } } } };
    await cluster.kubectl(['patch', 'cronjob', 'runner', '--type=merge', '-p', JSON.stringify(template)], system);
    const runner = await startJobRunner(cluster, app);
    stops.unshift(() => runner.stop());
    return installation(cluster, github, app, runner.logs, stops);
  });
}

type Stop = () => Promise<void>;
const system = { namespace: 'plumbline-system' };

async function orStopped<T>(stops: Stop[], start: () => Promise<T>): Promise<T> {
  try {
    return await start();
  } catch (error) {
    for (const stop of stops) await stop();
    throw error;
  }
}

async function startWorld(cluster: Cluster, stops: Stop[], suspendTicks: boolean): Promise<{ github: GitHub; app: RegisteredApp }> {
  const github = await startGitHub();
  stops.unshift(() => github.stop());
  const app = await github.owners.registerApp({ permissions: manifest.default_permissions, events: manifest.default_events });
  await install(cluster);
  await cluster.kubectl(['apply', '--server-side', '-k', join(import.meta.dirname, '../../deploy/app')]);
  // Here the App is a process that can be killed; in a cluster it is this Deployment.
  await cluster.kubectl(['scale', 'deployment', 'plumbline-app', '--replicas=0'], system);
  const key = [`--from-literal=appId=${app.appId}`, `--from-literal=privateKey=${app.privateKey}`];
  await cluster.kubectl(['create', 'secret', 'generic', 'plumbline-github', ...key], system);
  const data = { 'github.apiUrl': github.apiUrl };
  await cluster.kubectl(['patch', 'configmap', 'plumbline-config', '--type=merge', '-p', JSON.stringify({ data })], system);
  if (suspendTicks) await cluster.kubectl(['patch', 'cronjob', 'runner', '--type=merge', '-p', '{"spec":{"suspend":true}}'], system);
  return { github, app };
}

function installation(cluster: Cluster, github: GitHub, app: RegisteredApp, logs: () => string, stops: Stop[]): Installation {
  let ticks = 0;
  const jobs = async () => (JSON.parse(await cluster.kubectl(['get', 'jobs', '-o', 'json'], system)) as { items: KubeObject[] }).items;
  const isEnded = (job: KubeObject) => conditions(job).some((one) => one === 'Complete' || one === 'Failed');
  const jobsEnded = async () => void (await until('every Job of the runner has ended', 120_000, async () => (await jobs()).every(isEnded)));
  return {
    cluster,
    github,
    app,
    jobs,
    logs,
    async tenant(name) {
      await cluster.kubectl(['create', 'namespace', name]);
      stops.unshift(async () => void (await cluster.kubectl(['delete', 'namespace', name, '--wait=false', '--ignore-not-found'])));
      await cluster.kubectl(['create', 'serviceaccount', 'plumbline'], { namespace: name });
      const binding = ['create', 'rolebinding', 'plumbline', '--clusterrole=admin', `--serviceaccount=${name}:plumbline`];
      await cluster.kubectl(binding, { namespace: name });
    },
    async project(namespace, name, spec) {
      const object = { apiVersion: 'plumbline.dev/v1alpha1', kind: 'Project', metadata: { name, namespace }, spec };
      await cluster.kubectl(['apply', '--server-side', '-f', '-'], { input: JSON.stringify(object) });
    },
    async tick() {
      const name = `tick-${++ticks}`;
      await cluster.kubectl(['create', 'job', name, '--from=cronjob/runner'], system);
      await until(`${name} ends`, 60_000, async () => {
        const job = (await jobs()).find((one) => one.metadata.name === name);
        return !job || isEnded(job);
      });
    },
    jobsEnded,
    async jobsSettled() {
      await jobsEnded();
      const failed = (await jobs()).filter((job) => conditions(job).includes('Failed'));
      if (failed.length > 0) throw new Error(`${failed.map((job) => job.metadata.name).join(', ')} failed:\n${logs()}`);
    },
    async startApp() {
      const started = await startAppProcess({
        KUBECONFIG: await cluster.kubeconfigFor({ serviceAccount: { ...system, name: 'plumbline-app' } }),
        APP_ID: String(app.appId),
        PRIVATE_KEY: app.privateKey,
        GITHUB_API_URL: github.apiUrl,
      });
      stops.unshift(async () => void (await started.stop()));
      github.owners.setWebhook(app.appId, `${started.url}/api/github/webhooks`, webhookSecret);
      return started;
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
