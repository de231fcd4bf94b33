/** kubectl for tests: what a person would type, and what they would read. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { findBinaries } from './binaries.mjs';

export type KubectlResult = { code: number; stdout: string; stderr: string };
/** `kubeconfig`: the person's own when left out; `timeout` in milliseconds, 60,000 when left out; `namespace` becomes `--namespace`. */
export type KubectlOptions = { kubeconfig?: string; context?: string; namespace?: string; input?: string; timeout?: number };

/** Throws when kubectl ends with anything but 0, with what it printed. */
export async function kubectl(args: readonly string[], options: KubectlOptions): Promise<string> {
  const result = await tryKubectl(args, options);
  if (result.code !== 0)
    throw new Error(`kubectl ${args.join(' ')} ended with ${result.code}: ${result.stderr.trim() || result.stdout.trim()}`);
  return result.stdout;
}

/** Never throws for what kubectl says. */
export function tryKubectl(args: readonly string[], options: KubectlOptions): Promise<KubectlResult> {
  const found = findBinaries();
  // In a person's own cluster their own kubectl will do: nothing has to be built for that.
  const program = found.ready ? join(found.folder, 'kubectl') : 'kubectl';
  const place = options.kubeconfig === undefined ? [] : [`--kubeconfig=${options.kubeconfig}`];
  if (options.context !== undefined) place.push(`--context=${options.context}`);
  if (options.namespace !== undefined) place.push(`--namespace=${options.namespace}`);
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...place, ...args], { env: process.env, timeout: options.timeout ?? 60_000, killSignal: 'SIGKILL' });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.once('error', reject);
    // A program that did not want its input has closed it; what it says about that is in its own words.
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
    child.once('close', (code, signal) => resolve({ code: code ?? 128, stdout, stderr: signal ? `${stderr}ended by ${signal}` : stderr }));
  });
}
