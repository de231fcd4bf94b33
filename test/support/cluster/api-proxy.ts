/** A proxy in front of an API server that can fail as servers, balancers and networks do, for the tests of whoever talks to one. */
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { Agent, request as send } from 'node:https';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import type { ControlPlane } from './control-plane.ts';

/** What happens instead of the request: an answer, a connection that ends without one, or undefined: it is passed on. */
export type Fault = { status: number; headers?: Record<string, string>; body?: unknown } | 'cut' | undefined;

export type ApiProxy = {
  /** As `kubeconfig`, through the proxy; path of a new file. */
  kubeconfig: string;
  /** `METHOD PATH?QUERY` of every request, also of those that were answered here. */
  seen: string[];
  /** Asked for every request. */
  fault: (method: string, path: string) => Fault;
  close(): Promise<void>;
};

export async function startApiProxy(plane: ControlPlane, kubeconfig = plane.kubeconfig): Promise<ApiProxy> {
  const agent = new Agent({ ca: plane.ca, keepAlive: true });
  const server = createServer((incoming, outgoing) => {
    const line = [incoming.method ?? '', incoming.url ?? ''] as const;
    proxy.seen.push(line.join(' '));
    const fault = proxy.fault(...line);
    if (fault === 'cut') incoming.socket.destroy();
    else if (fault) outgoing.writeHead(fault.status, { 'content-type': 'application/json', ...fault.headers }).end(text(fault.body));
    else pass(plane.url, agent, incoming, outgoing);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const file = join(dirname(kubeconfig), `proxy-${port}.kubeconfig`);
  const open = readFileSync(kubeconfig, 'utf8')
    .replaceAll(plane.url, `http://127.0.0.1:${port}`)
    .replace(/"?certificate-authority-data"?:\s*"?[A-Za-z0-9+/=]+"?/, '"insecure-skip-tls-verify": true');
  writeFileSync(file, open, { mode: 0o600 });
  const proxy: ApiProxy = {
    kubeconfig: file,
    seen: [],
    fault: () => undefined,
    async close() {
      agent.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}

const text = (body: unknown) => (typeof body === 'string' ? body : JSON.stringify(body ?? {}));

function pass(url: string, agent: Agent, incoming: IncomingMessage, outgoing: ServerResponse): void {
  const { host: _, ...headers } = incoming.headers;
  const onward = send(new URL(incoming.url ?? '/', url), { method: incoming.method, agent, headers }, (answer) => {
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(outgoing);
  });
  onward.on('error', () => outgoing.destroy());
  incoming.pipe(onward);
}
