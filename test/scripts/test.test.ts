import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { openSandbox, type Sandbox } from '../support/sandbox.ts';

const suite = (...tests: string[]) => `import { expect, test } from '@jest/globals';\n${tests.join('\n')}`;
const passes = (name: string) => `test('${name}', () => { expect(1).toBe(1); });`;
const fails = (name: string) => `test('${name}', () => { expect(1).toBe(2); });`;
const lastLine = (text: string) => text.trimEnd().split('\n').at(-1);

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = openSandbox({ packages: true });
  // No cluster can be built here, so none of these runs ever tries.
  sandbox.program('go', 'exit 127');
});
afterEach(() => sandbox.remove());
const run = (args: string[] = [], env: Record<string, string> = {}) => sandbox.run('node', ['scripts/test.mjs', ...args], env);

describe('npm test', () => {
  test("jest's closing lines, the slowest suites, then the count as the last line", async () => {
    sandbox.write('test/a.test.ts', suite(passes('one'), passes('two')));
    sandbox.write('test/b.test.ts', suite(passes('three'), "test.todo('four');"));
    const { code, stdout, stderr } = await run();
    expect(code).toBe(0);
    expect(stderr).toMatch(/Tests: +1 todo, 3 passed, 4 total/);
    expect(stdout).toMatch(/the 2 slowest suites:\n +\d+\.\d s {2}test\/[ab]\.test\.ts\n/);
    expect(lastLine(stdout)).toBe('3 passed, 0 failed, 1 skipped');
  });

  test('it runs under the Node that the packages bring', async () => {
    sandbox.write('test/a.test.ts', suite("test('node', () => { expect(process.versions.node).toMatch(/^24\\./); });"));
    expect(lastLine((await run()).stdout)).toBe('1 passed, 0 failed');
  });

  test('a failed test is counted and fails the run', async () => {
    sandbox.write('test/a.test.ts', suite(passes('one'), fails('two')));
    const { code, stdout } = await run();
    expect(code).toBe(1);
    expect(lastLine(stdout)).toBe('1 passed, 1 failed');
  });

  test('a suite that does not load counts as failed', async () => {
    sandbox.write('test/a.test.ts', suite(passes('one')));
    sandbox.write('test/b.test.ts', "import './not-there.ts';");
    const { code, stdout } = await run();
    expect(code).toBe(1);
    expect(lastLine(stdout)).toBe('1 passed, 1 failed');
  });

  test('jest that dies without a result fails the run and is said', async () => {
    sandbox.write('jest.config.js', 'throw new Error("broken configuration");');
    sandbox.write('test/a.test.ts', suite(passes('one')));
    const { code, stdout } = await run();
    expect(code).toBe(1);
    expect(stdout).toContain('jest ended with 1 and told no result');
    expect(lastLine(stdout)).toBe('0 passed, 1 failed');
  });

  test("paths and jest's own options pass through", async () => {
    sandbox.write('test/a.test.ts', suite(passes('one'), passes('two')));
    sandbox.write('test/b.test.ts', suite(fails('three')));
    const { code, stdout } = await run(['test/a', '-t', 'two']);
    expect(code).toBe(0);
    expect(lastLine(stdout)).toBe('1 passed, 0 failed, 1 skipped');
  });

  test('quick leaves out what needs a cluster and what takes time for each case, long adds the long suites', async () => {
    sandbox.write('test/a.test.ts', suite(passes('one')));
    sandbox.write('test/b.long.test.ts', suite(passes('two')));
    sandbox.write('test/cluster/c.test.ts', suite(fails('three')));
    sandbox.write('test/e2e/d.test.ts', suite(fails('four')));
    sandbox.write('test/scripts/e.test.ts', suite(fails('five')));
    sandbox.write('test/github-door/f.test.ts', suite(fails('six')));
    const quick = await run(['quick'], { CI: 'true' });
    expect(quick).toMatchObject({ code: 0 });
    expect(lastLine(quick.stdout)).toBe('1 passed, 0 failed');
    expect(lastLine((await run(['long', 'test/b'])).stdout)).toBe('1 passed, 0 failed');
    expect((await run(['test/b'])).code).toBe(1);
  });
});

describe('suites that cannot run here', () => {
  beforeEach(() => {
    sandbox.write('test/a.test.ts', suite(passes('one')));
    sandbox.write('test/cluster/b.test.ts', suite(fails('two')));
  });
  const said =
    /\n1 suites not run: the test cluster is built with Go, and there is no working go on PATH: install Go .*\n +test\/cluster\/b\.test\.ts\n/;

  test('they are named with the reason, and a laptop passes', async () => {
    const { code, stdout } = await run();
    expect(code).toBe(0);
    expect(stdout).toMatch(said);
    expect(lastLine(stdout)).toBe('1 passed, 0 failed');
  });

  test('where nobody looks, they fail the run', async () => {
    const { code, stdout } = await run([], { CI: 'true' });
    expect(code).toBe(1);
    expect(stdout).toMatch(said);
    expect(lastLine(stdout)).toBe('1 passed, 0 failed');
  });

  test('a run that does not choose them does not miss them', async () => {
    const { code, stdout } = await run(['test/a'], { CI: 'true' });
    expect(code).toBe(0);
    expect(stdout).not.toContain('not run');
  });

  test('a run of nothing else passes on a laptop with nothing counted', async () => {
    const { code, stdout } = await run(['test/cluster']);
    expect(code).toBe(0);
    expect(lastLine(stdout)).toBe('0 passed, 0 failed');
  });
});

describe('.ci/run', () => {
  test('the whole output is kept and ends with the count; failed tests fail it', async () => {
    sandbox.write('test/a.test.ts', suite(passes('one'), fails('two')));
    const { code, stdout } = await sandbox.run('bash', ['.ci/run']);
    expect(code).toBe(1);
    expect(stdout).toMatch(/Tests: +1 failed, 1 passed, 2 total/);
    expect(lastLine(stdout)).toBe('1 passed, 1 failed');
  });

  test('green is 0', async () => {
    sandbox.write('test/a.test.ts', suite(passes('one')));
    const { code, stdout } = await sandbox.run('bash', ['.ci/run']);
    expect(code).toBe(0);
    expect(lastLine(stdout)).toBe('1 passed, 0 failed');
  });

  test('a set-up that fails ends with a count that shows it', async () => {
    sandbox.program('git', 'exit 127');
    const { code, stdout } = await sandbox.run('bash', ['.ci/run']);
    expect(code).toBe(1);
    expect(stdout).toContain('set-up: git is needed and is not on PATH');
    expect(stdout).toContain('npm test ended with 1 before it could tell a result\n0 passed, 1 failed\n');
  });
});
