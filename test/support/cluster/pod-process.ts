/** One container of the process node: a process group of this machine, its output kept, its end told as a container's end. */
import { spawn } from 'node:child_process';
import { diesWithParent, identityOf, pidOf, signalTo } from './identity.mjs';
import type { Launch } from './pod-spec.ts';
import { noteProcess } from './state.ts';

/** As `state.terminated` of a container status. */
export type Terminated = { exitCode: number; reason: 'Completed' | 'Error'; startedAt: string; finishedAt: string };
export type ContainerProcess = {
  startedAt: string;
  containerId: string;
  ended: Promise<Terminated>;
  /** To the process and all that it started. */
  signal(signal: NodeJS.Signals): void;
};

const signalNumbers: Partial<Record<NodeJS.Signals, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGTERM: 15,
};

/** `planeFolder`: the process is noted there, so that it ends with the plane. */
export function startProcess(launch: Launch, planeFolder: string, output: (text: string) => void): ContainerProcess {
  const startedAt = now();
  const [program, args] = diesWithParent(launch.program, launch.args);
  // A group of its own: what the container started ends with it, as it would with a container's first process.
  const child = spawn(program, args, { cwd: launch.cwd, env: launch.env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', output);
  const identity = child.pid === undefined ? undefined : identityOf(child.pid);
  const forget = identity === undefined ? () => {} : noteProcess(planeFolder, identity);
  const ended = new Promise<Terminated>((resolve) => {
    const end = (exitCode: number) => {
      forget();
      resolve({ exitCode, reason: exitCode === 0 ? 'Completed' : 'Error', startedAt, finishedAt: now() });
    };
    child.once('error', (error) => {
      output(`${error.message}\n`);
      end(128);
    });
    child.once('exit', () => endGroup(child.pid));
    // `close` comes after the last of its output.
    child.once('close', (code, signal) => end(code ?? 128 + (signal === null ? 0 : (signalNumbers[signal] ?? 0))));
  });
  return {
    startedAt,
    containerId: `process://${identity === undefined ? 0 : pidOf(identity)}`,
    ended,
    signal: (signal) => {
      if (identity !== undefined) signalTo(identity, signal, 'group');
    },
  };
}

function endGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // Nobody was left.
  }
}

/** As Kubernetes writes times: without fractions. */
export function now(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, 'Z');
}
