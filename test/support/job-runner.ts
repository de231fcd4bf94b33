/**
 * The runner's Jobs on a cluster that somebody has, where the image of this checkout does not exist: each Job that appears is carried
 * out by a process of this machine, with the runner's own token. Its pod waits for a node that there is not, and goes with the Job.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { KubeObject } from '../../src/object.ts';
import type { Cluster } from './cluster/control-plane.ts';
import type { RegisteredApp } from './github/owners.ts';

const namespace = 'plumbline-system';
export const nowhere = { 'plumbline.dev/demo': 'runs-outside' };

export type JobRunner = { logs(): string; stop(): Promise<void> };

export async function startJobRunner(cluster: Cluster, app: RegisteredApp): Promise<JobRunner> {
  const kubeconfig = await cluster.kubeconfigFor({ serviceAccount: { namespace, name: 'plumbline-runner' } });
  let logs = '';
  let isStopping = false;
  const carryOut = (name: string) =>
    new Promise<void>((done) => {
      const child = spawn(process.execPath, [join(import.meta.dirname, '../../src/runner.ts'), 'tick'], {
        env: {
          PATH: process.env['PATH'],
          KUBECONFIG: kubeconfig,
          JOB_NAME: name,
          POD_NAME: `${name}-outside`,
          GITHUB_APP_ID: String(app.appId),
          GITHUB_PRIVATE_KEY: app.privateKey,
        },
      });
      child.stdout.on('data', (data) => {
        logs += data;
      });
      child.stderr.on('data', (data) => {
        logs += data;
      });
      child.once('close', () => done());
    });
  const loop = async () => {
    while (!isStopping) {
      const { items } = JSON.parse(await cluster.kubectl(['get', 'jobs', '-o', 'json'], { namespace })) as { items: KubeObject[] };
      for (const { metadata } of items.filter((job) => !job.metadata.deletionTimestamp)) {
        await carryOut(metadata.name);
        await cluster.kubectl(['delete', 'job', metadata.name, '--ignore-not-found'], { namespace });
      }
      await new Promise((done) => setTimeout(done, 300));
    }
  };
  const running = loop().catch((error: unknown) => {
    logs += String(error);
  });
  return {
    logs: () => logs,
    async stop() {
      isStopping = true;
      await running;
    },
  };
}
