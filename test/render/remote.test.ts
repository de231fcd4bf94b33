import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { remoteRenderer } from '../../src/render/remote.ts';
import { type RenderRequest, render } from '../../src/render/render.ts';

const serve = join(import.meta.dirname, '..', '..', 'src', 'render', 'serve.ts');
const small: RenderRequest = {
  manifestType: 'detect',
  path: 'k8s',
  recurse: true,
  files: [{ path: 'k8s/a.yaml', text: 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n' }],
};
/** Close to what is taken at most, and slow enough to be overtaken. */
const large: RenderRequest = {
  ...small,
  files: Array.from({ length: 60 }, (_, file) => ({
    path: `k8s/${file}.yaml`,
    text: Array.from(
      { length: 4_000 },
      (_, index) => `---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c-${file}-${index}}\ndata: {a: b}\n`,
    ).join(''),
  })),
};

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

async function newSocket(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'plumbline-render-'));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  return join(folder, 'render.sock');
}

async function ended(child: ChildProcess): Promise<number | null> {
  return child.exitCode ?? (await new Promise((resolve) => child.once('exit', (code) => resolve(code))));
}

/** The container's process, ready to be asked. */
async function startServer(environment: Record<string, string> = {}): Promise<{ socket: string; child: ChildProcess }> {
  const socket = await newSocket();
  const child = spawn(process.execPath, [serve], {
    env: { RENDER_SOCKET: socket, ...environment },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  cleanups.push(async () => {
    child.kill('SIGKILL');
    await ended(child);
  });
  const deadline = Date.now() + 20_000;
  while (!existsSync(socket)) {
    if (Date.now() > deadline || child.exitCode !== null) throw new Error('the renderer did not come up');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return { socket, child };
}

/** Something else in the container's place. */
async function impostor(listener: RequestListener): Promise<string> {
  const socket = await newSocket();
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  cleanups.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return socket;
}

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    () => 'no failure',
    (error: unknown) => error,
  );
}

describe('the container that renders', () => {
  test('answers what rendering in process answers', async () => {
    const { socket } = await startServer();
    expect(await remoteRenderer(socket)(small)).toEqual(render(small));
  });

  test('ends at SIGTERM at once', async () => {
    const { child } = await startServer();
    child.kill('SIGTERM');
    expect(await ended(child)).toBe(0);
  });

  test('fails a render that needs too much memory, and does the next', async () => {
    const { socket } = await startServer({ RENDER_MEGABYTES: '24' });
    expect(await failure(remoteRenderer(socket)(large))).toMatchObject({
      code: 'RENDER_FAILED',
      retry: 'later',
      message: expect.stringContaining('24 MiB'),
    });
    expect((await remoteRenderer(socket)(small)).objects).toHaveLength(1);
  }, 60_000);

  test('ends a render that takes too long, and does the next', async () => {
    const { socket } = await startServer({ RENDER_SECONDS: '2' });
    expect(await failure(remoteRenderer(socket)(large))).toMatchObject({ code: 'RENDER_TIMED_OUT', retry: 'later' });
    expect(await failure(remoteRenderer(socket)(small))).toBe('no failure');
  }, 60_000);

  test('killed in the middle of a render fails that render, and whoever asked lives', async () => {
    const { socket, child } = await startServer();
    const asked = failure(remoteRenderer(socket)(large));
    setTimeout(() => child.kill('SIGKILL'), 300);
    expect(await asked).toMatchObject({ code: 'RENDER_FAILED', retry: 'later' });
  });

  test('without a socket to listen on says what is missing', async () => {
    const child = spawn(process.execPath, [serve], { env: {}, stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr?.on('data', (chunk) => {
      said += chunk;
    });
    expect(await ended(child)).toBe(1);
    expect(said).toContain('RENDER_SOCKET is not set');
  });
});

describe('an answer', () => {
  test.each([
    ['no JSON', 'hello'],
    [
      'an object without a name',
      JSON.stringify({
        objects: [{ object: { apiVersion: 'v1', kind: 'ConfigMap', metadata: {} }, file: 'a', line: 1, lines: {} }],
        findings: [],
        digest: '0'.repeat(64),
      }),
    ],
    ['a digest that is none', JSON.stringify({ objects: [], findings: [], digest: 'x' })],
    [
      'an unknown code',
      JSON.stringify({ objects: [], findings: [{ code: 'toString', message: 'm', severity: 'error' }], digest: '0'.repeat(64) }),
    ],
  ])('that is %s is not believed', async (_, body) => {
    const socket = await impostor((__, response) => response.end(body));
    expect(await failure(remoteRenderer(socket)(small))).toMatchObject({ code: 'RENDER_FAILED' });
  });

  test('that has no end is cut off', async () => {
    const socket = await impostor((__, response) => {
      const more = (): void => {
        while (response.write('x'.repeat(65_536)));
        response.once('drain', more);
      };
      more();
    });
    expect(await failure(remoteRenderer(socket, { seconds: 20, answerBytes: 1_000_000 })(small))).toMatchObject({ code: 'RENDER_FAILED' });
  });

  test('that does not come is waited for only so long', async () => {
    const socket = await impostor(() => undefined);
    expect(await failure(remoteRenderer(socket, { seconds: 0.3, answerBytes: 1_000 })(small))).toMatchObject({
      code: 'RENDER_TIMED_OUT',
      retry: 'later',
    });
  });

  test('of a container that is not there is RENDER_FAILED, worth another try', async () => {
    expect(await failure(remoteRenderer(await newSocket())(small))).toMatchObject({ code: 'RENDER_FAILED', retry: 'later' });
  });
});
