import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { packagesAreCurrent } from '../../scripts/setup.mjs';
import { until } from '../support/cluster/until.ts';
import { openSandbox, type Sandbox } from '../support/sandbox.ts';

let sandbox: Sandbox;
const open = (options: { packages: boolean }) => {
  sandbox = openSandbox(options);
  return sandbox;
};
afterEach(() => sandbox.remove());
const setUp = (...args: string[]) => [join(sandbox.folder, 'scripts/setup.mjs'), ...args];

// A Go that notes each call and "builds" at once: what is under test is when it is called and what becomes of its work.
const go = (version: string, build: string) => `[ "$1" = env ] && { echo go${version}; exit 0; }
echo "$@" >> "$HOME/go-calls"
while [ $# -gt 0 ]; do [ "$1" = -o ] && out="$2"; last="$1"; shift; done
${build}`;
const builds = `case "$last" in *etcd*) touch "$out/server" ;; *) for p in kube-apiserver kube-controller-manager kube-scheduler kubectl; do touch "$out/$p"; done ;; esac`;
const calls = () => readFileSync(join(sandbox.folder, 'go-calls'), 'utf8').trim().split('\n');
const built = () => {
  const cache = join(sandbox.folder, '.cache/plumbline');
  const bins = (existsSync(cache) ? readdirSync(cache) : []).map((pins) => join(cache, pins, 'bin')).filter((bin) => existsSync(bin));
  return bins.flatMap((bin) => readdirSync(bin).sort());
};
const allPrograms = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubectl'];

describe('what is installed is compared with the lock', () => {
  const linuxOnly = process.platform === 'linux' ? 'darwin' : 'linux';
  const locked = {
    '': { version: '1.0.0' },
    'node_modules/a': { version: '1.2.3', integrity: 'sha512-a' },
    'node_modules/elsewhere': { version: '1.0.0', integrity: 'sha512-e', optional: true, os: [linuxOnly], cpu: [process.arch] },
    'node_modules/here': { version: '1.0.0', integrity: 'sha512-h', optional: true, os: [process.platform], cpu: [process.arch] },
  };
  const { 'node_modules/elsewhere': _, ...installed } = locked;
  const cases: [what: string, installed: object | string | undefined, current: boolean][] = [
    ['all of it', installed, true],
    ['a package more', { ...installed, 'node_modules/b': { version: '1.0.0' } }, true],
    ['nothing', undefined, false],
    ['an install that was broken off', '{"packages": {"node_mo', false],
    ['an older version', { ...installed, 'node_modules/a': { version: '1.2.2', integrity: 'sha512-a' } }, false],
    ['other content under the same version', { ...installed, 'node_modules/a': { version: '1.2.3', integrity: 'sha512-x' } }, false],
    ['a package less', { 'node_modules/here': locked['node_modules/here'] }, false],
    ['an optional package of this platform less', { 'node_modules/a': locked['node_modules/a'] }, false],
  ];
  test.each(cases)('%s', (_what, there, current) => {
    open({ packages: false });
    sandbox.write('package-lock.json', JSON.stringify({ packages: locked }));
    if (there !== undefined)
      sandbox.write('node_modules/.package-lock.json', typeof there === 'string' ? there : JSON.stringify({ packages: there }));
    expect(packagesAreCurrent(sandbox.folder)).toBe(current);
  });

  test('a lock that cannot be read is said, and nothing is installed', () => {
    open({ packages: false });
    sandbox.write('package-lock.json', '<<<<<<< HEAD');
    expect(() => packagesAreCurrent(sandbox.folder)).toThrow(
      /package-lock.json is missing or not JSON: .* git checkout package-lock.json$/,
    );
  });
});

describe('packages', () => {
  const npm = `echo "$@" >> "$HOME/npm-calls"; sleep 1; mkdir -p node_modules && cp package-lock.json node_modules/.package-lock.json`;

  test('a fresh clone gets npm ci, once, also when two commands start at the same time', async () => {
    open({ packages: false }).program('npm', npm);
    sandbox.write('package-lock.json', JSON.stringify({ packages: { 'node_modules/a': { version: '1.0.0' } } }));
    const both = await Promise.all([sandbox.run('node', setUp()), sandbox.run('node', setUp())]);
    expect(both.map((one) => one.code)).toEqual([0, 0]);
    expect(readFileSync(join(sandbox.folder, 'npm-calls'), 'utf8')).toBe(
      'ci --include=dev --include=optional --no-audit --no-fund --loglevel=error\n',
    );
    expect(both.map((one) => one.stderr).join('')).toContain('installing packages into node_modules (npm ci) …');
    expect(both.map((one) => one.stderr).join('')).toContain('waiting for another process that installs the packages …');
    const again = await sandbox.run('node', setUp());
    expect(again).toMatchObject({ code: 0, stdout: '', stderr: '' });
  });

  test('npm ci that fails stops with its code and what to do', async () => {
    open({ packages: false }).program('npm', 'echo "npm error network" >&2; exit 3');
    const { code, stderr } = await sandbox.run('node', setUp());
    expect(code).toBe(1);
    expect(stderr).toMatch(/npm error network\nset-up: npm ci ended with 3: settle what it says above, then run this again\n$/);
  });

  test('a git that is too old, or none, is one sentence', async () => {
    open({ packages: true }).program('git', 'echo git version 2.25.1');
    const old = await sandbox.run('node', setUp());
    expect(old).toMatchObject({ code: 1 });
    expect(old.stderr).toMatch(/^set-up: git 2.38 is needed, and git on PATH is 2.25: install git 2.38 or newer .*\n$/);
    sandbox.program('git', 'exit 127');
    expect((await sandbox.run('node', setUp())).stderr).toMatch(/^set-up: git is needed and is not on PATH: install .*\n$/);
  });

  test('an unknown word is refused', async () => {
    open({ packages: true });
    const { code, stderr } = await sandbox.run('node', setUp('clutser'));
    expect(code).toBe(1);
    expect(stderr).toBe('set-up: set-up knows "cluster" or nothing, not "clutser"\n');
  });
});

describe('the programs of the test cluster', () => {
  test('they are built once, with the version of go.mod stamped in, also when two commands start at the same time', async () => {
    open({ packages: true }).program('go', go('1.26.8', `sleep 1; ${builds}`));
    const both = await Promise.all([sandbox.run('node', setUp('cluster')), sandbox.run('node', setUp('cluster'))]);
    expect(both.map((one) => one.code)).toEqual([0, 0]);
    expect(built()).toEqual(allPrograms);
    expect(calls()).toHaveLength(2);
    expect(calls()[1]).toContain('-X k8s.io/component-base/version.gitVersion=v1.34.2 -X k8s.io/component-base/version.gitMajor=1');
    expect(both.map((one) => one.stderr).join('')).toContain('building kubernetes for the test cluster from its Go modules');
    expect((await sandbox.run('node', setUp('cluster'))).stderr).toBe('');
    expect(calls()).toHaveLength(2);
  });

  test("a cache folder of one's own for one run keeps Go's own cache, where there is one", async () => {
    open({ packages: true }).program('go', go('1.26.8', `echo "cache $GOCACHE" >> "$HOME/caches"; ${builds}`));
    await sandbox.run('node', setUp('cluster'));
    mkdirSync(join(sandbox.folder, '.cache/go-build'));
    await sandbox.run('node', setUp('cluster'), { XDG_CACHE_HOME: join(sandbox.folder, 'trial') });
    await sandbox.run('node', setUp('cluster'), { XDG_CACHE_HOME: join(sandbox.folder, 'trial-2'), GOCACHE: '/said' });
    const usual = join(sandbox.folder, '.cache/go-build');
    const caches = readFileSync(join(sandbox.folder, 'caches'), 'utf8').trim().split('\n');
    expect(caches).toEqual(['cache ', 'cache ', `cache ${usual}`, `cache ${usual}`, 'cache /said', 'cache /said']);
  });

  test('other pins are built anew', async () => {
    open({ packages: true }).program('go', go('1.26.8', builds));
    await sandbox.run('node', setUp('cluster'));
    const pins = 'test/support/cluster/tools/etcd/go.sum';
    sandbox.write(pins, `${readFileSync(join(sandbox.folder, pins), 'utf8')}\n`);
    await sandbox.run('node', setUp('cluster'));
    expect(calls()).toHaveLength(4);
    expect(built()).toEqual([...allPrograms, ...allPrograms]);
  });

  test('kill -9 in the middle of a build leaves nothing that looks finished, and the next run builds', async () => {
    open({ packages: true }).program('go', go('1.26.8', `${builds}; touch "$HOME/here"; sleep 60`));
    const first = sandbox.start('node', setUp('cluster'));
    await until('it builds', 20_000, async () => existsSync(join(sandbox.folder, 'here')));
    process.kill(first.pid, 'SIGKILL');
    await first.ended;
    expect(built()).toEqual([]);
    sandbox.program('go', go('1.26.8', builds));
    const second = await sandbox.run('node', setUp('cluster'));
    expect(second).toMatchObject({ code: 0 });
    expect(built()).toEqual(allPrograms);
  });

  test('a build that fails is told with the end of what go said, and leaves nothing', async () => {
    open({ packages: true }).program('go', go('1.26.8', 'echo "go: no space left on device" >&2; exit 1'));
    const { code, stderr } = await sandbox.run('node', setUp('cluster'));
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /set-up: building etcd for the test cluster failed \(go build ended with 1\).*:\n {2}go: no space left on device\n$/,
    );
    expect(built()).toEqual([]);
  });

  test('no Go, or one that is too old, is one sentence with what to install', async () => {
    open({ packages: true }).program('go', 'exit 127');
    const none = await sandbox.run('node', setUp('cluster'));
    expect(none.code).toBe(1);
    expect(none.stderr).toMatch(
      /^set-up: the test cluster is built with Go, and there is no working go on PATH: install Go 1\.24 or newer .*\n$/,
    );
    sandbox.program('go', go('1.21.3', builds));
    const old = await sandbox.run('node', setUp('cluster'));
    expect(old.stderr).toMatch(/^set-up: the test cluster needs Go 1\.24, and go on PATH is 1\.21\.3: install .*\n$/);
  });

  test('KUBEBUILDER_ASSETS is used when it has all programs, else said and passed over', async () => {
    open({ packages: true }).program('go', go('1.26.8', builds));
    for (const program of allPrograms) sandbox.write(`assets/${program}`, '');
    const KUBEBUILDER_ASSETS = join(sandbox.folder, 'assets');
    expect(await sandbox.run('node', setUp('cluster'), { KUBEBUILDER_ASSETS })).toMatchObject({ code: 0, stderr: '' });
    expect(built()).toEqual([]);
    const half = join(sandbox.folder, 'half');
    sandbox.write('half/etcd', '');
    const { stderr } = await sandbox.run('node', setUp('cluster'), { KUBEBUILDER_ASSETS: half });
    expect(stderr).toContain(
      `KUBEBUILDER_ASSETS (${half}) has no kube-apiserver, kube-controller-manager, kube-scheduler, kubectl: the pinned`,
    );
    expect(built()).toEqual(allPrograms);
  });
});
