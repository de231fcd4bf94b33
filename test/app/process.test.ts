/** The App as people run it: what it prints when it cannot start, and what hostile bodies do to its memory, its log and its other callers. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { type AppProcess, runApp, someKey, startAppProcess, webhookSecret } from '../support/app/process.ts';
import { deliver, headersOf, type Letter, send, signatureOf } from '../support/app/signed.ts';
import { until } from '../support/cluster/until.ts';

jest.setTimeout(120_000);

const megabyte = 1024 * 1024;
let folder: string;
let environment: Record<string, string>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'app-'));
  // A cluster that is configured and away: starting must not depend on it.
  const kubeconfig = join(folder, 'kubeconfig');
  const cluster = { name: 'away', cluster: { server: 'http://127.0.0.1:9', 'insecure-skip-tls-verify': true } };
  const context = { name: 'away', context: { cluster: 'away', user: 'away' } };
  await writeFile(
    kubeconfig,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [cluster],
      contexts: [context],
      users: [{ name: 'away', user: {} }],
      'current-context': 'away',
    }),
  );
  environment = { KUBECONFIG: kubeconfig, APP_ID: '1', PRIVATE_KEY: someKey(), GITHUB_API_URL: 'http://127.0.0.1:9' };
});

afterAll(() => rm(folder, { recursive: true, force: true }));

describe('it does not start, and says why in one line, with', () => {
  test.each([
    ['no secret', {}, 'WEBHOOK_SECRET is not set'],
    ['an empty secret', { WEBHOOK_SECRET: '' }, 'WEBHOOK_SECRET is empty'],
    ["Probot's secret", { WEBHOOK_SECRET: 'development' }, 'WEBHOOK_SECRET is the word "development"'],
    ['a short secret', { WEBHOOK_SECRET: 'x'.repeat(31) }, 'at least 32 were expected'],
    ['a kubeconfig that is not there', { WEBHOOK_SECRET: webhookSecret, KUBECONFIG: '/nowhere/kubeconfig' }, 'CLUSTER_CONFIG'],
    ['an address that is not of this machine', { WEBHOOK_SECRET: webhookSecret, HOST: '203.0.113.1' }, 'EADDRNOTAVAIL'],
  ])('%s', async (_name, change, message) => {
    const { code, stdout, stderr } = await runApp({ ...environment, ...change });
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toContain(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });
});

describe('hostile bodies', () => {
  let app: AppProcess;
  beforeAll(async () => {
    app = await startAppProcess(environment);
    // What a first delivery loads and compiles is no growth.
    await deliver(app.url, { event: 'star', secret: webhookSecret, payload: { text: 'x'.repeat(100_000) } });
  });
  afterAll(() => app?.stop());

  const letter = (more: Partial<Letter> = {}): Letter => ({ event: 'pull_request', ...more });
  const forged = { 'x-hub-signature-256': `sha256=${'0'.repeat(64)}` };

  /** Sends a body of that many bytes without holding it, and gives the status. */
  const pour = (bytes: number, headers: Record<string, string>): Promise<number> =>
    new Promise((resolve, reject) => {
      const outgoing = request(`${app.url}/api/github/webhooks`, { method: 'POST', headers }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      outgoing.once('error', (error: NodeJS.ErrnoException) => (/EPIPE|ECONNRESET/.test(error.code ?? '') ? resolve(0) : reject(error)));
      const chunk = Buffer.alloc(64 * 1024, 'x');
      let sent = 0;
      const more = (): void => {
        while (sent < bytes && !outgoing.destroyed) {
          sent += chunk.length;
          if (!outgoing.write(chunk)) return void outgoing.once('drain', more);
        }
        outgoing.end();
      };
      more();
    });

  const grown = async (work: () => Promise<void>): Promise<number> => {
    const before = app.memory();
    const output = app.output().length;
    await work();
    const after = app.memory();
    expect(app.output().length - output).toBeLessThan(4000);
    expect((await send(`${app.url}/healthz`, 'GET', {})).status).toBe(200);
    return (after?.peak ?? 0) - (before?.peak ?? 0);
  };

  test.each([1, 25, 60])('%d MB without a signature: 401, memory and log stay as they are', async (size) => {
    const headers = headersOf(letter({ headers: { 'content-length': String(size * megabyte) } }), '');
    const growth = await grown(async () => {
      expect([401, 0]).toContain(await pour(size * megabyte, headers));
    });
    expect(growth).toBeLessThan(15 * megabyte);
  });

  test.each([
    [1, 401],
    [25, 401],
    [60, 413],
  ])('%d MB with a forged signature: %d, memory grows by less than 100 MB', async (size, status) => {
    const headers = headersOf(letter({ headers: { ...forged, 'content-length': String(size * megabyte) } }), '');
    const growth = await grown(async () => {
      expect([status, 0]).toContain(await pour(size * megabyte, headers));
    });
    expect(growth).toBeLessThan(100 * megabyte);
  });

  test('sixty megabytes in chunks, of which the length is not told: cut at the cap', async () => {
    const headers = headersOf(letter({ headers: { ...forged, 'content-length': undefined } }), '');
    const growth = await grown(async () => {
      expect([413, 0]).toContain(await pour(60 * megabyte, headers));
    });
    expect(growth).toBeLessThan(100 * megabyte);
  });

  test('twelve times 25 MB at once with forged signatures: memory grows by less than 150 MB, and a real delivery is answered meanwhile', async () => {
    const headers = headersOf(letter({ headers: { ...forged, 'content-length': String(25 * megabyte) } }), '');
    const growth = await grown(async () => {
      const floods = Array.from({ length: 12 }, () => pour(25 * megabyte, headers));
      const answer = await deliver(app.url, { event: 'star', secret: webhookSecret, payload: {} });
      expect([202, 503]).toContain(answer.status);
      expect((await Promise.all(floods)).every((status) => [401, 503, 0].includes(status))).toBe(true);
    });
    expect(growth).toBeLessThan(150 * megabyte);
    // When the flood is over there is room again.
    expect((await deliver(app.url, { event: 'star', secret: webhookSecret, payload: {} })).status).toBe(202);
  });

  test('a hundred connections that drip or never go on are cut after ten seconds, and a real delivery is answered meanwhile', async () => {
    const port = Number(new URL(app.url).port);
    const lines = Object.entries(headersOf(letter({ headers: { ...forged, 'content-length': '5000' } }), ''));
    const head = `POST /api/github/webhooks HTTP/1.1\r\nhost: x\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
    let open = 100;
    const began = Date.now();
    const sockets = Array.from({ length: 100 }, (_, index) => {
      // Half of them never end their headers.
      const socket = createConnection(port, '127.0.0.1', () => socket.write(index % 2 === 0 ? head : head.slice(0, 60)));
      const drip = setInterval(() => socket.write(index % 4 === 0 ? 'x' : ''), 250);
      socket.resume().on('error', () => {});
      socket.once('close', () => {
        clearInterval(drip);
        open -= 1;
      });
      return socket;
    });
    await until('all are connected', 5_000, async () => sockets.every((socket) => !socket.connecting));
    expect((await deliver(app.url, { event: 'star', secret: webhookSecret, payload: {} })).status).toBe(202);
    await until('all are cut', 20_000, async () => open === 0);
    expect(Date.now() - began).toBeGreaterThan(9_000);
  });

  test('a signed delivery of 20 MB, as GitHub may send it, is read', async () => {
    const body = JSON.stringify({ text: 'x'.repeat(20 * megabyte) });
    expect(await deliver(app.url, { event: 'star', body, headers: { 'x-hub-signature-256': signatureOf(body, webhookSecret) } })).toEqual({
      status: 202,
      body: '{"status":"accepted"}',
    });
    expect(app.output()).not.toContain('xxxx');
  });

  test('with the cluster away a pull request is 503, and a later one is not worse off', async () => {
    const payload = {
      action: 'opened',
      installation: { id: 1 },
      repository: { id: 7, full_name: 'acme/api', clone_url: 'http://x/acme/api.git', default_branch: 'main' },
      pull_request: { number: 1, state: 'open', head: { sha: 'a'.repeat(40) } },
    };
    const began = Date.now();
    const answers = await Promise.all([1, 2, 3].map(() => deliver(app.url, { event: 'pull_request', payload, secret: webhookSecret })));
    expect(answers.map((one) => one.status)).toEqual([503, 503, 503]);
    expect(Date.now() - began).toBeLessThan(10_000);
    expect(app.lines().at(-1)).toMatchObject({
      status: 503,
      outcome: expect.stringMatching(/^(CLUSTER_UNREACHABLE|APP_BUSY)$/),
      repository: 7,
    });
  });

  test('SIGTERM ends it with 0', async () => {
    const other = await startAppProcess(environment);
    expect(await other.stop()).toEqual({ code: 0, signal: null });
  });
});
