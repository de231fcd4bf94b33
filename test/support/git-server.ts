/**
 * A Git server on loopback: real smart HTTP by `git http-backend`, with a token, a request log and faults.
 * Only asynchronous git in the same process: a synchronous one would wait for a server that cannot answer.
 */
import { execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

export type GitServer = {
  url: string;
  /** Method and path of every request so far. */
  requests: string[];
  /** When set, every request is answered with this status. */
  fail: number | undefined;
  close(): Promise<void>;
};

const run = promisify(execFile);
const identity = {
  GIT_AUTHOR_NAME: 'Ada',
  GIT_AUTHOR_EMAIL: 'ada@example.com',
  GIT_COMMITTER_NAME: 'Ada',
  GIT_COMMITTER_EMAIL: 'ada@example.com',
};
const plain = { GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' };

/** git in a folder, with an identity and without the configuration of whoever runs the tests. */
export async function git(directory: string, ...operands: string[]): Promise<string> {
  const { stdout } = await run('git', operands, { cwd: directory, env: { PATH: process.env['PATH'], ...identity, ...plain } });
  return stdout.trim();
}

/** A work tree on branch main with one commit of these files; `undefined` removes. Returns the commit's SHA. */
export async function commitFiles(directory: string, message: string, files: Record<string, string | Buffer | undefined>): Promise<string> {
  for (const [path, content] of Object.entries(files)) {
    const place = join(directory, path);
    if (content === undefined) await rm(place);
    else {
      await mkdir(dirname(place), { recursive: true });
      await writeFile(place, content);
    }
  }
  await git(directory, 'add', '-A');
  await git(directory, 'commit', '--quiet', '--allow-empty', '-m', message);
  return await git(directory, 'rev-parse', 'HEAD');
}

/** An empty repository on branch main in a temporary folder of its own. */
export async function newRepository(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'plumbline-git-'));
  await git(directory, 'init', '--quiet', '--initial-branch=main');
  await git(directory, 'config', 'uploadpack.allowFilter', 'true');
  await git(directory, 'config', 'uploadpack.allowAnySHA1InWant', 'true');
  return directory;
}

/** Serves the repository at `directory`; `token` is asked for when given. */
export async function serveGit(directory: string, token?: string): Promise<GitServer> {
  const state: GitServer = { url: '', requests: [], fail: undefined, close: async () => undefined };
  const expected = token === undefined ? undefined : `Basic ${Buffer.from(`x-access-token:${token}`).toString('base64')}`;
  const server = createServer((request, response) => {
    state.requests.push(`${request.method} ${request.url}`);
    if (state.fail !== undefined) response.writeHead(state.fail).end();
    else if (expected !== undefined && request.headers.authorization !== expected) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
    } else if (!request.url?.startsWith('/acme/api.git/')) response.writeHead(404).end();
    else backend(directory, request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/acme/api.git`;
  state.close = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return state;
}

function backend(directory: string, request: IncomingMessage, response: ServerResponse): void {
  const { pathname, search } = new URL(request.url ?? '/', 'http://loopback');
  const child = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env['PATH'],
      ...plain,
      GIT_PROJECT_ROOT: directory,
      GIT_HTTP_EXPORT_ALL: '1',
      PATH_INFO: pathname.replace('/acme/api.git', '/.git'),
      QUERY_STRING: search.slice(1),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
      GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
      REMOTE_USER: 'x-access-token',
    },
  });
  request.pipe(child.stdin);
  child.stdin.on('error', () => undefined);
  let head = Buffer.alloc(0);
  let inBody = false;
  child.stdout.on('data', (chunk: Buffer) => {
    if (inBody) response.write(chunk);
    else {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      inBody = true;
      const headers = head
        .subarray(0, end)
        .toString('latin1')
        .split('\r\n')
        .map((line) => line.split(': ', 2) as [string, string]);
      const status = headers.find(([name]) => name === 'Status');
      response.writeHead(status ? Number.parseInt(status[1], 10) : 200, Object.fromEntries(headers.filter(([name]) => name !== 'Status')));
      response.write(head.subarray(end + 4));
    }
  });
  child.on('close', () => response.end());
}
