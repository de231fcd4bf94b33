/**
 * The App, killed at one exact place by its own doors (environment KILL): `before the Job`, `between Job and ack`, `after the ack`.
 * SIGKILL, so that nothing can be tidied up.
 */
import { startApp } from '../../../app/app.ts';
import { readSettings } from '../../../app/settings.ts';
import { type Cluster, connectCluster } from '../../../src/cluster.ts';
import { connectGitHub, type GitHub } from '../../../src/github.ts';

const place = process.env['KILL'];

function die(): never {
  process.kill(process.pid, 'SIGKILL');
  // The signal ends the process before this line; a loop says so to the compiler.
  for (;;);
}

function doomedCluster(cluster: Cluster): Cluster {
  return {
    ...cluster,
    async create(object) {
      if (place === 'before the Job') die();
      const created = await cluster.create(object);
      if (place === 'between Job and ack') die();
      return created;
    },
  };
}

function doomedGitHub(github: GitHub): GitHub {
  return { ...github, knownRepository: (known) => (place === 'after the ack' ? die() : github.knownRepository(known)) };
}

const settings = readSettings(process.env);
const { appId, privateKey, apiUrl } = settings;
const doors = { cluster: doomedCluster(connectCluster()), github: doomedGitHub(connectGitHub({ appId, privateKey, apiUrl })) };
const log = (line: Record<string, unknown>) => process.stdout.write(`${JSON.stringify(line)}\n`);
log({ listening: (await startApp({ settings, doors, log })).url });
