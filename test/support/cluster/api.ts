/**
 * A small raw client for tests: JSON in, JSON out, every status an answer (`{ text }` where it is no JSON). The product's own door is not used here, so that a fault
 * in it cannot hide itself.
 */
import type { IncomingMessage } from 'node:http';
import { Agent, request as send } from 'node:https';
import type { KubeObject } from '../../../src/object.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
/** `T` is what the caller expects there; the server's word is not checked. */
export type Answer<T> = { status: number; body: T };
export type WatchEvent<T> = { type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR'; object: T };
/** `patch`: content type suffix of a PATCH; `timeout` in milliseconds, 30,000 when left out. */
export type RequestOptions = {
  body?: unknown;
  patch?: 'apply-patch+yaml' | 'merge-patch+json' | 'json-patch+json' | 'strategic-merge-patch+json';
  timeout?: number;
};

export type Api = {
  /** Any status is an answer; throws only when there is none. */
  request<T = KubeObject>(method: Method, path: string, options?: RequestOptions): Promise<Answer<T>>;
  /** Throws {@link ApiError} for a status of 400 and above. */
  ok<T = KubeObject>(method: Method, path: string, options?: RequestOptions): Promise<T>;
  /** Ends when the server ends it or `signal` fires. `path` without `watch=`. */
  watch<T = KubeObject>(path: string, signal: AbortSignal): AsyncGenerator<WatchEvent<T>>;
  close(): void;
};

export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly reason: string;
  constructor(method: string, path: string, status: number, text: string) {
    const said = parse<{ message?: string; reason?: string }>(text);
    super(`${method} ${path}: ${status} ${said?.message ?? text}`);
    this.status = status;
    this.reason = said?.reason ?? '';
  }
}

/** `as`: acts as that user through impersonation, for which the token's owner needs the right. */
export function openApi(server: { url: string; ca: string; token: string; as?: { user: string; groups: string[] } }): Api {
  const agent = new Agent({ ca: server.ca, keepAlive: true });
  const headers: Record<string, string | string[]> = { authorization: `Bearer ${server.token}`, accept: 'application/json' };
  if (server.as) {
    headers['impersonate-user'] = server.as.user;
    headers['impersonate-group'] = server.as.groups;
  }

  const begin = (method: Method, path: string, options: RequestOptions, signal?: AbortSignal): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const body = options.body === undefined ? undefined : JSON.stringify(options.body);
      const type =
        body === undefined ? {} : { 'content-type': `application/${options.patch ?? 'json'}`, 'content-length': Buffer.byteLength(body) };
      const outgoing = send(new URL(path, server.url), { method, agent, headers: { ...headers, ...type }, ...(signal ? { signal } : {}) });
      if (!signal)
        outgoing.setTimeout(options.timeout ?? 30_000, () => outgoing.destroy(new Error(`${method} ${path}: no answer in time`)));
      outgoing.once('response', resolve);
      outgoing.once('error', reject);
      outgoing.end(body);
    });

  const exchange = async (method: Method, path: string, options: RequestOptions) => {
    const incoming = await begin(method, path, options);
    return { status: incoming.statusCode ?? 0, text: await textOf(incoming) };
  };

  return {
    async request<T>(method: Method, path: string, options: RequestOptions = {}) {
      const { status, text } = await exchange(method, path, options);
      return { status, body: (parse<T>(text) ?? { text }) as T };
    },
    async ok<T>(method: Method, path: string, options: RequestOptions = {}) {
      const { status, text } = await exchange(method, path, options);
      if (status >= 400) throw new ApiError(method, path, status, text);
      return (parse<T>(text) ?? { text }) as T;
    },
    async *watch<T>(path: string, signal: AbortSignal) {
      const incoming = await begin('GET', `${path}${path.includes('?') ? '&' : '?'}watch=true`, {}, signal);
      if (incoming.statusCode !== 200) throw new ApiError('GET', path, incoming.statusCode ?? 0, await textOf(incoming));
      let rest = '';
      for await (const chunk of incoming.setEncoding('utf8')) {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) if (line) yield JSON.parse(line) as WatchEvent<T>;
      }
    },
    close: () => agent.destroy(),
  };
}

async function textOf(incoming: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of incoming.setEncoding('utf8')) text += chunk;
  return text;
}

/** undefined: no JSON, as `/readyz` and `/metrics` answer. */
function parse<T>(text: string): T | undefined {
  try {
    return JSON.parse(text) as T;
  } catch {
    return undefined;
  }
}
