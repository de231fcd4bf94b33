/**
 * The cluster that the suites of one jest worker share. jest gives every suite a module registry of its own, so what is shared is
 * kept outside: a folder named after the worker's process, which the plane's supervisor empties when the worker is gone.
 */
import { join } from 'node:path';
import { attach, type ControlPlane, isReady, startControlPlane } from './control-plane.ts';
import { identityOf } from './identity.mjs';
import { planesFolder, removePlane } from './state.ts';

let opened: Promise<ControlPlane> | undefined;

/** Starts the worker's control plane, or finds the one that an earlier suite started. Suites use namespaces of their own. */
export function useCluster(): Promise<ControlPlane> {
  opened ??= open();
  return opened;
}

async function open(): Promise<ControlPlane> {
  const me = identityOf(process.pid) ?? '';
  const folder = join(planesFolder(), `worker-${me.replace(':', '-')}`);
  const there = await attach(folder);
  if (there !== undefined) {
    // A suite that failed in between may have left it frozen.
    there.apiServer.thaw();
    if (await isReady(there.api)) return there;
    await there.stop();
  }
  removePlane(folder);
  return startControlPlane({ folder, owners: [me, ...mainProcess()] });
}

/** jest's main process, when this is one of its workers: they talk over a channel that only a forked process has. */
function mainProcess(): string[] {
  const main = process.env['JEST_WORKER_ID'] === undefined || process.send === undefined ? undefined : identityOf(process.ppid);
  return main === undefined ? [] : [main];
}
