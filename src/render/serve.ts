/**
 * The entry of the container that renders: it holds no credential, and is what a hostile repository can reach.
 *
 * `POST /render` on the Unix socket `RENDER_SOCKET`: a RenderRequest in, a Rendered out. Each render has a thread of its own with a
 * memory limit and a deadline, so that a crash or a blow-up fails that render and nothing else.
 */
import { rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { removeSecrets } from '../secrets.ts';
import { type RenderRequest, render } from './render.ts';

/** 20 MiB of text, escaped as JSON. */
const mostBytes = 50 * 1024 * 1024;
const seconds = Number(process.env['RENDER_SECONDS'] ?? 60);
const megabytes = Number(process.env['RENDER_MEGABYTES'] ?? 384);

type Answer = { status: number; body: string };

async function answer(incoming: IncomingMessage): Promise<Answer> {
  if (incoming.method !== 'POST' || incoming.url !== '/render') return refusal(404, 'POST /render is all there is');
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > mostBytes) return refusal(400, `the request holds more than ${mostBytes} bytes`);
    chunks.push(chunk);
  }
  return await inThread(Buffer.concat(chunks).toString('utf8'));
}

/** The text is parsed in the thread, too: nothing that a stranger wrote is read outside of one. */
async function inThread(text: string): Promise<Answer> {
  const worker = new Worker(new URL(import.meta.url), { workerData: text, resourceLimits: { maxOldGenerationSizeMb: megabytes }, env: {} });
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<Answer>((resolve) => {
      timer = setTimeout(() => resolve(refusal(504, `it did not end within ${seconds} s`)), seconds * 1_000);
      worker.once('message', (body: string) => resolve({ status: 200, body }));
      worker.once('error', (thrown: unknown) => resolve(refusal(500, reasonOf(thrown))));
      worker.once('exit', (status) => resolve(refusal(500, `the thread ended with ${status}`)));
    });
  } finally {
    clearTimeout(timer);
    await worker.terminate();
  }
}

function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const outOfMemory = 'code' in thrown && thrown.code === 'ERR_WORKER_OUT_OF_MEMORY';
  return outOfMemory ? `it needed more than ${megabytes} MiB of memory` : thrown.message;
}

function refusal(status: number, reason: string): Answer {
  return { status, body: JSON.stringify({ reason: removeSecrets(reason) }) };
}

function send(response: ServerResponse, { status, body }: Answer): void {
  // What was not read of a request that is too large is not waited for.
  response.writeHead(status, { 'content-type': 'application/json', ...(status === 400 ? { connection: 'close' } : {}) }).end(body);
}

async function serve(socket: string): Promise<void> {
  // A restarted container finds the socket of the one before.
  await rm(socket, { force: true });
  const server = createServer((incoming, response) => {
    answer(incoming).then(
      (ready) => send(response, ready),
      (thrown: unknown) => send(response, refusal(500, reasonOf(thrown))),
    );
  });
  // A sidecar that does not end at SIGTERM holds its Job for the whole grace period.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(0));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socket, resolve);
  });
}

if (!isMainThread) parentPort?.postMessage(JSON.stringify(render(JSON.parse(String(workerData)) as RenderRequest)));
else {
  const socket = process.env['RENDER_SOCKET'];
  if (!socket) {
    console.error('RENDER_SOCKET is not set: the path of a Unix socket was expected');
    process.exit(1);
  }
  await serve(socket);
}
