/**
 * The App's own small HTTP front. Before anything else touches a delivery, it is bounded (headers, body, time, memory of all
 * together) and proven to be signed; a body is never logged, and no error's text reaches an answer.
 *
 * Source: GitHub "Validating webhook deliveries", "Webhook payloads are capped at 25 MB"; why not Probot's own: notes, faults 0.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { faultOf } from '../src/error.ts';
import type { Delivery } from './events.ts';

/** What a delivery came to. `after` goes on when the answer is sent, and says what came of it. */
export type Outcome = { status: 202 | 400 | 503; outcome: string; after?: () => Promise<string> };

export type FrontOptions = {
  secrets: string[];
  /** `arrived`: milliseconds since the epoch. Never rejects. */
  receive: (delivery: Delivery, arrived: number) => Promise<Outcome>;
  /** One line per delivery; ids and words of ours only. */
  log: (line: Record<string, unknown>) => void;
  /** For tests of the limits; what GitHub allows otherwise. */
  limits?: Partial<Limits>;
};

/** Bytes and milliseconds. `held`: of all bodies that are being read or handled; `handled`: deliveries at once. */
type Limits = { body: number; held: number; handled: number; readMs: number };

export type Front = { server: Server; close(): Promise<void> };

const webhookPath = '/api/github/webhooks';
const standard: Limits = { body: 25 * 1024 * 1024, held: 48 * 1024 * 1024, handled: 512, readMs: 10_000 };
const lingerMs = 1_000;

type State = { options: FrontOptions; limits: Limits; held: number; busy: Set<Promise<void>>; stopping: boolean };
type Claims = { guid: string; event: string; signature: Buffer };
type Refusal = { status: number; error: string };

export function createFront(options: FrontOptions): Front {
  const state: State = { options, limits: { ...standard, ...options.limits }, held: 0, busy: new Set(), stopping: false };
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const work = route(state, request, response).catch((thrown: unknown) => {
      options.log({ outcome: faultOf(thrown).code });
      request.socket.destroy();
    });
    state.busy.add(work);
    void work.finally(() => state.busy.delete(work));
  };
  const server = createServer({ maxHeaderSize: 16 * 1024, connectionsCheckingInterval: 1_000 }, answer);
  server.headersTimeout = state.limits.readMs;
  server.requestTimeout = state.limits.readMs + 2_000;
  server.keepAliveTimeout = 30_000;
  server.maxConnections = 2_048;
  // A client that asks first is refused before it sends a body.
  server.on('checkContinue', answer);
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    const status = error.code === 'HPE_HEADER_OVERFLOW' ? 431 : error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400;
    if (socket.writable) socket.end(`HTTP/1.1 ${status} Refused\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
    else socket.destroy();
  });
  return {
    server,
    async close() {
      state.stopping = true;
      const closed = new Promise<void>((done) => server.close(() => done()));
      server.closeIdleConnections();
      while (state.busy.size > 0) await Promise.allSettled(state.busy);
      server.closeAllConnections();
      await closed;
    },
  };
}

async function route(state: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? '').split('?', 1)[0];
  if (path === '/healthz' && request.method === 'GET') {
    respond(response, state.stopping ? 503 : 200, state.stopping ? 'stopping' : 'ok');
    request.resume();
    return;
  }
  const refused = path !== webhookPath ? { status: 404, error: 'not found' } : { status: 405, error: 'only POST' };
  if (path !== webhookPath || request.method !== 'POST') return refuse(request, response, refused);
  if (state.stopping) response.setHeader('connection', 'close');
  const claims = claimsOf(state, request);
  if ('error' in claims) {
    state.options.log({ status: claims.status, outcome: claims.error });
    return refuse(request, response, claims);
  }
  if (request.headers.expect) response.writeContinue();
  await take(state, request, response, claims);
}

/** What can be refused from the headers alone. */
function claimsOf(state: State, { headers }: IncomingMessage): Claims | Refusal {
  if (state.busy.size >= state.limits.handled) return { status: 503, error: 'busy' };
  const signature = /^sha256=([0-9a-f]{64})$/.exec(String(headers['x-hub-signature-256'] ?? ''))?.[1];
  if (!signature) return { status: 401, error: 'no sha256 signature' };
  const guid = String(headers['x-github-delivery'] ?? '');
  const event = String(headers['x-github-event'] ?? '');
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(guid)) return { status: 400, error: 'no delivery id' };
  if (!/^[a-z_]{1,64}$/.test(event)) return { status: 400, error: 'no event name' };
  if (!/^application\/json\s*(;|$)/i.test(headers['content-type'] ?? '')) return { status: 415, error: 'only application/json' };
  if (Number(headers['content-length'] ?? 0) > state.limits.body) return { status: 413, error: 'too large' };
  return { guid, event, signature: Buffer.from(signature, 'hex') };
}

async function take(state: State, request: IncomingMessage, response: ServerResponse, claims: Claims): Promise<void> {
  const arrived = Date.now();
  const read = await readSigned(state, request, claims.signature);
  try {
    const payload = 'error' in read ? undefined : payloadOf(read.chunks);
    if (!payload) {
      const refusal = 'error' in read ? read : { status: 400, error: 'not a JSON object' };
      state.options.log({ guid: claims.guid, event: claims.event, status: refusal.status, outcome: refusal.error });
      return refuse(request, response, refusal);
    }
    await handle(state, response, { guid: claims.guid, event: claims.event, payload }, arrived);
  } finally {
    state.held -= read.held;
  }
}

async function handle(state: State, response: ServerResponse, delivery: Delivery, arrived: number): Promise<void> {
  const { status, outcome, after } = await state.options.receive(delivery, arrived);
  respond(response, status, status === 202 ? 'accepted' : status === 400 ? 'payload not understood' : 'try again');
  const ms = Date.now() - arrived;
  const { guid, event, payload } = delivery;
  const action = typeof payload['action'] === 'string' && /^[a-z_]{1,64}$/.test(payload['action']) ? payload['action'] : undefined;
  const repository = (payload['repository'] as { id?: unknown } | undefined | null)?.id;
  const line = { guid, event, action, repository: typeof repository === 'number' ? repository : undefined, status, outcome, ms };
  const later = await after?.();
  state.options.log(later === undefined ? line : { ...line, check: later });
}

type Read = { chunks: Buffer[]; held: number } | (Refusal & { held: number });

/** The body, hashed while it comes in; nothing of it is looked at before the signature holds. */
function readSigned(state: State, request: IncomingMessage, signature: Buffer): Promise<Read> {
  const { limits, options } = state;
  const hashes = options.secrets.map((secret) => createHmac('sha256', secret));
  let chunks: Buffer[] = [];
  let held = 0;
  return new Promise((done) => {
    const end = (refusal?: Refusal): void => {
      clearTimeout(deadline);
      request.off('data', onData).off('end', onEnd).off('error', onGone).off('close', onGone);
      request.on('error', () => {}); // a client that goes away while it is refused is no news
      done(refusal ? { ...refusal, held } : { chunks, held });
      chunks = [];
    };
    const onData = (chunk: Buffer): void => {
      held += chunk.length;
      state.held += chunk.length;
      for (const hash of hashes) hash.update(chunk);
      chunks.push(chunk);
      if (held > limits.body) end({ status: 413, error: 'too large' });
      else if (state.held > limits.held) end({ status: 503, error: 'busy' });
    };
    const onEnd = (): void => {
      // Every secret is compared, so that the time tells nothing.
      const valid = hashes.map((hash) => timingSafeEqual(hash.digest(), signature)).includes(true);
      end(valid ? undefined : { status: 401, error: 'signature does not match' });
    };
    const onGone = (): void => end({ status: 400, error: 'body ended early' });
    const deadline = setTimeout(() => end({ status: 408, error: 'too slow' }), limits.readMs);
    request.on('data', onData).on('end', onEnd).on('error', onGone).on('close', onGone);
  });
}

function payloadOf(chunks: Buffer[]): Record<string, unknown> | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks));
    const payload: unknown = JSON.parse(text);
    return typeof payload === 'object' && payload !== null && !Array.isArray(payload) ? (payload as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Answers, throws away what still comes for a moment (so that the client can read the answer), then hangs up. */
function refuse(request: IncomingMessage, response: ServerResponse, { status, error }: Refusal): void {
  response.setHeader('connection', 'close');
  respond(response, status, error);
  if (request.complete) return;
  request.resume();
  const { socket } = request;
  const hangUp = setTimeout(() => socket.destroy(), lingerMs);
  socket.once('close', () => clearTimeout(hangUp));
}

function respond(response: ServerResponse, status: number, word: string): void {
  const body = JSON.stringify(status < 400 ? { status: word } : { error: word });
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
