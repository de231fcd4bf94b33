/** A program that stands in for this process: same input and output, same signals, same end. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { diesWithParent } from '../test/support/cluster/identity.mjs';

/**
 * `missing`: there is no such program. `code` is 128 + the signal's number for one that was ended by a signal, as a shell has it.
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{ cwd: string, env: NodeJS.ProcessEnv, stdio?: import('node:child_process').StdioOptions }} options
 * @returns {Promise<{ code: number, missing: boolean }>}
 */
export async function runChild(program, args, { cwd, env, stdio = 'inherit' }) {
  const [actual, argv] = diesWithParent(program, args);
  const child = spawn(actual, argv, { cwd, env, stdio });
  /** @type {NodeJS.Signals[]} */
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  /** @param {NodeJS.Signals} signal */
  const forward = (signal) => {
    // A terminal has sent Ctrl-C to the child as well; twice would mean "at once".
    if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
  };
  for (const signal of signals) process.on(signal, forward);
  const parent = process.ppid;
  // npm starts us by a shell that passes no signal on: whoever ends npm would leave us running.
  const orphaned = () => process.ppid !== parent && child.kill('SIGTERM');
  const watch = process.env['npm_lifecycle_event'] === undefined ? undefined : setInterval(orphaned, 1000);
  try {
    return await new Promise((resolve, reject) => {
      child.once('error', (error) => {
        if ('code' in error && error.code === 'ENOENT') resolve({ code: 127, missing: true });
        else reject(error);
      });
      // setpriv ends with 127 when there is no such program.
      child.once('close', (code, signal) =>
        resolve({ code: code ?? 128 + (signal ? constants.signals[signal] : 0), missing: actual !== program && code === 127 }),
      );
    });
  } finally {
    clearInterval(watch);
    for (const signal of signals) process.off(signal, forward);
  }
}
