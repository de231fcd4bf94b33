/** The one thing of a kubelet's own API that the process node serves: what a container wrote, so that `kubectl logs` works. */
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { join } from 'node:path';

/** `runs`: more may come. */
export type LogSource = { logs(namespace: string, pod: string, container: string): string; runs(namespace: string, pod: string): boolean };

/** On loopback, under the API server's own certificate, which it does not check for kubelets. */
export async function serveLogs(planeFolder: string, source: LogSource): Promise<{ port: number; close(): void }> {
  const read = (name: string) => readFileSync(join(planeFolder, 'certs', name));
  const server = createServer({ cert: read('apiserver.crt'), key: read('apiserver.key') }, (request, response) => {
    void answer(source, request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // A test that forgets its node must not hang on it.
  server.unref();
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function answer(source: LogSource, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'https://node');
  const [, what, namespace = '', pod = '', container = ''] = url.pathname.split('/');
  const unknown = [...url.searchParams.keys()].filter((name) => name !== 'follow' && name !== 'tailLines');
  if (what !== 'containerLogs' || unknown.length > 0) {
    response.writeHead(what === 'containerLogs' ? 400 : 404);
    response.end(`the process node serves logs with follow and tail, not ${unknown.join(', ') || url.pathname}`);
    return;
  }
  const all = source.logs(namespace, pod, container);
  const tail = url.searchParams.get('tailLines');
  response.writeHead(200, { 'content-type': 'text/plain' });
  response.write(
    tail === null
      ? all
      : all
          .split(/(?<=\n)/)
          .slice(Number(tail) === 0 ? all.length : -Number(tail))
          .join(''),
  );
  for (let sent = all.length; url.searchParams.get('follow') === 'true' && !response.destroyed; ) {
    const more = source.runs(namespace, pod);
    const now = source.logs(namespace, pod, container);
    response.write(now.slice(sent));
    sent = now.length;
    if (!more) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  response.end();
}
