/**
 * The one door to child processes: an argument vector, never a shell; a time limit, an output cap and a bare environment.
 *
 * A child gets PATH, an empty HOME, a fixed locale, what proxies and certificates need, and what the caller adds: no token of
 * ours reaches a tool by accident, and no configuration of the machine's owner changes what a tool does.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { PlumblineError } from './error.ts';
import type { ErrorCode } from './error-codes.ts';
import { removeSecrets } from './secrets.ts';

export type Command = {
  command: string;
  arguments: readonly string[];
  /** Written to stdin, which is then closed; nothing: stdin is empty. */
  input?: string;
  /** Working directory. */
  directory?: string;
  /** Added to the bare environment. */
  environment?: Readonly<Record<string, string>>;
  /** SIGTERM after this many seconds, SIGKILL two seconds later. */
  seconds?: number;
  /** The most that stdout may hold. */
  outputBytes?: number;
  /** Values that must not be shown: they are removed from every message. */
  secrets?: readonly string[];
};

export type Ended = { status: number; stdout: Buffer; stderr: string };

const passedOn = [
  'PATH',
  'TMPDIR',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'GIT_SSL_CAINFO',
  'HTTPS_PROXY',
  'HTTP_PROXY',
  'NO_PROXY',
  'ALL_PROXY',
];
const stderrBytes = 64 * 1024;
const graceMilliseconds = 2_000;

/**
 * Runs a command to its end; a status other than 0 is an answer, not an error.
 * @throws TOOL_MISSING, TOOL_TIMED_OUT (later), TOOL_OUTPUT_TOO_LARGE, TOOL_FAILED (killed by a signal, or not startable)
 */
export async function run(wanted: Command): Promise<Ended> {
  const seconds = wanted.seconds ?? 60;
  const outputBytes = wanted.outputBytes ?? 32 * 1024 * 1024;
  return await new Promise<Ended>((resolve, reject) => {
    const child = spawn(wanted.command, wanted.arguments, {
      cwd: wanted.directory,
      env: { ...bareEnvironment(), ...wanted.environment },
      stdio: ['pipe', 'pipe', 'pipe'],
      // A group of its own, so that what the tool started (git's transports) ends with it.
      detached: true,
    });
    const out: Buffer[] = [];
    let outLength = 0;
    let stderr = '';
    let stopped: PlumblineError | undefined;
    const stop = (why: PlumblineError): void => {
      if (stopped) return;
      stopped = why;
      signalGroup(child, 'SIGTERM');
      killer = setTimeout(() => signalGroup(child, 'SIGKILL'), graceMilliseconds);
    };
    let killer: NodeJS.Timeout | undefined;
    const timer = setTimeout(() => stop(timedOut(wanted, seconds)), seconds * 1_000);
    child.stdout.on('data', (chunk: Buffer) => {
      outLength += chunk.length;
      if (outLength > outputBytes) stop(tooLarge(wanted, outputBytes));
      else out.push(chunk);
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr = (stderr + chunk.toString('utf8')).slice(-stderrBytes);
    });
    // A tool that ends before it has read everything is judged by its status.
    child.stdin.on('error', () => undefined);
    child.stdin.end(wanted.input ?? '');
    const settle = (): void => {
      clearTimeout(timer);
      clearTimeout(killer);
    };
    child.on('error', (cause: NodeJS.ErrnoException) => {
      settle();
      reject(notStarted(wanted, cause));
    });
    child.on('close', (status, signal) => {
      settle();
      if (stopped) reject(stopped);
      else if (status === null) reject(killed(wanted, String(signal), stderr));
      else resolve({ status, stdout: Buffer.concat(out), stderr: withoutSecrets(stderr, wanted.secrets) });
    });
  });
}

/** The last lines of what a tool said, in one line, without secrets: what an error message quotes. */
export function tailOf(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '');
  return removeSecrets(lines.slice(-3).join(' · ')).slice(-500) || 'it said nothing';
}

/** The environment of every child, before a caller's additions. */
function bareEnvironment(): Record<string, string> {
  const bare: Record<string, string> = { HOME: '/nonexistent', LC_ALL: 'C', TZ: 'UTC' };
  for (const name of passedOn) {
    for (const spelled of [name, name.toLowerCase()]) {
      const value = process.env[spelled];
      if (value !== undefined) bare[spelled] = value;
    }
  }
  return bare;
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch (thrown) {
    const gone = thrown instanceof Object && 'code' in thrown && thrown.code === 'ESRCH';
    if (!gone) throw thrown;
  }
}

function withoutSecrets(text: string, secrets: readonly string[] = []): string {
  return removeSecrets(secrets.reduce((left, secret) => (secret === '' ? left : left.replaceAll(secret, '***')), text));
}

/** `git merge-tree`: enough to know what ran, never an operand (it may hold what a stranger wrote). */
function titleOf(wanted: Command): string {
  const word = wanted.arguments.find((argument) => /^[a-z][a-z-]*$/.test(argument));
  return word === undefined ? wanted.command : `${wanted.command} ${word}`;
}

function timedOut(wanted: Command, seconds: number): PlumblineError {
  return new PlumblineError('TOOL_TIMED_OUT', `${titleOf(wanted)} did not end within ${seconds} s`, { retry: 'later' });
}

function tooLarge(wanted: Command, bytes: number): PlumblineError {
  return new PlumblineError('TOOL_OUTPUT_TOO_LARGE', `${titleOf(wanted)} wrote more than ${bytes} bytes`);
}

function killed(wanted: Command, signal: string, stderr: string): PlumblineError {
  const said = tailOf(withoutSecrets(stderr, wanted.secrets));
  return new PlumblineError('TOOL_FAILED', `${titleOf(wanted)} was ended by ${signal}: ${said}`, { retry: 'later' });
}

function notStarted(wanted: Command, cause: NodeJS.ErrnoException): PlumblineError {
  const missing = cause.code === 'ENOENT';
  const code: ErrorCode = missing ? 'TOOL_MISSING' : 'TOOL_FAILED';
  const message = missing ? `${wanted.command} was not found on PATH` : `${titleOf(wanted)} did not start: ${cause.message}`;
  return new PlumblineError(code, message, { cause });
}
