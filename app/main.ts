/** `npm start`: the App on this machine or in its Deployment. Everything it needs is in the environment (see `app/settings.ts`). */
import { connectCluster } from '../src/cluster.ts';
import { faultOf } from '../src/error.ts';
import { connectGitHub } from '../src/github.ts';
import { startApp } from './app.ts';
import { readSettings } from './settings.ts';

const stopWithinMs = 25_000;
const log = (line: Record<string, unknown>): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`);
};

async function main(): Promise<void> {
  const settings = readSettings(process.env);
  const { appId, privateKey, apiUrl } = settings;
  // A check that has to wait for GitHub's limits is left to the runner.
  const github = connectGitHub({ appId, privateKey, apiUrl, patienceMs: 2_000 });
  const app = await startApp({ settings, doors: { cluster: connectCluster(), github }, log });
  log({ listening: app.url });
  let stopping = false;
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    // What is in flight ends by itself long before; a hanging client must not keep the pod.
    setTimeout(() => process.exit(1), stopWithinMs).unref();
    app.close().then(() => process.exit(0), fail);
  };
  process.on('SIGTERM', stop).on('SIGINT', stop);
}

function fail(thrown: unknown): void {
  const { code, message, hint } = faultOf(thrown);
  process.stderr.write(`plumbline app: ${code} ${message}${hint ? ` (${hint})` : ''}\n`);
  process.exit(1);
}

main().catch(fail);
