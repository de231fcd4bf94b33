/** The door to GitHub against the loopback GitHub, which refuses what GitHub refuses. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { faultOf, formatFault } from '../../src/error.ts';
import { type CheckReport, connectGitHub, type GitHub, type GitHubSettings, type Repository } from '../../src/github.ts';
import { type Desk, openDesk } from '../github/desk.ts';

jest.setTimeout(60_000);

let desk: Desk;
let door: GitHub;
let repository: Repository;
let name = '';
let count = 0;
let mark = 0;
/** What a test changed for all. */
const undo: (() => void)[] = [];

const settings = (more: Partial<GitHubSettings> = {}): GitHubSettings => ({
  apiUrl: desk.github.apiUrl,
  appId: desk.app.appId,
  privateKey: desk.app.privateKey,
  ...more,
});

const open = async (more: Partial<GitHubSettings> = {}): Promise<Repository> => {
  door = connectGitHub(settings(more));
  return door.repositoryById(desk.app.installationId, desk.people.repository(name).id);
};

beforeAll(async () => {
  desk = await openDesk();
});

// A GitHub for all, and for each test a repository of its own.
beforeEach(async () => {
  count += 1;
  name = `acme/api-${count}`;
  await desk.people.createRepository({ owner: 'acme', name: `api-${count}`, files: { 'k8s/web.yaml': 'kind: A\n' } });
  desk.github.owners.addRepositories(desk.app.installationId, [name]);
  mark = desk.github.requests.length;
  repository = await open();
});

afterEach(() => {
  desk.github.faults.clear();
  for (const step of undo.splice(0)) step();
  expect(desk.github.violations).toEqual([]);
});

afterAll(() => desk?.close());

const operations = (since = mark) => desk.github.requests.slice(since).map((one) => `${one.operation} ${one.status}`);
const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'no error',
    (thrown: unknown) => faultOf(thrown).code,
  );
const queued: CheckReport = { status: 'queued', title: 'Waiting', summary: 'A Job is made.', annotations: [] };
const runs = () => desk.people.repository(name).runs;
const createRun = 'POST /repos/{owner}/{repo}/check-runs';

const openPull = async (branch = 'feature') => {
  const headSha = await desk.people.commit(name, branch, { files: { 'k8s/web.yaml': `kind: B # ${branch}\n` } });
  const { number } = await desk.people.openPullRequest(name, { title: `Change ${branch}`, head: branch });
  return { number, headSha };
};

describe('a repository', () => {
  test('is found by installation and id in one request, with a token for it alone that only reads', async () => {
    expect(repository).toMatchObject({ fullName: name, defaultBranch: 'main', cloneUrl: `${desk.github.url}/${name}.git` });
    expect(operations()).toEqual(['POST /app/installations/{installation_id}/access_tokens 201']);
    const token = desk.github.state.tokens.get(await repository.token());
    expect(token?.permissions).toEqual({ metadata: 'read', contents: 'read', pull_requests: 'read', issues: 'read', checks: 'read' });
    expect(token?.repositories).not.toBe('all');
  });

  test('is found by name with a token from elsewhere', async () => {
    expect(await door.installationOf(name)).toEqual({ installationId: desk.app.installationId });
    const { token, expiresAt } = await door.readingToken(desk.app.installationId);
    expect(Date.parse(expiresAt) - Date.now()).toBeGreaterThan(59 * 60_000);
    const named = await door.repository(desk.app.installationId, name, token);
    expect(named.id).toBe(repository.id);
    expect(await named.token()).toBe(token);
  });

  test('an outdated token from elsewhere is renewed once', async () => {
    const named = await door.repository(desk.app.installationId, name, 'ghs_from_yesterday');
    expect(named.id).toBe(repository.id);
    expect(operations().slice(-3)).toEqual([
      'GET /repos/{owner}/{repo} 401',
      'POST /app/installations/{installation_id}/access_tokens 201',
      'GET /repos/{owner}/{repo} 200',
    ]);
  });

  test.each([
    ['a name of one part', 'api'],
    ['a name of three parts', 'acme/api/x'],
    ['a repository without the App', 'acme/other'],
  ])('%s is GITHUB_NOT_FOUND', async (_name, asked) => {
    expect(await codeOf(door.installationOf(asked))).toBe('GITHUB_NOT_FOUND');
  });

  test('the reading token also serves git', async () => {
    const response = await fetch(`${repository.cloneUrl}/info/refs?service=git-upload-pack`, {
      headers: { authorization: `Basic ${Buffer.from(`x-access-token:${await repository.token()}`).toString('base64')}` },
    });
    expect(response.status).toBe(200);
    await response.arrayBuffer();
  });
});

describe('pull requests', () => {
  test('carry what Plumbline decides by', async () => {
    const { number, headSha } = await openPull();
    const baseSha = await desk.people.tip(name, 'main');
    expect(await repository.pullRequest(number)).toMatchObject({
      number,
      title: 'Change feature',
      state: 'open',
      merged: false,
      mergeCommitSha: undefined,
      draft: false,
      headSha,
      headRef: 'feature',
      headRepositoryId: repository.id,
      baseRef: 'main',
      baseSha,
      author: 'acme',
    });
  });

  test('a merged one names its merge commit, in a list too', async () => {
    const { number } = await openPull();
    await desk.people.mergePullRequest(name, number, 'merge');
    const tip = await desk.people.tip(name, 'main');
    expect(await repository.pullRequest(number)).toMatchObject({ state: 'closed', merged: true, mergeCommitSha: tip });
    expect(await repository.pullRequestsByUpdate(undefined)).toMatchObject({ pulls: [{ number, merged: true, mergeCommitSha: tip }] });
  });

  test('only 404 means that there is none', async () => {
    expect(await repository.pullRequest(999)).toBeUndefined();
    const { number } = await openPull();
    for (const [status, code] of [
      [403, 'GITHUB_FORBIDDEN'],
      [422, 'GITHUB_REFUSED'],
      [500, 'GITHUB_UNREACHABLE'],
      [502, 'GITHUB_UNREACHABLE'],
    ] as const) {
      const undo = desk.github.faults.add({ operation: 'GET /repos/{owner}/{repo}/pulls/{pull_number}', status });
      expect(await codeOf(repository.pullRequest(number))).toBe(code);
      undo();
    }
  });

  test('a read is repeated after an outage, twice', async () => {
    const { number } = await openPull();
    const before = desk.github.requests.length;
    desk.github.faults.add({ operation: 'GET /repos/{owner}/{repo}/pulls/{pull_number}', status: 503, times: 2 });
    expect(await repository.pullRequest(number)).toMatchObject({ number });
    expect(operations(before)).toHaveLength(3);
  });

  test('the same page a second time costs a 304 and says so', async () => {
    await openPull();
    const first = await repository.pullRequestsByUpdate(undefined);
    if (first.unchanged) throw new Error('the first look found nothing changed');
    expect(first).toMatchObject({ more: false, pulls: [{ title: 'Change feature' }] });
    expect(await repository.pullRequestsByUpdate(first.etag)).toEqual({ unchanged: true });
    expect(operations().at(-1)).toBe('GET /repos/{owner}/{repo}/pulls 304');
    await openPull('second');
    expect(await repository.pullRequestsByUpdate(first.etag)).toMatchObject({ unchanged: false, pulls: [{ title: 'Change second' }, {}] });
  });
});

describe('comments', () => {
  test('by update, with their pull request, author and whether a bot wrote them', async () => {
    const { number } = await openPull();
    desk.people.comment(name, number, '/sync', 'acme');
    const first = await repository.commentsByUpdate(undefined);
    if (first.unchanged) throw new Error('the first look found nothing changed');
    expect(first.comments).toMatchObject([
      { issueNumber: number, onPullRequest: true, body: '/sync', author: 'acme', authorIsBot: false, appId: undefined },
    ]);
    expect(await repository.commentsByUpdate(first.etag)).toEqual({ unchanged: true });
  });
});

describe('a check', () => {
  test('is looked for before it is made, so there is one', async () => {
    const { headSha } = await openPull();
    expect(await repository.findCheck('plumbline', headSha)).toBeUndefined();
    const made = await repository.openCheck('plumbline', headSha, queued);
    const again = await (await open()).openCheck('plumbline', headSha, { ...queued, title: 'Another' });
    expect(again).toEqual(made);
    expect(runs()).toMatchObject([{ name: 'plumbline', headSha, status: 'queued' }]);
  });

  test('the token that writes it may write checks of that repository and nothing else', async () => {
    const { headSha } = await openPull();
    await repository.openCheck('plumbline', headSha, queued);
    const { tokens } = desk.github.state;
    const own = [...tokens.values()].filter((one) => one.repositories !== 'all' && one.repositories.has(repository.id));
    const writing = own.filter((one) => one.permissions['checks'] === 'write');
    expect(writing.map((one) => one.permissions)).toEqual([{ metadata: 'read', checks: 'write' }]);
    expect(writing[0]?.repositories).toEqual(new Set([repository.id]));
  });

  test.each(['done and its answer lost', 'not done'])('a creation that failed (%s) ends as exactly one', async (how) => {
    const { headSha } = await openPull();
    desk.github.faults.add({ operation: createRun, status: 502, done: how !== 'not done', times: 1 });
    const check = await repository.openCheck('plumbline', headSha, queued);
    expect(runs().map((run) => run.id)).toEqual([check.id]);
  });

  test('a creation that fails twice is an error, not a third try', async () => {
    const { headSha } = await openPull();
    const undo = desk.github.faults.add({ operation: createRun, status: 500 });
    expect(await codeOf(repository.openCheck('plumbline', headSha, queued))).toBe('GITHUB_UNREACHABLE');
    expect(operations().filter((one) => one.startsWith(createRun))).toHaveLength(2);
    undo();
  });

  test.each(['whose answers arrive', 'of which one answer is lost'])('a report with 120 annotations %s has 120 in the end', async (how) => {
    const { headSha } = await openPull();
    const check = await repository.openCheck('plumbline', headSha, queued);
    const annotations = Array.from({ length: 120 }, (_, line) => ({
      path: 'k8s/web.yaml',
      startLine: line + 1,
      endLine: line + 1,
      level: 'warning' as const,
      title: 'A title',
      message: `line ${line + 1}`,
    }));
    const update = 'PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}';
    if (how !== 'whose answers arrive') desk.github.faults.add({ operation: update, status: 502, done: true, times: 1 });
    await repository.updateCheck(check.id, { ...queued, status: 'completed', conclusion: 'failure', annotations });
    expect(runs()).toMatchObject([{ status: 'completed', conclusion: 'failure' }]);
    expect(runs()[0]?.annotations.map((one) => one['message'])).toEqual(annotations.map((one) => one.message));
    expect(operations().filter((one) => one.startsWith(update))).toHaveLength(3);
  });

  test('of another App with the same name is not ours', async () => {
    const { headSha } = await openPull();
    const other = await desk.github.owners.registerApp({
      name: 'other',
      permissions: { checks: 'write', contents: 'read', pull_requests: 'read', issues: 'read' },
      events: [],
    });
    const { installationId } = desk.github.owners.installApp(other.appId, [name]);
    const theirs = connectGitHub({ apiUrl: desk.github.apiUrl, appId: other.appId, privateKey: other.privateKey });
    const known = { ...repository, installationId };
    await theirs.knownRepository(known).openCheck('plumbline', headSha, queued);
    expect(await repository.findCheck('plumbline', headSha)).toBeUndefined();
    await repository.openCheck('plumbline', headSha, queued);
    expect(runs()).toHaveLength(2);
  });
});

describe('credentials', () => {
  test("a token that ends in the middle is renewed once, even while our clock is two hours behind GitHub's", async () => {
    const { number } = await openPull();
    desk.github.advance(2 * 3_600_000);
    undo.push(() => desk.github.advance(-2 * 3_600_000));
    const before = desk.github.requests.length;
    expect(await repository.pullRequest(number)).toMatchObject({ number });
    expect(operations(before)).toEqual([
      'GET /repos/{owner}/{repo}/pulls/{pull_number} 401',
      // The JWT is made again with the time that GitHub's answer carries.
      'POST /app/installations/{installation_id}/access_tokens 401',
      'POST /app/installations/{installation_id}/access_tokens 201',
      'GET /repos/{owner}/{repo}/pulls/{pull_number} 200',
    ]);
  });

  test("a key that is not the App's is GITHUB_UNAUTHORIZED, and is tried once", async () => {
    const other = await desk.github.owners.registerApp({ name: 'another', permissions: { checks: 'write' }, events: [] });
    const before = desk.github.requests.length;
    const wrong = connectGitHub(settings({ privateKey: other.privateKey }));
    expect(await codeOf(wrong.installationOf(name))).toBe('GITHUB_UNAUTHORIZED');
    expect(desk.github.requests.length - before).toBe(1);
  });

  test('a permission that was not granted is GITHUB_FORBIDDEN or GITHUB_REFUSED, and is not repeated', async () => {
    const { headSha } = await openPull();
    const { permissions } = desk.github.owners.installation(desk.app.installationId);
    undo.push(() => desk.github.owners.setPermissions(desk.app.installationId, permissions));
    desk.github.owners.setPermissions(desk.app.installationId, { contents: 'read', pull_requests: 'read' });
    const before = desk.github.requests.length;
    expect(await codeOf(repository.openCheck('plumbline', headSha, queued))).toMatch(/^GITHUB_(FORBIDDEN|REFUSED)$/);
    const asked = operations(before);
    expect(new Set(asked).size).toBe(asked.length);
  });

  test('a suspended installation is GITHUB_FORBIDDEN', async () => {
    desk.github.owners.suspend(desk.app.installationId);
    undo.push(() => desk.github.owners.suspend(desk.app.installationId, false));
    expect(await codeOf(door.installationOf(name))).toBe('GITHUB_FORBIDDEN');
  });

  test.each([
    ['no address', { apiUrl: 'github' }],
    ['no number', { appId: Number.NaN }],
    ['no key', { privateKey: 'nothing' }],
  ])('settings with %s are refused before any request', (_name, wrong) => {
    expect(() => connectGitHub(settings(wrong))).toThrow(expect.objectContaining({ code: 'GITHUB_SETTINGS' }));
  });

  test('no token and no key is in an error, whatever GitHub says', async () => {
    const token = await repository.token();
    desk.github.faults.add({ status: 422, message: `bad token ${token} in Bearer ${token}`, times: 1 });
    const thrown = await repository.pullRequest(1).catch((error: unknown) => error);
    const shown = `${formatFault(faultOf(thrown))} ${JSON.stringify(thrown)} ${String((thrown as Error).stack)} ${String((thrown as Error).cause)}`;
    expect(shown).toContain('GITHUB_REFUSED');
    expect(shown).not.toContain(token);
  });
});

describe('limits', () => {
  test('when GitHub says wait, nothing is sent before that time, and the error says until when', async () => {
    await openPull();
    repository = await open({ patienceMs: 100 });
    desk.github.faults.add({
      operation: 'GET /repos/{owner}/{repo}/pulls',
      status: 403,
      retryAfter: 60,
      message: 'You have exceeded a secondary rate limit',
      times: 1,
    });
    expect(await codeOf(repository.openPullRequests())).toBe('GITHUB_RATE_LIMITED');
    const before = desk.github.requests.length;
    await expect(repository.openPullRequests()).rejects.toMatchObject({
      message: expect.stringMatching(/waiting until \d\d:\d\d UTC/),
      retry: 'later',
    });
    expect(desk.github.requests.length).toBe(before);
  });

  test('a process that would be too fast waits, or gives up when that takes too long', async () => {
    repository = await open({ patienceMs: 100, share: { pointsPerMinute: 3, contentPerMinute: 1 } });
    await repository.openPullRequests();
    await repository.openPullRequests();
    await repository.openPullRequests();
    expect(await codeOf(repository.openPullRequests())).toBe('GITHUB_RATE_LIMITED');
  });
});

type Page = { status?: number; type?: string; body: string; next?: boolean };

/** A server that gives a token, and then these answers in turn. */
async function serve(
  pages: Page[],
  run: (known: Repository, apiUrl: string) => Promise<void>,
  more: Partial<GitHubSettings> = {},
): Promise<void> {
  const token = { token: 'ghs_x', expires_at: new Date(Date.now() + 3_600_000).toISOString() };
  let turn = 0;
  const server = createServer((request, response) => {
    const isToken = request.url?.endsWith('/access_tokens') && pages.length > 0;
    const page = isToken ? { status: 201, body: JSON.stringify(token) } : pages[Math.min(turn++, pages.length - 1)];
    if (!page) return;
    const link = page.next ? { link: `<${apiUrl}/next>; rel="next"` } : {};
    response.writeHead(page.status ?? 200, { 'content-type': page.type ?? 'application/json', ...link }).end(page.body);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const apiUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    await run(connectGitHub(settings({ apiUrl, ...more })).knownRepository(repository), apiUrl);
  } finally {
    await new Promise((closed) => server.close(closed).closeAllConnections());
  }
}

describe('a list over pages', () => {
  const pull = (number: number) => ({
    number,
    title: `Change ${number}`,
    state: 'open',
    merged_at: null,
    head: { sha: 'a'.repeat(40), ref: 'x', repo: null },
    base: { sha: 'b'.repeat(40), ref: 'main' },
    user: null,
    updated_at: '2026-11-21T12:00:00Z',
  });
  const page = (from: number, to: number, next = false): Page => ({
    body: JSON.stringify(Array.from({ length: to - from + 1 }, (_, index) => pull(from + index))),
    next,
  });

  test('is complete, forks and accounts that are gone included', async () => {
    await serve([page(1, 100, true), page(101, 103)], async (known) => {
      const pulls = await known.openPullRequests();
      expect(pulls.map((one) => one.number)).toEqual(Array.from({ length: 103 }, (_, index) => index + 1));
      expect(pulls[0]).toMatchObject({ headRepositoryId: undefined, author: 'ghost' });
    });
  });

  test('is an error when one page fails', async () => {
    await serve([page(1, 100, true), { status: 500, body: '{}' }], async (known) => {
      expect(await codeOf(known.openPullRequests())).toBe('GITHUB_UNREACHABLE');
    });
  });

  test('is an error when one entry is no pull request', async () => {
    await serve([{ body: JSON.stringify([pull(1), { number: 2 }]) }], async (known) => {
      expect(await codeOf(known.openPullRequests())).toBe('GITHUB_ANSWER_UNEXPECTED');
    });
  });
});

describe('what is not GitHub', () => {
  test.each([
    ['the page of a proxy', 200, 'text/html', '<html>sign in</html>'],
    ['an empty object', 200, 'application/json', '{}'],
    ['half an answer', 200, 'application/json', '[{"number": 1'],
    ['null', 200, 'application/json', 'null'],
  ])('%s is no list of pull requests', async (_name, status, type, body) => {
    await serve([{ status, type, body }], async (known, apiUrl) => {
      expect(await codeOf(known.openPullRequests())).toBe('GITHUB_ANSWER_UNEXPECTED');
      expect(await codeOf(connectGitHub(settings({ apiUrl })).installationOf(name))).toBe('GITHUB_ANSWER_UNEXPECTED');
    });
  });

  test('a server that never answers is GITHUB_UNREACHABLE within the time limit', async () => {
    const check = async (known: Repository) => {
      await expect(known.pullRequest(1)).rejects.toMatchObject({
        code: 'GITHUB_UNREACHABLE',
        message: expect.stringContaining('no answer in time'),
      });
    };
    await serve([], check, { timeoutMs: 200 });
  });

  test('nobody at the address is GITHUB_UNREACHABLE', async () => {
    let gone = '';
    await serve([], async (_known, apiUrl) => {
      gone = apiUrl;
    });
    expect(await codeOf(connectGitHub(settings({ apiUrl: gone })).installationOf(name))).toBe('GITHUB_UNREACHABLE');
  });
});
