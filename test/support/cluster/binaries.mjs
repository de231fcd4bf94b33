/**
 * The programs of the test cluster, built once from pinned Go modules into the cache. Versions stand in tools/*\/go.mod only.
 * Plain JavaScript without packages, because set-up runs it before anything is installed.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { withLock } from '../../../scripts/lock.mjs';
import { diesWithParent } from './identity.mjs';

const tools = join(import.meta.dirname, 'tools');
export const programs = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubectl'];

/** Where everything that can be made again is kept, outside the repository. */
export function cacheFolder(env = process.env) {
  // The base directory specification: a relative value is to be ignored.
  const base = env['XDG_CACHE_HOME']?.startsWith('/') ? env['XDG_CACHE_HOME'] : join(homedir(), '.cache');
  return join(base, 'plumbline');
}

/**
 * What is built, and how: one entry a `go build`, in this order. `made`: files that go names after their folder, and ours.
 * @typedef {{ module: string, flags: string[], packages: string[], made: Record<string, string> }} Recipe
 * @returns {Recipe[]}
 */
function recipes() {
  const version = /^require k8s\.io\/kubernetes v(\S+)$/m.exec(readFileSync(join(tools, 'kubernetes', 'go.mod'), 'utf8'))?.[1];
  if (version === undefined) throw new Error('tools/kubernetes/go.mod does not require k8s.io/kubernetes');
  const [major, minor] = version.split('.');
  const component = 'k8s.io/component-base/version';
  // Without these the server calls itself v0.0.0-master+$Format:%H$, which kubectl refuses to parse.
  const stamps = [
    `${component}.gitVersion=v${version}`,
    `${component}.gitMajor=${major}`,
    `${component}.gitMinor=${minor}`,
    `k8s.io/client-go/pkg/version.gitVersion=v${version}`,
  ];
  const kubernetes = programs.slice(1).map((program) => `k8s.io/kubernetes/cmd/${program}`);
  return [
    { module: 'etcd', flags: [], packages: ['go.etcd.io/etcd/server/v3'], made: { v3: 'etcd', server: 'etcd' } },
    {
      module: 'kubernetes',
      flags: ['-ldflags', `-s -w ${stamps.map((stamp) => `-X ${stamp}`).join(' ')}`],
      packages: kubernetes,
      made: {},
    },
  ];
}

/** @param {Recipe[]} steps */
function pinsOf(steps) {
  const hash = createHash('sha256').update(`${process.platform}/${process.arch}`);
  for (const step of steps) {
    hash.update(JSON.stringify([step.flags, step.packages]));
    for (const file of ['go.mod', 'go.sum']) hash.update(readFileSync(join(tools, step.module, file)));
  }
  return hash.digest('hex').slice(0, 16);
}

/**
 * Where the programs lie or would lie; builds nothing. `ready`: all are there; `note`: something for the user to know.
 * @returns {{ folder: string, ready: boolean, note?: string }}
 */
export function findBinaries(env = process.env) {
  const given = env['KUBEBUILDER_ASSETS'];
  if (given) {
    const missing = programs.filter((program) => !existsSync(join(given, program)));
    if (missing.length === 0) return { folder: given, ready: true };
    const note = `KUBEBUILDER_ASSETS (${given}) has no ${missing.join(', ')}: the pinned programs are used instead`;
    return { ...cached(env), note };
  }
  return cached(env);
}

/** @param {NodeJS.ProcessEnv} env */
function cached(env) {
  const folder = join(cacheFolder(env), pinsOf(recipes()), 'bin');
  return { folder, ready: existsSync(folder) };
}

/** Builds what is missing and returns the folder. Throws an Error whose message is one sentence that says what to do. */
export async function buildBinaries({ env = process.env, say = console.error } = {}) {
  const found = findBinaries(env);
  if (found.note) say(found.note);
  if (found.ready) return found.folder;
  requireGo(env);
  const place = join(found.folder, '..');
  const waiting = () => say('waiting for another process that builds the test cluster …');
  return withLock(`${place}.lock`, waiting, async () => {
    if (existsSync(found.folder)) return found.folder;
    const unfinished = join(place, 'unfinished');
    rmSync(unfinished, { recursive: true, force: true });
    mkdirSync(unfinished, { recursive: true });
    try {
      for (const step of recipes()) await build(step, unfinished, env, say);
      // The rename is the moment from which the result exists: a build that was killed leaves nothing that looks finished.
      renameSync(unfinished, found.folder);
    } finally {
      rmSync(unfinished, { recursive: true, force: true });
    }
    return found.folder;
  });
}

/** @param {NodeJS.ProcessEnv} env */
function requireGo(env) {
  const needed = /^go (\d+\.\d+)/m.exec(readFileSync(join(tools, 'kubernetes', 'go.mod'), 'utf8'))?.[1] ?? '';
  const fix = `install Go ${needed} or newer (https://go.dev/doc/install, or on Debian: apt-get install golang-go), or set KUBEBUILDER_ASSETS to a folder with ${programs.join(', ')}`;
  const answer = spawnSync('go', ['env', 'GOVERSION'], { cwd: tools, env: goEnvironment(env), encoding: 'utf8' });
  if (answer.error || answer.status !== 0) throw new Error(`the test cluster is built with Go, and there is no working go on PATH: ${fix}`);
  const has = answer.stdout.trim().replace(/^go/, '');
  const [major = 0, minor = 0] = has.split('.').map((part) => Number.parseInt(part, 10));
  const [needMajor = 0, needMinor = 0] = needed.split('.').map(Number);
  if (major < needMajor || (major === needMajor && minor < needMinor))
    throw new Error(`the test cluster needs Go ${needed}, and go on PATH is ${has}: ${fix}`);
}

/**
 * GOTOOLCHAIN: never fetch another compiler behind the user's back. GOWORK: a workspace around the clone must not change the pins.
 * @param {NodeJS.ProcessEnv} env
 */
function goEnvironment(env) {
  return { ...env, ...warmCache(env), CGO_ENABLED: '0', GOTOOLCHAIN: 'local', GOWORK: 'off' };
}

/**
 * Go keeps its own cache under XDG_CACHE_HOME too. Where that is set for one run (a trial of a fresh clone), the cache that this user's
 * Go has always had saves the minutes that compiling all of Kubernetes takes.
 * @param {NodeJS.ProcessEnv} env
 */
function warmCache(env) {
  if (env['GOCACHE'] || !env['XDG_CACHE_HOME'] || existsSync(join(env['XDG_CACHE_HOME'], 'go-build'))) return {};
  const usual = join(env['HOME'] ?? homedir(), '.cache', 'go-build');
  try {
    accessSync(usual, constants.W_OK);
    return { GOCACHE: usual };
  } catch {
    return {};
  }
}

/** @param {Recipe} step @param {string} folder @param {NodeJS.ProcessEnv} env @param {(line: string) => void} say */
async function build(step, folder, env, say) {
  const started = Date.now();
  const seconds = () => Math.round((Date.now() - started) / 1000);
  say(`building ${step.module} for the test cluster from its Go modules (once, some minutes) …`);
  const ticking = setInterval(() => say(`  still building ${step.module}: ${seconds()} s`), 30_000);
  const argv = ['build', ...step.flags, '-o', `${folder}/`, ...step.packages];
  const [program, args] = diesWithParent('go', argv);
  const child = spawn(program, args, { cwd: join(tools, step.module), env: goEnvironment(env) });
  child.stdin.end();
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (/** @type {string} */ text) => {
    errors = (errors + text).slice(-4000);
  });
  const code = await new Promise((resolve) => {
    child.on('error', () => resolve(127));
    child.on('close', resolve);
  });
  clearInterval(ticking);
  if (code !== 0) {
    const last = errors.trim().split('\n').slice(-5).join('\n  ');
    throw new Error(
      `building ${step.module} for the test cluster failed (go build ended with ${code}); run it again when this is settled:\n  ${last}`,
    );
  }
  for (const [made, program] of Object.entries(step.made))
    if (existsSync(join(folder, made))) renameSync(join(folder, made), join(folder, program));
  say(`built ${step.module} in ${seconds()} s`);
}
