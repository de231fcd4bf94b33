/**
 * The entry inside the cluster. A Job without a request is a tick: it looks and makes Jobs. A Job with one does just that, and ends.
 * Exit 0 whatever it finds: findings are data in status and checks. 1 only when the runner itself could not work.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectCluster } from './cluster.ts';
import { faultOf, formatFault, PlumblineError } from './error.ts';
import type { Clock } from './flow/lease.ts';
import { tick } from './flow/tick.ts';
import { doWork, readSettings, type WorkDoors } from './flow/work.ts';
import { listRemote, openClone } from './git.ts';
import { connectGitHub } from './github.ts';
import { remoteRenderer } from './render/remote.ts';
import { renderInProcess } from './render/render.ts';
import { productNamespace, readWorkRequest, requestAnnotation, startedLabel } from './work.ts';

const log = (line: Record<string, unknown>) => console.log(JSON.stringify({ at: new Date().toISOString(), ...line }));

const clock: Clock = {
  now: () => new Date(),
  monotonic: () => performance.now(),
  pause: (milliseconds) => new Promise((done) => setTimeout(done, milliseconds)),
};

const stop = new AbortController();

async function main(): Promise<void> {
  const [command = 'tick', ...more] = process.argv.slice(2);
  if (command !== 'tick' || more.length > 0) {
    throw new PlumblineError('RUNNER_COMMAND', `"${[command, ...more].join(' ')}" is no command of the runner`, {
      hint: 'it knows one: tick',
    });
  }
  const { JOB_NAME, POD_NAME, RENDER_SOCKET, SCRATCH, GITHUB_APP_ID, GITHUB_PRIVATE_KEY } = process.env;
  const cluster = connectCluster();
  const settings = await readSettings(cluster);
  const github =
    GITHUB_APP_ID && GITHUB_PRIVATE_KEY
      ? connectGitHub({
          apiUrl: settings.githubApiUrl,
          appId: Number(GITHUB_APP_ID),
          // In one line with \n written out, as the App takes it from the same Secret.
          privateKey: GITHUB_PRIVATE_KEY.replaceAll('\\n', '\n'),
        })
      : undefined;
  const scratch = await mkdtemp(join(SCRATCH ?? tmpdir(), 'plumbline-'));
  const doors: WorkDoors = {
    cluster,
    github,
    settings,
    refs: (remote) => listRemote(remote),
    clone: async (remote) => openClone(remote, await mkdtemp(join(scratch, 'clone-'))),
    render: RENDER_SOCKET ? remoteRenderer(RENDER_SOCKET) : renderInProcess,
    clock,
    signal: stop.signal,
    holder: POD_NAME ?? `runner-${randomBytes(4).toString('hex')}`,
    log,
  };
  try {
    const request = JOB_NAME ? await takeRequest(JOB_NAME, doors) : undefined;
    if (request) return await doWork(request, doors);
    const { projects, jobs, faults } = await tick(doors);
    for (const { about, ...fault } of faults) log({ about, fault: formatFault(fault) });
    log({ tick: 'done', projects, jobs: jobs.length, faults: faults.length });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** What this Job is for. It is marked as started before anything is read, so that whatever happens from now on gets a Job of its own. */
async function takeRequest(name: string, { cluster }: WorkDoors) {
  const ref = { apiVersion: 'batch/v1', kind: 'Job', namespace: productNamespace, name };
  const annotations = (await cluster.read(ref))?.metadata.annotations;
  const request = readWorkRequest(annotations?.[requestAnnotation]);
  if (request) await cluster.patch(ref, { metadata: { labels: { [startedLabel]: 'true' } } });
  return request;
}

process.on('SIGTERM', () => {
  log({ stopping: 'SIGTERM' });
  stop.abort();
});

main().then(
  // Open sockets of a keep-alive connection would hold the process for seconds.
  () => process.exit(0),
  (thrown: unknown) => {
    console.error(formatFault(faultOf(thrown)));
    process.exit(1);
  },
);
