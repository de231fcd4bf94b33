/**
 * How requests reach an API server: client-node's configuration, authentication and TLS, with one connection pool, a bound on what is in
 * flight, and patience where the server asks for it.
 */
import { type HttpMethod, IsomorphicFetchHttpLibrary, KubeConfig, RequestContext, type ResponseContext } from '@kubernetes/client-node';
import { unreachable } from './cluster-error.ts';
import { PlumblineError } from './error.ts';
import type { ObjectRef } from './object.ts';

export type Account = { namespace: string; name: string };
export type Call = {
  method: HttpMethod;
  path: string;
  query?: Record<string, string>;
  body?: unknown;
  type?: string;
  accept?: string;
  about?: ObjectRef;
};
export type Answer = { status: number; headers: Record<string, string>; body: unknown };
export type ConnectOptions = { kubeconfig?: string; context?: string; timeoutMs?: number };

const CALL_TIMEOUT_MS = 30_000;
const MOST_IN_FLIGHT = 16;
const ATTEMPTS = 4;

/**
 * From KUBECONFIG, else the pod's service account, else the person's kubeconfig; `context` picks another context of it.
 * `timeoutMs`: how long one request may take.
 */
export function connectTransport(options: ConnectOptions): Transport {
  const config = new KubeConfig();
  try {
    if (options.kubeconfig) config.loadFromFile(options.kubeconfig);
    else config.loadFromDefault();
    if (options.context) config.setCurrentContext(options.context);
  } catch (cause) {
    throw new PlumblineError('CLUSTER_CONFIG', `the kubeconfig could not be read: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    });
  }
  const server = config.getCurrentCluster()?.server;
  if (!server) {
    throw new PlumblineError('CLUSTER_CONFIG', 'no cluster to talk to: neither a kubeconfig nor a service account was found', {
      hint: 'set KUBECONFIG, or run inside a pod with a service account',
    });
  }
  return over(config, server.replace(/\/$/, ''), options.timeoutMs ?? CALL_TIMEOUT_MS);
}

/** Any status is an answer; throws when there was none. */
export type Transport = {
  server: string;
  send(call: Call, account: Account | undefined): Promise<Answer>;
};

function over(config: KubeConfig, server: string, timeoutMs: number): Transport {
  const http = new IsomorphicFetchHttpLibrary();
  const slots = bound(MOST_IN_FLIGHT);
  let dispatcher: ReturnType<RequestContext['getDispatcher']>;
  const once = async (call: Call, account: Account | undefined): Promise<Answer> => {
    const url = `${server}${call.path}${call.query ? `?${new URLSearchParams(call.query)}` : ''}`;
    const request = new RequestContext(url, call.method);
    request.setHeaderParam('Accept', call.accept ?? 'application/json');
    request.setHeaderParam('User-Agent', 'plumbline');
    if (call.body !== undefined) {
      request.setHeaderParam('Content-Type', call.type ?? 'application/json');
      request.setBody(JSON.stringify(call.body));
    }
    if (account) request.setHeaderParam('Impersonate-User', `system:serviceaccount:${account.namespace}:${account.name}`);
    await authenticate(config, request);
    // One agent for all calls: client-node makes a new one, and so a new TLS connection, each time.
    const own = request.getDispatcher();
    dispatcher ??= own;
    if (dispatcher) request.setDispatcher(dispatcher);
    request.setSignal(AbortSignal.timeout(timeoutMs));
    try {
      return await answerOf(await http.send(request).toPromise());
    } catch (cause) {
      dispatcher = undefined; // certificates may have been rotated
      throw unreachable(server, cause);
    }
  };
  const send = (call: Call, account: Account | undefined) => slots(() => again(() => once(call, account), call.method === 'GET'));
  return { server, send };
}

/** A token file that is gone, a helper program that fails: nothing was asked yet. */
async function authenticate(config: KubeConfig, request: RequestContext): Promise<void> {
  try {
    await config.applySecurityAuthentication(request);
  } catch (cause) {
    throw new PlumblineError('CLUSTER_CONFIG', `no credentials for the cluster: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    });
  }
}

async function answerOf(response: ResponseContext): Promise<Answer> {
  const text = await response.body.text();
  const isJson = (response.headers['content-type'] ?? '').includes('json');
  return { status: response.httpStatusCode, headers: response.headers, body: isJson && text ? JSON.parse(text) : text };
}

/** 429 with its Retry-After is normal under API priority and fairness; a read may also be repeated after a lost connection. */
async function again(send: () => Promise<Answer>, isRead: boolean): Promise<Answer> {
  for (let attempt = 1; ; attempt++) {
    const last = attempt === ATTEMPTS;
    let answer: Answer;
    try {
      answer = await send();
    } catch (error) {
      if (last || !isRead) throw error;
      await pause(100 * 2 ** attempt);
      continue;
    }
    const overloaded = answer.status === 429 || (isRead && (answer.status === 503 || answer.status === 504));
    if (!overloaded || last) return answer;
    const seconds = Number(answer.headers['retry-after'] ?? 1);
    await pause(Math.min(Number.isFinite(seconds) ? seconds : 1, 10) * 1000 * (0.8 + Math.random() * 0.4));
  }
}

const pause = (milliseconds: number) => new Promise((done) => setTimeout(done, milliseconds));

/** Runs at most `most` at a time, in order. */
function bound(most: number): <T>(work: () => Promise<T>) => Promise<T> {
  let free = most;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (free > 0) free--;
    else await new Promise<void>((turn) => waiting.push(turn));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free++;
    }
  };
}
