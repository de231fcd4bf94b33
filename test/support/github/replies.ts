/** Answers on their way out: pages, refusals, what a fault makes of them. */
import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Refusal } from './auth.ts';
import type { RequestFault } from './faults.ts';
import type { Answer, List } from './routes/call.ts';

export type Reply = { status: number; body?: unknown; headers: Record<string, string> };

const DOCS = 'https://docs.github.com/rest';

/** GitHub's way of saying no; a redirect names the new place. */
export function refusalReply(error: Refusal, headers: Record<string, string>): Reply {
  const body = {
    message: error.message,
    ...(error.errors ? { errors: error.errors } : {}),
    ...(error.headers['location'] ? { url: error.headers['location'] } : {}),
    documentation_url: DOCS,
    status: String(error.status),
  };
  return { status: error.status, body, headers: { ...headers, ...error.headers } };
}

export function faultReply(fault: RequestFault): Reply {
  const headers: Record<string, string> = fault.retryAfter === undefined ? {} : { 'retry-after': String(fault.retryAfter) };
  return {
    status: fault.status ?? 502,
    body: { message: fault.message ?? 'Server Error', documentation_url: DOCS, status: String(fault.status ?? 502) },
    headers,
  };
}

export const plain = (answer: Exclude<Answer, List>): Reply => ({
  status: answer.status,
  body: answer.body,
  headers: answer.headers ?? {},
});

/** One page, with the Link header that leads to its neighbours. */
export async function page(list: List, query: Record<string, unknown>, url: URL, api: string, empty: boolean): Promise<Reply> {
  const items = empty ? [] : list.items;
  const size = Math.max(1, Math.min(Number(query['per_page'] ?? 30), 100));
  const number = Math.max(1, Number(query['page'] ?? 1));
  const last = Math.max(1, Math.ceil(items.length / size));
  const shown = await Promise.all(items.slice((number - 1) * size, number * size).map((item) => list.show(item as never)));
  const link = (to: number, rel: string) => {
    const target = new URL(`${api}${url.pathname.replace(/^\/api\/v3/, '')}${url.search}`);
    target.searchParams.set('page', String(to));
    return `<${target.href}>; rel="${rel}"`;
  };
  const back = number > 1 ? [link(number - 1, 'prev')] : [];
  const onwards = number < last ? [link(number + 1, 'next'), link(last, 'last')] : [];
  const links = [...back, ...onwards, ...(number > 1 ? [link(1, 'first')] : [])];
  return { status: 200, body: list.wrap ? list.wrap(shown, items.length) : shown, headers: links.length ? { link: links.join(', ') } : {} };
}

export function send(response: ServerResponse, reply: Reply, fault: RequestFault | undefined): void {
  if (fault?.cut === 'reset') {
    response.socket?.destroy();
    return;
  }
  const text = reply.body === undefined || reply.status === 304 || reply.status === 204 ? '' : JSON.stringify(reply.body);
  const type: Record<string, string> = text
    ? { 'content-type': 'application/json; charset=utf-8', 'content-length': String(Buffer.byteLength(text)) }
    : {};
  response.writeHead(reply.status, {
    'x-github-request-id': randomUUID(),
    'x-github-media-type': 'github.v3; format=json',
    ...type,
    ...reply.headers,
  });
  if (fault?.cut === 'half') response.write(text.slice(0, text.length / 2), () => response.socket?.destroy());
  else response.end(text);
}
