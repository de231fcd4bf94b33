/** The App as a process of its own: `app/main.ts`, or another program in its place. */
import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { diesWithParent } from '../cluster/identity.mjs';
import { until } from '../cluster/until.ts';

export const webhookSecret = 'a webhook secret of these tests, long enough';

export type Ended = { code: number | null; signal: NodeJS.Signals | null };
export type AppProcess = {
  child: ChildProcess;
  url: string;
  /** Everything that it printed so far. */
  output: () => string;
  /** Its lines, parsed. */
  lines: () => Record<string, unknown>[];
  ended: Promise<Ended>;
  /** SIGTERM, and how it ended; SIGKILL when that takes over ten seconds. */
  stop(): Promise<Ended>;
  /** Most and current resident memory in bytes, where the kernel tells (Linux). */
  memory(): { peak: number; now: number } | undefined;
};

export function someKey(): string {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

type Environment = Record<string, string | undefined>;

/** Runs it to its end. */
export async function runApp(environment: Environment, program = 'app/main.ts'): Promise<Ended & { stdout: string; stderr: string }> {
  const { child, stdout, stderr, ended } = launch(environment, program);
  const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
  const end = await ended;
  clearTimeout(timer);
  return { ...end, stdout: stdout(), stderr: stderr() };
}

/** Until it listens on a port of its own. */
export async function startAppProcess(environment: Environment, program = 'app/main.ts'): Promise<AppProcess> {
  const { child, stdout, stderr, ended } = launch({ WEBHOOK_SECRET: webhookSecret, PORT: '0', ...environment }, program);
  const lines = () =>
    stdout()
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const listening = until('the App listens', 90_000, async () => {
    if (child.exitCode !== null) throw new Error(`the App ended with ${child.exitCode}: ${stderr()}`);
    const address = lines().find((line) => 'listening' in line)?.['listening'];
    return typeof address === 'string' && address;
  });
  const url = await listening.catch((error: unknown) => {
    child.kill('SIGKILL');
    throw error;
  });
  const stop = async () => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
    const end = await ended;
    clearTimeout(timer);
    return end;
  };
  return { child, url, output: () => stdout() + stderr(), lines, ended, stop, memory: () => memoryOf(child.pid ?? 0) };
}

function launch(environment: Environment, program: string) {
  const given = Object.entries({ PATH: process.env['PATH'], HOME: process.env['HOME'], ...environment });
  const env = Object.fromEntries(given.filter((entry): entry is [string, string] => entry[1] !== undefined));
  const [file, args] = diesWithParent(process.execPath, [program]);
  const child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const collected = (stream: NodeJS.ReadableStream) => {
    let text = '';
    stream.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    return () => text;
  };
  const ended = new Promise<Ended>((done) => {
    child.once('close', (code, signal) => done({ code, signal }));
  });
  return { child, stdout: collected(child.stdout), stderr: collected(child.stderr), ended };
}

function memoryOf(pid: number): { peak: number; now: number } | undefined {
  if (process.platform !== 'linux') return undefined;
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const bytes = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1] ?? 0) * 1024;
  return { peak: bytes('VmHWM'), now: bytes('VmRSS') };
}
