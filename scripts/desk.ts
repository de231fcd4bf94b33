/** A page for the demo's GitHub, on loopback: look at pull requests and their checks, open one for a pushed branch, merge it. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { refsOf } from '../test/support/github/git.ts';
import type { GitHub } from '../test/support/github/github.ts';
import type { CheckRun, Issue } from '../test/support/github/state.ts';
import { type PagePull, repositoryPage } from './page.ts';

export type Desk = { url: string; stop(): Promise<void> };

/** @param name OWNER/NAME of the one repository that is shown */
export async function openDesk(github: GitHub, name: string): Promise<Desk> {
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) =>
      reply(response, 400, `${error instanceof Error ? error.message : String(error)}\n`, 'text/plain'),
    );
  });
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const { pathname } = new URL(request.url ?? '/', url);
    if (request.method === 'GET' && pathname === '/') return reply(response, 200, await pageOf(github, name), 'text/html');
    const act = request.method === 'POST' ? acts[pathname] : undefined;
    if (!act) return reply(response, 404, 'there is one page: /\n', 'text/plain');
    // Any page that the person has open could send a form here.
    if (request.headers.origin !== url) return reply(response, 403, 'press the button on this page\n', 'text/plain');
    await act(github, name, new URLSearchParams(await bodyOf(request)).get('value') ?? '');
    response.writeHead(303, { location: '/' }).end();
  };
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    stop: () =>
      new Promise((stopped) => {
        server.close(() => stopped());
        server.closeAllConnections();
      }),
  };
}

const acts: Record<string, (github: GitHub, name: string, value: string) => Promise<unknown>> = {
  '/open': ({ people }, name, branch) => people.openPullRequest(name, { title: branch.replaceAll(/[-_/]+/g, ' '), head: branch }),
  '/merge': ({ people }, name, number) => people.mergePullRequest(name, Number(number), 'squash'),
};

async function pageOf(github: GitHub, name: string): Promise<string> {
  const { directory, defaultBranch, issues, runs } = github.people.repository(name);
  const pulls = [...issues.values()].flatMap((issue) => pullOf(issue, runs)).sort((a, b) => b.number - a.number);
  const pushed = [...(await refsOf(directory)).keys()].map((ref) => ref.replace('refs/heads/', ''));
  const branches = pushed.filter((branch) => branch !== defaultBranch && !pulls.some(({ head }) => head === branch));
  return repositoryPage({ name, branches, pulls });
}

function pullOf({ number, title, state, pull }: Issue, runs: readonly CheckRun[]): PagePull[] {
  if (!pull) return [];
  const checks = runs
    .filter(({ headSha }) => headSha === pull.headSha)
    .map(({ name, status, conclusion, output }) => ({
      name,
      status,
      conclusion,
      title: output.title ?? '',
      summary: output.summary ?? '',
      text: output.text ?? '',
    }));
  return [{ number, title, head: pull.headRef, base: pull.baseRef, state: pull.mergedAt === undefined ? state : 'merged', checks }];
}

function reply(response: ServerResponse, status: number, text: string, type: string): void {
  response.writeHead(status, { 'content-type': `${type}; charset=utf-8`, 'cache-control': 'no-store' }).end(text);
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of request) {
    body += String(chunk);
    if (body.length > 10_000) throw new Error('the form is too large');
  }
  return body;
}
