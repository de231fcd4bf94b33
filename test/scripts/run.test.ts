import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { until } from '../support/cluster/until.ts';
import { openSandbox, type Sandbox } from '../support/sandbox.ts';

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = openSandbox({ packages: true });
  sandbox.program('go', 'exit 127');
});
afterEach(() => sandbox.remove());
const run = (...args: string[]) => sandbox.run('node', ['scripts/run.mjs', ...args]);

describe('npm run TASK', () => {
  test('the task gets its arguments and its exit code is kept, and nothing is added to what it prints', async () => {
    sandbox.write(
      'app/main.ts',
      'const said: string[] = process.argv.slice(2);\nconsole.log(said);\nconsole.error(process.versions.node);\nprocess.exit(7);',
    );
    const { code, stdout, stderr } = await run('start', '--port', '0');
    expect({ code, stdout }).toEqual({ code: 7, stdout: "[ '--port', '0' ]\n" });
    expect(stderr).toMatch(/^24\.[\d.]+\n$/);
  });

  test('start needs no cluster; demo does, and says what else would do', async () => {
    sandbox.write('app/main.ts', '');
    sandbox.write('scripts/demo.ts', "console.log('the demo');");
    expect((await run('start')).code).toBe(0);
    const without = await run('demo');
    expect(without.code).toBe(1);
    expect(without.stderr).toMatch(
      /^set-up: the test cluster is built with Go, .*, or use a cluster that you have: npm run demo -- --context NAME\n$/,
    );
    expect(await run('demo', '--context', 'kind')).toMatchObject({ code: 0, stdout: 'the demo\n' });
  });

  test('an unknown task or bench is refused with those that there are', async () => {
    expect((await run('strat')).stderr).toBe('set-up: "strat" is no task; there is demo, start, check, generate, bench\n');
    expect((await run('constructor')).code).toBe(1);
    sandbox.write('bench/app.ts', '');
    expect((await run('bench', 'apo')).stderr).toBe('set-up: "apo" is no bench; there is app: npm run bench -- NAME\n');
  });

  test('SIGTERM reaches the task, which ends in its own way', async () => {
    const script = `process.on('SIGTERM', () => { console.log('bye'); process.exit(3); });\nconsole.log('here');\nsetInterval(() => {}, 1000);`;
    sandbox.write('app/main.ts', script);
    const started = sandbox.start('node', ['scripts/run.mjs', 'start']);
    await until('the task runs', 20_000, async () => started.output().includes('here'));
    process.kill(started.pid, 'SIGTERM');
    expect(await started.ended).toMatchObject({ code: 3, stdout: 'here\nbye\n' });
  });

  test('when the shell that npm starts it by is killed, the task ends as by SIGTERM', async () => {
    const script = `process.on('SIGTERM', () => { console.log('bye'); process.exit(3); });\nconsole.log('here');\nsetInterval(() => {}, 1000);`;
    sandbox.write('app/main.ts', script);
    const started = sandbox.start('sh', ['-c', 'npm_lifecycle_event=start node scripts/run.mjs start; true']);
    await until('the task runs', 20_000, async () => started.output().includes('here'));
    process.kill(started.pid, 'SIGKILL');
    await until('the task ends in its own way', 20_000, async () => started.output().includes('bye'));
  });

  test('a task ended by a signal is told as a shell tells it', async () => {
    sandbox.write('app/main.ts', "process.kill(process.pid, 'SIGKILL');\nsetInterval(() => {}, 1000);");
    expect((await run('start')).code).toBe(137);
  });

  test('nothing is written outside the project and the cache', async () => {
    sandbox.write('app/main.ts', '');
    await run('start');
    expect(existsSync(join(sandbox.folder, '.cache'))).toBe(false);
  });
});
