import type { AddressInfo } from 'node:net';
import { createConnection } from 'node:net';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import type { Delivery } from '../../app/events.ts';
import { createFront, type Front, type FrontOptions, type Outcome } from '../../app/front.ts';
import { deliver, headersOf, type Letter, send, signatureOf } from '../support/app/signed.ts';
import { until } from '../support/cluster/until.ts';

jest.setTimeout(20_000);

const secret = 'the secret of this test, long enough';
const opened: { event: string; payload: unknown; secret: string } = {
  event: 'pull_request',
  payload: { action: 'opened', repository: { id: 7 } },
  secret,
};
const path = '/api/github/webhooks';

let front: Front | undefined;
let received: Delivery[] = [];
let logged: Record<string, unknown>[] = [];

async function start(more: Partial<FrontOptions> = {}): Promise<string> {
  received = [];
  logged = [];
  const receive = async (delivery: Delivery): Promise<Outcome> => {
    received.push(delivery);
    return { status: 202, outcome: 'created pr-7-1-1' };
  };
  front = createFront({ secrets: [secret], receive, log: (line) => logged.push(line), ...more });
  const { server } = front;
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

afterEach(async () => {
  await front?.close();
  front = undefined;
});

/** What a raw connection gets back until the other side ends it. */
function raw(url: string, write: (socket: ReturnType<typeof createConnection>) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(Number(new URL(url).port), '127.0.0.1', () => write(socket));
    let text = '';
    socket.setEncoding('utf8').on('data', (part) => {
      text += String(part);
    });
    socket.once('close', () => resolve(text));
    socket.once('error', (error: NodeJS.ErrnoException) => (text ? resolve(text) : reject(error)));
  });
}
const head = (letter: Letter, more: Record<string, string> = {}, body = '') =>
  `POST ${path} HTTP/1.1\r\nhost: x\r\n${Object.entries({ ...headersOf(letter, body), ...more })
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')}\r\n`;

test('a signed delivery is handed on as it is, and logged in one line of ids', async () => {
  const url = await start();
  expect(await deliver(url, { ...opened, guid: '11111111-2222-4333-8444-555555555555' })).toEqual({
    status: 202,
    body: '{"status":"accepted"}',
  });
  expect(received).toEqual([{ guid: '11111111-2222-4333-8444-555555555555', event: 'pull_request', payload: opened.payload }]);
  expect(logged).toEqual([
    {
      guid: '11111111-2222-4333-8444-555555555555',
      event: 'pull_request',
      action: 'opened',
      repository: 7,
      status: 202,
      outcome: 'created pr-7-1-1',
      ms: expect.any(Number),
    },
  ]);
});

describe('refused without a handler being called', () => {
  const sha1 = { 'x-hub-signature-256': undefined, 'x-hub-signature': 'sha1=0000000000000000000000000000000000000000' };
  const rows: [string, Partial<Letter>, number][] = [
    ['no signature', { headers: { 'x-hub-signature-256': undefined } }, 401],
    ['only a sha1 signature', { headers: sha1 }, 401],
    ['a signature that is no hexadecimal', { headers: { 'x-hub-signature-256': `sha256=${'g'.repeat(64)}` } }, 401],
    ['a signature in capitals', { headers: { 'x-hub-signature-256': `sha256=${'A'.repeat(64)}` } }, 401],
    ['a short signature', { headers: { 'x-hub-signature-256': 'sha256=00' } }, 401],
    ['an empty signature', { headers: { 'x-hub-signature-256': '' } }, 401],
    ['a signature of zeros', { headers: { 'x-hub-signature-256': `sha256=${'0'.repeat(64)}` } }, 401],
    ['another secret', { secret: 'development' }, 401],
    ["another body's signature", { headers: { 'x-hub-signature-256': signatureOf('{}', secret) } }, 401],
    ['no event', { headers: { 'x-github-event': undefined } }, 400],
    ['an event that is no name', { headers: { 'x-github-event': '../push' } }, 400],
    ['no delivery id', { headers: { 'x-github-delivery': undefined } }, 400],
    ['a delivery id that is none', { headers: { 'x-github-delivery': 'first' } }, 400],
    ['a form', { headers: { 'content-type': 'application/x-www-form-urlencoded' } }, 415],
    ['no type', { headers: { 'content-type': undefined } }, 415],
    ['half a JSON', { body: '{"action":' }, 400],
    ['an empty body', { body: '' }, 400],
    ['a byte order mark', { body: '\ufeff{"action":"opened"}' }, 400],
    ['bytes that are no UTF-8', { body: Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]) }, 400],
    ['a list', { body: '[]' }, 400],
    ['null', { body: 'null' }, 400],
    ['a text', { body: '"push"' }, 400],
  ];
  test.each(rows)('%s', async (_name, change, status) => {
    const url = await start();
    const answer = await deliver(url, { ...opened, ...change });
    expect(answer).toMatchObject({ status, body: expect.stringMatching(/^\{"error":"[a-z0-9 /]+"\}$/i) });
    expect(received).toEqual([]);
  });

  test.each([
    ['GET', path, 405],
    ['PUT', path, 405],
    ['POST', '/', 404],
    ['POST', '/probot/import', 404],
    ['GET', '/probot/setup', 404],
    ['GET', '/probot', 404],
    ['POST', '/healthz', 404],
    ['POST', `${path}/`, 404],
    ['GET', '/metrics', 404],
  ])('%s %s', async (method, where, status) => {
    const url = await start();
    expect((await send(`${url}${where}`, method, {})).status).toBe(status);
  });

  test('nothing that is refused shows in the log but a word, a status, and what was well formed of the headers', async () => {
    const url = await start();
    await deliver(url, { ...opened, secret: 'x', payload: { password: 'hunter2' }, guid: '11111111-2222-4333-8444-555555555555' });
    await deliver(url, { ...opened, headers: { 'x-hub-signature-256': 'hunter2' } });
    expect(logged).toEqual([
      { guid: '11111111-2222-4333-8444-555555555555', event: 'pull_request', status: 401, outcome: 'signature does not match' },
      { status: 401, outcome: 'no sha256 signature' },
    ]);
  });
});

describe('while the secret is changed', () => {
  test('both are taken, and after it the old one is refused', async () => {
    const previous = 'the secret before this one, long enough';
    let url = await start({ secrets: [secret, previous] });
    expect((await deliver(url, opened)).status).toBe(202);
    expect((await deliver(url, { ...opened, secret: previous })).status).toBe(202);
    expect((await deliver(url, { ...opened, secret: 'another' })).status).toBe(401);
    await front?.close();
    url = await start();
    expect((await deliver(url, { ...opened, secret: previous })).status).toBe(401);
  });
});

describe('limits', () => {
  const limits = { body: 1000, held: 2500, readMs: 300, handled: 4 };
  const big = { ...opened, payload: { text: 'x'.repeat(2000) } };

  test('a body that says it is too large is refused before it is read', async () => {
    const url = await start({ limits });
    const text = await raw(url, (socket) => socket.write(head(opened, { 'content-length': '1001' })));
    expect(text).toMatch(/^HTTP\/1.1 413/);
  });

  test('who asks first (Expect: 100-continue) is told before sending', async () => {
    const url = await start({ limits });
    const refused = await raw(url, (socket) => socket.write(head(opened, { 'content-length': '1001', expect: '100-continue' })));
    expect(refused).toMatch(/^HTTP\/1.1 413/);
    const body = JSON.stringify(opened.payload);
    const taken = await raw(url, (socket) => {
      socket.write(
        head(opened, {
          expect: '100-continue',
          connection: 'close',
          'content-length': String(body.length),
          'x-hub-signature-256': signatureOf(body, secret),
        }),
      );
      socket.once('data', () => socket.write(body));
    });
    expect(taken).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 202/);
  });

  test('a body without a length is counted while it comes', async () => {
    const url = await start({ limits });
    const text = await raw(url, (socket) => {
      const chunk = `400\r\n${'x'.repeat(1024)}\r\n`;
      const { 'content-length': _length, ...headers } = headersOf(big, '');
      const lines = Object.entries({ ...headers, 'transfer-encoding': 'chunked' }).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.write(`POST ${path} HTTP/1.1\r\nhost: x\r\n${lines.join('')}\r\n${chunk}${chunk}`);
    });
    expect(text).toMatch(/^HTTP\/1.1 413/);
  });

  test('a body that drips, or never comes, is cut in time', async () => {
    const url = await start({ limits });
    const text = await raw(url, (socket) => {
      socket.write(head(opened, { 'content-length': '900' }));
      const drip = setInterval(() => socket.write(' '), 20);
      socket.once('close', () => clearInterval(drip));
    });
    expect(text).toMatch(/^HTTP\/1.1 408/);
    expect(logged).toMatchObject([{ status: 408, outcome: 'too slow' }]);
  });

  test('a client that hangs up in the middle is forgotten', async () => {
    const url = await start({ limits });
    await raw(url, (socket) => {
      socket.write(head(opened, { 'content-length': '900' }));
      setTimeout(() => socket.resetAndDestroy(), 30);
    }).catch(() => '');
    expect((await deliver(url, opened)).status).toBe(202);
    expect(received).toHaveLength(1);
  });

  test('headers over 16 KB are 431', async () => {
    const url = await start();
    const text = await raw(url, (socket) => socket.write(head(opened, { 'x-long': 'x'.repeat(17_000) })));
    expect(text).toMatch(/^HTTP\/1.1 431/);
  });

  test('what is no HTTP is 400', async () => {
    const url = await start();
    expect(await raw(url, (socket) => socket.write('\u0016\u0003\u0001\r\n\r\n'))).toMatch(/^HTTP\/1.1 400/);
  });

  test('bodies that together need too much memory are refused, and once the others are done there is room again', async () => {
    const url = await start({ limits: { ...limits, readMs: 5_000 } });
    const body = JSON.stringify({ text: 'x'.repeat(800) });
    const signed = { ...opened, body };
    const slow = Array.from({ length: 3 }, () => {
      let finish = () => {};
      const answer = raw(url, (socket) => {
        socket.write(
          head(signed, { 'content-length': String(body.length), connection: 'close', 'x-hub-signature-256': signatureOf(body, secret) }),
        );
        socket.write(body.slice(0, -1));
        finish = () => socket.write(body.slice(-1));
      });
      return { answer, finish: () => finish() };
    });
    while (logged.length === 0 && (await deliver(url, signed)).status !== 503) expect(received.length).toBeLessThan(200);
    for (const one of slow) one.finish();
    const answers = (await Promise.all(slow.map((one) => one.answer))).map((text) => text.slice(9, 12));
    expect(answers.filter((status) => status === '202').length).toBeGreaterThanOrEqual(2);
    expect((await deliver(url, signed)).status).toBe(202);
  });

  test('more deliveries at once than can be handled are 503', async () => {
    let release = () => {};
    const held = new Promise<void>((done) => {
      release = done;
    });
    const receive = async (): Promise<Outcome> => {
      await held;
      return { status: 202, outcome: 'x' };
    };
    const url = await start({ limits, receive });
    const answers = Array.from({ length: 6 }, () => deliver(url, opened));
    await until('two are refused', 5_000, async () => logged.length === 2);
    release();
    const statuses = (await Promise.all(answers)).map((one) => one.status).sort();
    expect(statuses).toEqual([202, 202, 202, 202, 503, 503]);
  });
});

describe('what the handler says', () => {
  test.each([
    [400, { status: 400, outcome: 'WEBHOOK_PAYLOAD' }, '{"error":"payload not understood"}'],
    [503, { status: 503, outcome: 'CLUSTER_UNREACHABLE' }, '{"error":"try again"}'],
  ] as [number, Outcome, string][])('%d is answered in words of ours', async (status, outcome, body) => {
    const url = await start({ receive: async () => outcome });
    expect(await deliver(url, opened)).toEqual({ status, body });
    expect(logged).toMatchObject([{ status, outcome: outcome.outcome }]);
  });

  test('an error that holds a token reaches neither the answer nor the log', async () => {
    const token = `ghs_${'a'.repeat(36)}`;
    const url = await start({
      receive: () => {
        throw new Error(`bad credentials: ${token}`);
      },
    });
    await expect(deliver(url, opened)).rejects.toThrow(/socket hang up|ECONNRESET/);
    expect(JSON.stringify(logged)).toBe('[{"outcome":"INTERNAL"}]');
  });

  test('what it does after the answer does not hold the answer up, and is waited for at the end', async () => {
    let finish = (_word: string) => {};
    const after = () =>
      new Promise<string>((done) => {
        finish = done;
      });
    const url = await start({ receive: async () => ({ status: 202, outcome: 'created x', after }) });
    expect((await deliver(url, opened)).status).toBe(202);
    expect(logged).toEqual([]);
    const closing = front?.close();
    finish('queued');
    await closing;
    expect(logged).toMatchObject([{ status: 202, check: 'queued' }]);
  });
});

test('/healthz says ok until the end begins', async () => {
  const url = await start();
  expect(await send(`${url}/healthz`, 'GET', {})).toEqual({ status: 200, body: '{"status":"ok"}' });
});
