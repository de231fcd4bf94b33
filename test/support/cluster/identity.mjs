/**
 * Which process is meant: a pid alone may have been given to somebody else since.
 * Plain JavaScript without packages, because set-up runs it before anything is installed.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

/**
 * `PID:STARTED` of a living process, undefined when there is none. A zombie is dead: nobody waits for it, it holds nothing.
 * @param {number} pid
 * @returns {string | undefined}
 */
export function identityOf(pid) {
  try {
    if (process.platform !== 'linux') return startedByPs(pid);
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The program's name stands in brackets and may hold anything, brackets and blanks included.
    const [state, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' || state === 'X' ? undefined : `${pid}:${rest[18]}`;
  } catch {
    return undefined;
  }
}

/** @param {number} pid */
function startedByPs(pid) {
  const answer = spawnSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8' });
  const line = answer.status === 0 ? answer.stdout.trim() : '';
  return line === '' || line.startsWith('Z') ? undefined : `${pid}:${line.split(/\s+/).slice(1).join('_')}`;
}

/** @param {string} identity */
export function isAlive(identity) {
  return identity === identityOf(pidOf(identity));
}

/** @param {string} identity */
export function pidOf(identity) {
  return Number(identity.split(':', 1)[0]);
}

/**
 * Sends the signal to exactly that process, false when it is gone; or to the group that it leads or led. While a group has members
 * the kernel gives its number to nobody else, so they are reached after their leader's end too.
 * @param {string} identity
 * @param {NodeJS.Signals} signal
 * @param {'process' | 'group'} reach
 * @returns {boolean}
 */
export function signalTo(identity, signal, reach = 'process') {
  const now = identityOf(pidOf(identity));
  if (reach === 'group' && (now === undefined || now === identity)) return kill(-pidOf(identity), signal) || signalTo(identity, signal);
  return now === identity && kill(pidOf(identity), signal);
}

/** @param {number} pid @param {NodeJS.Signals} signal */
function kill(pid, signal) {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

/**
 * The argument vector that runs a program so that the kernel ends it with its parent, whatever ends the parent. Linux with
 * util-linux only; elsewhere the program runs as it is, and what watches it has to do.
 * @param {string} program
 * @param {readonly string[]} args
 * @returns {[program: string, args: string[]]}
 */
export function diesWithParent(program, args) {
  const setpriv = ['/usr/bin/setpriv', '/bin/setpriv'].find((path) => process.platform === 'linux' && existsSync(path));
  return setpriv === undefined ? [program, [...args]] : [setpriv, ['--pdeathsig', 'KILL', '--', program, ...args]];
}
