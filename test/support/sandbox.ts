/** A small project of its own around this repository's scripts, to see what set-up and test runs do without doing it here. */
import { spawn } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const root = join(import.meta.dirname, '../..');
const copied = [
  'scripts',
  '.ci/run',
  'jest.config.js',
  'package.json',
  'package-lock.json',
  'test/support/deadline.ts',
  'test/support/cluster',
];

export type Ended = { code: number | null; signal: NodeJS.Signals | null; stdout: string; stderr: string };
export type Sandbox = {
  folder: string;
  /** Makes a file, with the folders above it. */
  write(path: string, text: string): void;
  /** A program that comes first on PATH; `body` is a shell script. */
  program(name: string, body: string): void;
  /** Runs with an empty cache of the sandbox, stdin closed; `env` is added. */
  run(program: string, args: string[], env?: Record<string, string>): Promise<Ended>;
  start(program: string, args: string[], env?: Record<string, string>): { pid: number; ended: Promise<Ended>; output(): string };
  remove(): void;
};

/** `packages`: with this repository's node_modules in it. */
export function openSandbox(options: { packages: boolean }): Sandbox {
  const folder = mkdtempSync(join(tmpdir(), 'plumbline-sandbox-'));
  const programs = join(folder, '.programs');
  mkdirSync(programs);
  for (const path of copied) cpSync(join(root, path), join(folder, path), { recursive: true });
  if (options.packages) symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));

  const start: Sandbox['start'] = (program, args, env = {}) => {
    const path = `${programs}:${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`;
    const own = { PATH: path, HOME: folder, TMPDIR: tmpdir(), XDG_CACHE_HOME: join(folder, '.cache') };
    const child = spawn(program, args, { cwd: folder, env: { ...own, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const ended = new Promise<Ended>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
    });
    return { pid: child.pid ?? 0, ended, output: () => stdout + stderr };
  };

  return {
    folder,
    write(path, text) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    },
    program(name, body) {
      writeFileSync(join(programs, name), `#!/bin/sh\n${body}\n`);
      chmodSync(join(programs, name), 0o755);
    },
    start,
    run: (program, args, env) => start(program, args, env).ended,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
