/** What most tests of the loopback GitHub begin with: a repository, an App with its installation, a server that takes its webhooks. */
import { execFile } from 'node:child_process';
import { createHmac, createSign, timingSafeEqual } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAppAuth } from '@octokit/auth-app';
import { Octokit } from '@octokit/rest';
import { type GitHub, type GitHubOptions, startGitHub } from '../support/github/github.ts';
import type { RegisteredApp } from '../support/github/owners.ts';
import type { People } from '../support/github/people.ts';
import type { Permissions } from '../support/github/state.ts';

type Received = {
  event: string;
  guid: string;
  headers: Record<string, unknown>;
  payload: Record<string, unknown>;
  genuine: boolean;
};
export type Receiver = { url: string; received: Received[]; answer: { status: number; hang: boolean }; close(): Promise<void> };

export const SECRET = 'a webhook secret that is long enough';

/** A real server; what it answers can be changed. */
export async function receive(): Promise<Receiver> {
  const received: Received[] = [];
  const answer = { status: 202, hang: false };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      const expected = Buffer.from(`sha256=${createHmac('sha256', SECRET).update(body).digest('hex')}`);
      const given = Buffer.from(String(request.headers['x-hub-signature-256']));
      const genuine = expected.length === given.length && timingSafeEqual(expected, given);
      const [event, guid] = [String(request.headers['x-github-event']), String(request.headers['x-github-delivery'])];
      received.push({ event, guid, headers: request.headers, payload: JSON.parse(body.toString('utf8')), genuine });
      if (!answer.hang) response.writeHead(answer.status).end('taken');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { url: `http://127.0.0.1:${port}/api/github/webhooks`, received, answer, close };
}

export type InstalledApp = RegisteredApp & { installationId: number };
export type Desk = {
  github: GitHub;
  people: People;
  receiver: Receiver;
  app: InstalledApp;
  folder: string;
  close(): Promise<void>;
};

const PERMISSIONS: Permissions = {
  contents: 'read',
  pull_requests: 'write',
  issues: 'write',
  checks: 'write',
  deployments: 'write',
  merge_queues: 'read',
};
export const EVENTS = ['pull_request', 'push', 'issue_comment', 'check_run', 'check_suite', 'merge_group', 'repository'];

/** The private repository `acme/api` of `acme` with one manifest; App `plumbline` installed on it. */
export async function openDesk(options: GitHubOptions = {}): Promise<Desk> {
  const [github, receiver, folder] = [await startGitHub(options), await receive(), await mkdtemp(join(tmpdir(), 'desk-'))];
  const { people, owners } = github;
  await people.createRepository({ owner: 'acme', name: 'api', files: { 'k8s/web.yaml': 'kind: A\n', 'README.md': '# api\n' } });
  const registered = await owners.registerApp({ permissions: PERMISSIONS, events: EVENTS, webhookUrl: receiver.url, secret: SECRET });
  const app = { ...registered, ...owners.installApp(registered.appId, ['acme/api']) };
  const close = async () => {
    try {
      await github.stop();
    } finally {
      await receiver.close();
      await rm(folder, { recursive: true, force: true });
    }
  };
  return { github, people, receiver, app, folder, close };
}

/** Refusals are what these tests are about; octokit would log each. */
const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** Octokit as the App's installation, as our product signs in. */
export async function actAs(desk: Desk, app: InstalledApp): Promise<Octokit> {
  const auth = { appId: app.appId, privateKey: app.privateKey, installationId: app.installationId };
  return new Octokit({
    log,
    baseUrl: desk.github.apiUrl,
    authStrategy: createAppAuth,
    auth,
    retry: { enabled: false },
    throttle: { enabled: false },
  });
}

export const actAsApp = (desk: Desk, app: RegisteredApp) =>
  new Octokit({ log, baseUrl: desk.github.apiUrl, authStrategy: createAppAuth, auth: { appId: app.appId, privateKey: app.privateKey } });

export const withToken = (desk: Desk, token: string) => new Octokit({ log, baseUrl: desk.github.apiUrl, auth: token });

/** An App's JWT with claims of our choice, right or wrong. */
export function jwt(privateKey: string, claims: Record<string, unknown>, algorithm = 'RS256'): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const body = `${part({ alg: algorithm, typ: 'JWT' })}.${part(claims)}`;
  return `${body}.${createSign('RSA-SHA256').update(body).sign(privateKey).toString('base64url')}`;
}

export type GitResult = { code: number; out: string; err: string };

/** The user's git, with none of the machine's settings, never blocking: this process is also the server. */
export function userGit(folder: string, ...args: string[]): Promise<GitResult> {
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: folder,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_AUTHOR_NAME: 'mona',
    GIT_AUTHOR_EMAIL: 'mona@users.noreply.github.com',
    GIT_COMMITTER_NAME: 'mona',
    GIT_COMMITTER_EMAIL: 'mona@users.noreply.github.com',
  };
  return new Promise((resolve) => {
    execFile('git', ['-C', folder, ...args], { env }, (error, out, err) => resolve({ code: error ? Number(error.code) : 0, out, err }));
  });
}

/** `http://x-access-token:TOKEN@127.0.0.1:…/acme/api.git`: in tests only; the product never puts a token into a URL. */
export function remote(desk: Desk, token: string | undefined, fullName = 'acme/api'): string {
  const url = new URL(`${desk.github.url}/${fullName}.git`);
  if (token !== undefined) Object.assign(url, { username: 'x-access-token', password: token });
  return url.href;
}
