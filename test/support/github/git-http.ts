/**
 * Git's smart HTTP by the real `git http-backend`, streamed both ways; who may do what is asked before git starts. Refs that moved
 * in a push are found by comparing before and after, so that a person's `git push` sets off what it does on GitHub.
 */
import { spawn } from 'node:child_process';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { type Actor, authenticate, mayUseGit, Refusal, sees } from './auth.ts';
import { authorOf } from './changes.ts';
import { GIT_ENVIRONMENT, NO_COMMIT, refsOf } from './git.ts';
import { pushed, type RefChange, type World } from './pushes.ts';
import type { Repository } from './state.ts';

const PATHS = /^\/([^/]+)\/([^/]+?)(?:\.git)?\/(info\/refs|git-upload-pack|git-receive-pack)$/;

/** Whether the path is git's at all. */
export const isGitPath = (path: string) => PATHS.test(path);

/** Answers the status that was sent. */
export async function answerGit(
  world: World,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
): Promise<{ status: number; actor: Actor }> {
  const [, owner = '', name = '', rest = ''] = PATHS.exec(url.pathname) ?? [];
  const service = rest === 'info/refs' ? url.searchParams.get('service') : rest;
  if (service !== 'git-upload-pack' && service !== 'git-receive-pack')
    return refuse(response, 403, 'Please upgrade your git client.', { kind: 'nobody' });
  const wants = service === 'git-upload-pack' ? 'fetch' : 'push';
  let actor: Actor;
  try {
    actor = authenticate(world.state, request.headers.authorization);
  } catch (error) {
    if (error instanceof Refusal) return refuse(response, error.status, error.message, { kind: 'nobody' });
    throw error;
  }
  const repository = world.state.repository(`${owner}/${name}`);
  const former = repository ? undefined : world.state.formerRepository(`${owner}/${name}`);
  if (former && sees(actor, former))
    return redirect(response, actor, `${world.state.url}/${former.owner.login}/${former.name}.git/${rest}${url.search}`);
  if (actor.kind === 'nobody' && (!repository || repository.private || wants === 'push'))
    return refuse(response, 401, 'Repository not found.', actor);
  if (!repository || !sees(actor, repository)) return refuse(response, 404, 'Repository not found.', actor);
  if (!mayUseGit(actor, repository, wants)) return refuse(response, 403, `Permission to ${owner}/${name}.git denied.`, actor);
  if (wants === 'push' && repository.archived) return refuse(response, 403, 'This repository was archived so it is read-only.', actor);
  if (rest !== 'git-receive-pack') return { status: await backend(request, response, repository, `/${rest}`, url.search.slice(1)), actor };
  return world.state.alone(repository, async () => {
    const before = await movableRefs(repository);
    const status = await backend(request, response, repository, `/${rest}`, '');
    const changes = compare(before, await movableRefs(repository));
    if (changes.length > 0) await pushed(world, repository, changes, authorOf(actor).account);
    return { status, actor };
  });
}

const movableRefs = async ({ directory }: Repository) => new Map([...(await refsOf(directory)), ...(await refsOf(directory, 'refs/tags'))]);

function compare(before: Map<string, string>, after: Map<string, string>): RefChange[] {
  const refs = new Set([...before.keys(), ...after.keys()]);
  return [...refs]
    .map((ref) => ({ ref, before: before.get(ref) ?? NO_COMMIT, after: after.get(ref) ?? NO_COMMIT }))
    .filter((one) => one.before !== one.after);
}

function refuse(response: ServerResponse, status: number, message: string, actor: Actor): { status: number; actor: Actor } {
  const challenge = status === 401 ? { 'www-authenticate': 'Basic realm="GitHub"' } : {};
  response.writeHead(status, { 'content-type': 'text/plain; charset=UTF-8', ...challenge }).end(`${message}\n`);
  return { status, actor };
}

function redirect(response: ServerResponse, actor: Actor, location: string): { status: number; actor: Actor } {
  response.writeHead(301, { location }).end();
  return { status: 301, actor };
}

async function backend(
  request: IncomingMessage,
  response: ServerResponse,
  repository: Repository,
  path: string,
  query: string,
): Promise<number> {
  const header = (name: string) => String(request.headers[name] ?? '');
  const environment: Record<string, string> = {
    ...GIT_ENVIRONMENT,
    GIT_HTTP_EXPORT_ALL: '1',
    GIT_PROJECT_ROOT: repository.directory,
    PATH_INFO: path,
    QUERY_STRING: query,
    REQUEST_METHOD: request.method ?? 'GET',
    CONTENT_TYPE: header('content-type'),
    GIT_PROTOCOL: header('git-protocol'),
    HTTP_CONTENT_ENCODING: header('content-encoding'),
    REMOTE_USER: 'somebody',
    REMOTE_ADDR: '127.0.0.1',
    ...(request.headers['content-length'] ? { CONTENT_LENGTH: header('content-length') } : {}),
  };
  const child = spawn('git', ['http-backend'], { env: environment, stdio: ['pipe', 'pipe', 'ignore'] });
  const closed = new Promise<void>((resolve, reject) => {
    child.on('close', () => resolve());
    child.on('error', reject);
  });
  response.on('close', () => child.kill());
  // git may stop reading early; what it answers tells, not the pipe.
  const fed = pipeline(request, child.stdin).catch(() => undefined);
  const status = await relay(child.stdout, response);
  await Promise.all([fed, closed]);
  response.end();
  return status;
}

/** CGI's header lines, then the body as it comes. */
async function relay(output: NodeJS.ReadableStream, response: ServerResponse): Promise<number> {
  let head = Buffer.alloc(0);
  let begun = false;
  for await (const chunk of output) {
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk);
    if (begun) {
      if (!response.write(bytes)) await new Promise((resolve) => response.once('drain', resolve).once('close', resolve));
      continue;
    }
    head = Buffer.concat([head, bytes]);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) continue;
    begun = true;
    const lines = head
      .subarray(0, end)
      .toString('latin1')
      .split('\r\n')
      .map((line) => line.split(': ') as [string, string]);
    const fields = Object.fromEntries(lines);
    response.statusCode = Number.parseInt(fields['Status'] ?? '200', 10);
    for (const [name, value] of lines) if (name !== 'Status') response.setHeader(name, value);
    response.write(head.subarray(end + 4));
  }
  if (!begun) response.statusCode = 500;
  return response.statusCode;
}
