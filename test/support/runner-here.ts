/**
 * The runner in this process, for tests of what it decides: the same doors, rights and journeys as in its pod, without starting one.
 * Jobs are made on the real API server; their pods wait for a node that there is not.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectCluster } from '../../src/cluster.ts';
import { faultOf, formatFault } from '../../src/error.ts';
import { tick } from '../../src/flow/tick.ts';
import { doWork, type WorkDoors } from '../../src/flow/work.ts';
import { listRemote, openClone } from '../../src/git.ts';
import { connectGitHub } from '../../src/github.ts';
import type { KubeObject } from '../../src/object.ts';
import { renderInProcess } from '../../src/render/render.ts';
import { readWorkRequest, requestAnnotation, startedLabel } from '../../src/work.ts';
import type { Cluster } from './cluster/control-plane.ts';
import type { GitHub } from './github/github.ts';
import type { RegisteredApp } from './github/owners.ts';
import { clock, runnerAccount } from './project-world.ts';

export type RunnerHere = {
  tick(): Promise<void>;
  /** Carries out the Jobs that wait, those that they make too; throws what one of them threw. */
  work(): Promise<void>;
  logs(): string;
  stop(): Promise<void>;
};

const job = { apiVersion: 'batch/v1', kind: 'Job' };

export async function startRunnerHere(there: Cluster, github: GitHub, app: RegisteredApp): Promise<RunnerHere> {
  const cluster = connectCluster({ kubeconfig: await there.kubeconfigFor({ serviceAccount: runnerAccount }) });
  // The runner may not delete Jobs; what was carried out here is cleared away by an administrator.
  const owner = connectCluster({ kubeconfig: there.kubeconfig });
  const scratch = await mkdtemp(join(tmpdir(), 'plumbline-here-'));
  const lines: string[] = [];
  const doors: WorkDoors = {
    cluster,
    github: connectGitHub({ apiUrl: github.apiUrl, appId: app.appId, privateKey: app.privateKey }),
    settings: { cluster: '', githubApiUrl: github.apiUrl },
    refs: (remote) => listRemote(remote),
    clone: async (remote) => openClone(remote, await mkdtemp(join(scratch, 'clone-'))),
    render: renderInProcess,
    clock,
    holder: 'here',
    signal: new AbortController().signal,
    log: (line) => void lines.push(JSON.stringify(line)),
  };
  const carryOut = async ({ metadata }: KubeObject) => {
    const ref = { ...job, namespace: runnerAccount.namespace, name: metadata.name };
    await cluster.patch(ref, { metadata: { labels: { [startedLabel]: 'true' } } });
    const request = readWorkRequest(metadata.annotations?.[requestAnnotation]);
    try {
      if (request) await doWork(request, doors);
    } finally {
      await owner.delete(ref, { uid: metadata.uid ?? '' });
    }
  };
  return {
    async tick() {
      const { faults } = await tick(doors);
      for (const { about, ...fault } of faults) lines.push(`${about}: ${formatFault(fault)}`);
    },
    async work() {
      for (;;) {
        const waiting = (await cluster.list(job, { namespace: runnerAccount.namespace })).filter((one) => !one.metadata.deletionTimestamp);
        const [first] = waiting;
        if (!first) return;
        await carryOut(first).catch((error: unknown) => {
          lines.push(formatFault(faultOf(error)));
          throw error;
        });
      }
    },
    logs: () => lines.join('\n'),
    stop: () => rm(scratch, { recursive: true, force: true }),
  };
}
