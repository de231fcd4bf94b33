/**
 * Set-up: whatever a command of this repository needs and can be had without asking anybody. Nothing is installed outside the
 * project and its cache, nothing asks a question, nothing uses sudo; what is missing is said in one sentence with the way to get it.
 * Plain JavaScript for the Node that is there (20 or newer), without packages.
 *
 *     node scripts/setup.mjs            packages
 *     node scripts/setup.mjs cluster    packages and the programs of the test cluster
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildBinaries, cacheFolder } from '../test/support/cluster/binaries.mjs';
import { runChild } from './child.mjs';
import { withLock } from './lock.mjs';

export const root = join(import.meta.dirname, '..');
const neededNode = 24;
const neededGit = [2, 38];

/** What a person has to settle before we can go on; its message is one sentence for them. */
export class SetupFault extends Error {}

/** @typedef {{ root?: string, env?: NodeJS.ProcessEnv, say?: (line: string) => void }} Options */

/**
 * Packages, Node and git. Returns the Node to run everything with, and the environment in which `node` means that one.
 * @param {Options} [options]
 */
export async function setUp({ root: folder = root, env = process.env, say = console.error } = {}) {
  requireGit(env);
  await installPackages({ root: folder, env, say });
  const node = findNode(folder, env);
  return { node, env: { ...env, PATH: [join(folder, 'node_modules/.bin'), env['PATH'] ?? ''].join(delimiter) } };
}

/**
 * The programs of the test cluster. Returns what is in the way, undefined when nothing is.
 * @param {Options} [options]
 */
export async function setUpCluster({ env = process.env, say = console.error } = {}) {
  try {
    await buildBinaries({ env, say });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** @param {NodeJS.ProcessEnv} env */
function requireGit(env) {
  const needed = neededGit.join('.');
  const fix = `install git ${needed} or newer (https://git-scm.com, or on Debian: apt-get install git)`;
  const answer = spawnSync('git', ['--version'], { env, encoding: 'utf8' });
  const version = /(\d+)\.(\d+)/.exec(answer.stdout ?? '');
  if (answer.error || version === null) throw new SetupFault(`git is needed and is not on PATH: ${fix}`);
  const [major = 0, minor = 0] = version.slice(1).map(Number);
  const [needMajor = 0, needMinor = 0] = neededGit;
  if (major < needMajor || (major === needMajor && minor < needMinor))
    throw new SetupFault(`git ${needed} is needed, and git on PATH is ${version[0]}: ${fix}`);
}

/** @param {Required<Options>} options */
async function installPackages({ root: folder, env, say }) {
  if (packagesAreCurrent(folder)) return;
  const lock = join(cacheFolder(env), 'locks', `packages-${createHash('sha256').update(folder).digest('hex').slice(0, 16)}`);
  const waiting = () => say('waiting for another process that installs the packages …');
  await withLock(lock, waiting, async () => {
    if (packagesAreCurrent(folder)) return;
    say('installing packages into node_modules (npm ci) …');
    const began = Date.now();
    // A production environment would leave out what tests and checks are made of.
    const argv = ['ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error'];
    const { code, missing } = await runChild('npm', argv, { cwd: folder, env, stdio: ['ignore', 'ignore', 'inherit'] });
    if (missing) throw new SetupFault('npm is needed and is not on PATH: it comes with Node (https://nodejs.org)');
    if (code !== 0) throw new SetupFault(`npm ci ended with ${code}: settle what it says above, then run this again`);
    say(`installed packages in ${Math.round((Date.now() - began) / 1000)} s`);
  });
}

/** @typedef {{ version?: string, integrity?: string, optional?: boolean, os?: string[], cpu?: string[], libc?: string[], link?: boolean }} Package */

/**
 * What is installed is what the lock says. Compared by content: times say nothing after a checkout, and npm writes the record of what
 * it installed last, so that an install that was broken off has none.
 * @param {string} folder
 */
export function packagesAreCurrent(folder) {
  const wanted = readPackages(join(folder, 'package-lock.json'));
  const installed = readPackages(join(folder, 'node_modules/.package-lock.json'));
  if (wanted === undefined)
    throw new SetupFault(`${join(folder, 'package-lock.json')} is missing or not JSON: get it back with git checkout package-lock.json`);
  if (installed === undefined) return false;
  return Object.entries(wanted).every(([path, one]) => {
    const there = installed[path];
    if (path === '' || (there === undefined && !belongsHere(one))) return true;
    return there !== undefined && there.version === one.version && there.integrity === one.integrity;
  });
}

/** npm leaves out optional packages of other platforms; of two C libraries it takes one, and we need not know which. @param {Package} one */
function belongsHere(one) {
  if (!one.optional) return true;
  /** @param {string[] | undefined} list @param {string} mine */
  const fits = (list, mine) => list === undefined || list.includes(mine);
  return (
    (one.os !== undefined || one.cpu !== undefined) &&
    one.libc === undefined &&
    fits(one.os, process.platform) &&
    fits(one.cpu, process.arch)
  );
}

/** @param {string} path @returns {Record<string, Package> | undefined} */
function readPackages(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages;
  } catch {
    return undefined;
  }
}

/** The Node that the packages bring (Linux); elsewhere the one that runs this, if it is new enough. @param {string} folder @param {NodeJS.ProcessEnv} env */
function findNode(folder, env) {
  const brought = join(folder, 'node_modules/.bin/node');
  if (existsSync(brought) && spawnSync(brought, ['--version'], { env }).status === 0) return brought;
  if (Number.parseInt(process.versions.node, 10) >= neededNode) return process.execPath;
  throw new SetupFault(`Node ${neededNode} is needed, and this is ${process.versions.node}: install it (https://nodejs.org)`);
}

/** Ends this process with the fault's one line, or with all that is known of an error of our own. @param {unknown} error @returns {never} */
export function giveUp(error) {
  console.error(error instanceof SetupFault ? `set-up: ${error.message}` : error);
  process.exit(1);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [what, ...more] = process.argv.slice(2);
  try {
    if (more.length > 0 || (what !== undefined && what !== 'cluster'))
      throw new SetupFault(`set-up knows "cluster" or nothing, not "${process.argv.slice(2).join(' ')}"`);
    await setUp();
    const missing = what === 'cluster' ? await setUpCluster() : undefined;
    if (missing !== undefined) throw new SetupFault(missing);
  } catch (error) {
    giveUp(error);
  }
}
