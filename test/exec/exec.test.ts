import { describe, expect, test } from '@jest/globals';
import { run } from '../../src/exec.ts';

const node = process.execPath;

async function failure(promise: Promise<unknown>): Promise<{ code: string; message: string }> {
  return (await promise.then(
    () => ({ code: 'none', message: '' }),
    (error: unknown) => error,
  )) as { code: string; message: string };
}

function script(source: string): { command: string; arguments: string[] } {
  return { command: node, arguments: ['-e', source] };
}

describe('a child process', () => {
  test('gets its arguments as they are, its input, and answers with status and output', async () => {
    const ended = await run({ command: 'cat', arguments: ['--', '-'], input: '$(id) `id`\n' });
    expect({ ...ended, stdout: ended.stdout.toString() }).toEqual({ status: 0, stdout: '$(id) `id`\n', stderr: '' });
    expect((await run(script('process.exit(3)'))).status).toBe(3);
  });

  test('sees nothing of our environment but what every tool needs', async () => {
    process.env['PLUMBLINE_CANARY'] = 'canary';
    const { stdout } = await run({ ...script('console.log(JSON.stringify(process.env))'), environment: { GIVEN: 'yes' } });
    delete process.env['PLUMBLINE_CANARY'];
    const seen = JSON.parse(stdout.toString()) as Record<string, string>;
    expect(seen['PLUMBLINE_CANARY']).toBeUndefined();
    expect(seen).toMatchObject({ GIVEN: 'yes', LC_ALL: 'C', HOME: '/nonexistent' });
  });

  test('that does not end is ended, even when it ignores SIGTERM, together with what it started', async () => {
    const source = `process.on('SIGTERM', () => {}); const c = require('child_process').spawn('sleep', ['600'], { stdio: 'inherit' });
      console.error('child ' + c.pid); setInterval(() => {}, 1000);`;
    expect(await failure(run({ ...script(source), seconds: 1 }))).toMatchObject({ code: 'TOOL_TIMED_OUT', retry: 'later' });
  });

  test('that writes without end is stopped at the cap', async () => {
    const endless = run({
      ...script('const go = () => { while (process.stdout.write("x".repeat(65536))); process.stdout.once("drain", go); }; go();'),
      outputBytes: 1_000_000,
    });
    expect(await failure(endless)).toMatchObject({ code: 'TOOL_OUTPUT_TOO_LARGE' });
  });

  test('that is not installed is named', async () => {
    const error = await failure(run({ command: 'no-such-tool', arguments: [] }));
    expect(error).toMatchObject({ code: 'TOOL_MISSING', message: 'no-such-tool was not found on PATH' });
  });

  test('that says a secret is quoted without it', async () => {
    const ended = await run({
      ...script('console.error("the token is hunter2-hunter2 and ghs_0123456789abcdefghij")'),
      secrets: ['hunter2-hunter2'],
    });
    expect(ended.stderr).toBe('the token is *** and ghs_***\n');
  });
});
