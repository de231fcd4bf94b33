import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { actAsApp, type Desk, openDesk, remote, userGit, withToken } from './desk.ts';

jest.setTimeout(60_000);
let desk: Desk;
beforeEach(async () => {
  desk = await openDesk({ requestsPerHour: 20 });
});
afterEach(() => desk.close());

const repo = { owner: 'acme', repo: 'api' };
const PULLS = 'GET /repos/{owner}/{repo}/pulls';

async function newToken(): Promise<string> {
  return (await actAsApp(desk, desk.app).rest.apps.createInstallationAccessToken({ installation_id: desk.app.installationId })).data.token;
}

type Got = { status: number; headers: Headers; body: unknown };
async function get(path: string, token: string, headers: Record<string, string> = {}): Promise<Got> {
  const answer = await fetch(`${desk.github.apiUrl}${path}`, {
    headers: { authorization: `Bearer ${token}`, 'user-agent': 'test', ...headers },
  });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, body: text ? JSON.parse(text) : undefined };
}
const header = (got: Got, name: string) => got.headers.get(name);

describe('ETags', () => {
  test('unchanged: 304 without a body, not counted; changed: 200 and another ETag', async () => {
    const token = await newToken();
    const first = await get('/repos/acme/api/pulls?state=all', token);
    const etag = header(first, 'etag') ?? '';
    expect([etag, header(first, 'x-ratelimit-remaining')]).toEqual([expect.stringMatching(/^W\/"[0-9a-f]{64}"$/), '19']);
    const second = await get('/repos/acme/api/pulls?state=all', token, { 'if-none-match': etag });
    expect([second.status, second.body, header(second, 'etag'), header(second, 'x-ratelimit-remaining')]).toEqual([
      304,
      undefined,
      etag,
      '19',
    ]);
    await desk.people.commit('acme/api', 'a', { files: { a: '1' } });
    await desk.people.openPullRequest('acme/api', { title: 'x', head: 'a' });
    const third = await get('/repos/acme/api/pulls?state=all', token, { 'if-none-match': etag });
    expect([third.status, header(third, 'x-ratelimit-remaining')]).toEqual([200, '18']);
    expect(header(third, 'etag')).not.toBe(etag);
    expect(desk.github.requests.filter(({ conditional }) => conditional).map(({ status }) => status)).toEqual([304, 200]);
  });

  test('are bound to the token: the same question by another token is answered in full', async () => {
    const etag = header(await get('/repos/acme/api/pulls', await newToken()), 'etag') ?? '';
    expect((await get('/repos/acme/api/pulls', await newToken(), { 'if-none-match': etag })).status).toBe(200);
  });
});

describe('the primary limit', () => {
  test('is per installation, told in every answer, refused with 403 when used up, and renewed after the hour', async () => {
    const token = await newToken();
    for (let index = 1; index <= 20; index += 1)
      expect(header(await get('/repos/acme/api', token), 'x-ratelimit-used')).toBe(String(index));
    const refused = await get('/repos/acme/api', token);
    expect([refused.status, header(refused, 'x-ratelimit-remaining'), header(refused, 'retry-after')]).toEqual([403, '0', null]);
    expect(refused.body).toMatchObject({ message: `API rate limit exceeded for installation ID ${desk.app.installationId}.` });
    const { data } = await withToken(desk, token).rest.rateLimit.get();
    expect(data.rate).toMatchObject({ limit: 20, used: 20, remaining: 0, reset: Number(header(refused, 'x-ratelimit-reset')) });
    await expect(actAsApp(desk, desk.app).rest.apps.getAuthenticated()).resolves.toMatchObject({ status: 200 });
    desk.github.advance(3_600_001);
    expect((await get('/repos/acme/api', desk.people.userToken('acme'))).status).toBe(200);
    const fresh = await desk.github.owners.workflowToken('acme/api', { contents: 'read' });
    expect(header(await get('/repos/acme/api', fresh), 'x-ratelimit-used')).toBe('1');
  });
});

describe('the secondary limit', () => {
  test('refuses writes beyond so many a minute, with retry-after when told to; reading goes on', async () => {
    const octokit = withToken(desk, await newToken());
    desk.github.faults.secondaryLimit = { writesPerMinute: 2, retryAfter: 60 };
    const write = () => octokit.rest.issues.create({ ...repo, title: 'x' });
    await write();
    await write();
    await expect(write()).rejects.toMatchObject({ status: 403, response: { headers: { 'retry-after': '60' } } });
    await expect(octokit.rest.repos.get(repo)).resolves.toMatchObject({ status: 200 });
    desk.github.faults.secondaryLimit = { writesPerMinute: 2 };
    const error: unknown = await write().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ status: 403, message: expect.stringContaining('secondary rate limit') });
    expect(JSON.stringify(error)).not.toContain('retry-after');
    desk.github.advance(61_000);
    await expect(write()).resolves.toMatchObject({ status: 201 });
  });
});

describe('pages', () => {
  test('Link leads through all of them; more than a hundred a page is a hundred', async () => {
    for (let index = 0; index < 5; index += 1) desk.people.createUser(`user${index}`);
    const { number } = await (async () => {
      await desk.people.commit('acme/api', 'a', { files: { a: '1' } });
      return desk.people.openPullRequest('acme/api', { title: 'x', head: 'a' });
    })();
    for (let index = 0; index < 101; index += 1) desk.people.comment('acme/api', number, `comment ${index}`);
    const token = await newToken();
    const path = `/repos/acme/api/issues/${number}/comments`;
    const second = await get(`${path}?per_page=40&page=2`, token);
    const link = header(second, 'link') ?? '';
    const page = (to: number, rel: string) => `<${desk.github.apiUrl}${path}?per_page=40&page=${to}>; rel="${rel}"`;
    expect(link.split(', ')).toEqual([page(1, 'prev'), page(3, 'next'), page(3, 'last'), page(1, 'first')]);
    expect((await get(`${path}?per_page=1000`, token)).body).toHaveLength(100);
    const octokit = withToken(desk, token);
    const all = await octokit.paginate(octokit.rest.issues.listComments, { ...repo, issue_number: number, per_page: 30 });
    expect(all.map(({ body }) => body)).toEqual(Array.from({ length: 101 }, (_, index) => `comment ${index}`));
  });
});

describe('faults', () => {
  test('an outage answers 503 everywhere, git too, until it is over', async () => {
    const token = await newToken();
    const over = desk.github.faults.outage();
    expect((await get('/repos/acme/api', token)).status).toBe(503);
    expect(await userGit(desk.folder, 'ls-remote', remote(desk, token))).toMatchObject({ code: 128, err: expect.stringContaining('503') });
    over();
    expect((await get('/repos/acme/api', token)).status).toBe(200);
  });

  test('done, but the answer is lost: 502, reset or half of it; the thing exists', async () => {
    const octokit = withToken(desk, await newToken());
    const create = () => octokit.rest.issues.create({ ...repo, title: 'once' });
    const operation = 'POST /repos/{owner}/{repo}/issues';
    desk.github.faults.add({ operation, status: 502, done: true, times: 1 });
    await expect(create()).rejects.toMatchObject({ status: 502 });
    desk.github.faults.add({ operation, cut: 'reset', done: true, times: 1 });
    await expect(create()).rejects.toMatchObject({ status: 500 });
    desk.github.faults.add({ operation, cut: 'half', times: 1 });
    // octokit swallows the broken body: a success whose data is an empty text
    await expect(create()).resolves.toMatchObject({ status: 201, data: '' });
    await create();
    expect([...desk.people.repository('acme/api').issues.values()].map(({ title }) => title)).toEqual(['once', 'once', 'once', 'once']);
  });

  test('not done: the error comes and nothing is changed; retry-after is carried; other operations go on', async () => {
    const octokit = withToken(desk, await newToken());
    const operation = 'POST /repos/{owner}/{repo}/issues';
    desk.github.faults.add({ operation, status: 429, retryAfter: 7, message: 'slow down', times: 1 });
    desk.github.faults.add({ operation, cut: 'reset', times: 1 });
    const create = () => octokit.rest.issues.create({ ...repo, title: 'x' });
    await expect(create()).rejects.toMatchObject({ status: 429, response: { headers: { 'retry-after': '7' } } });
    await expect(create()).rejects.toMatchObject({ status: 500 });
    await expect(octokit.rest.repos.get(repo)).resolves.toMatchObject({ status: 200 });
    expect(desk.people.repository('acme/api').issues.size).toBe(0);
  });

  test('a list that is empty for no reason is 200 and in shape', async () => {
    await desk.people.commit('acme/api', 'a', { files: { a: '1' } });
    await desk.people.openPullRequest('acme/api', { title: 'x', head: 'a' });
    const octokit = withToken(desk, await newToken());
    const undo = desk.github.faults.add({ operation: PULLS, empty: true });
    const undoChecks = desk.github.faults.add({ operation: 'GET /repos/{owner}/{repo}/commits/{ref}/check-suites', empty: true });
    expect((await octokit.rest.pulls.list(repo)).data).toEqual([]);
    expect((await octokit.rest.checks.listSuitesForRef({ ...repo, ref: 'a' })).data).toEqual({ total_count: 0, check_suites: [] });
    undo();
    undoChecks();
    expect((await octokit.rest.pulls.list(repo)).data).toHaveLength(1);
    expect((await octokit.rest.checks.listSuitesForRef({ ...repo, ref: 'a' })).data.total_count).toBe(1);
  });

  test('an answer that is still awaited does not keep this GitHub from stopping', async () => {
    desk.github.faults.add({ operation: 'GET /repos/{owner}/{repo}', delayMs: 3_600_000 });
    const waiting = get('/repos/acme/api', await newToken()).then(
      () => 'answered',
      () => 'cut',
    );
    while (desk.github.requests.at(-1)?.path !== '/api/v3/repos/acme/api') await new Promise((resolve) => setImmediate(resolve));
    await desk.close();
    expect(await waiting).toBe('cut');
    desk = await openDesk();
  });

  test('a slow answer comes late', async () => {
    const token = await newToken();
    desk.github.faults.add({ operation: 'GET /repos/{owner}/{repo}', delayMs: 200, times: 1 });
    const before = performance.now();
    expect((await get('/repos/acme/api', token)).status).toBe(200);
    expect(performance.now() - before).toBeGreaterThanOrEqual(195);
  });
});

test('a renamed repository redirects by its id, and the new name answers', async () => {
  const token = await newToken();
  desk.github.owners.renameRepository('acme/api', 'backend');
  const raw = await fetch(`${desk.github.apiUrl}/repos/acme/api/pulls?state=all`, {
    headers: { authorization: `Bearer ${token}` },
    redirect: 'manual',
  });
  const { id } = desk.people.repository('acme/backend');
  expect([raw.status, raw.headers.get('location')]).toEqual([301, `${desk.github.apiUrl}/repositories/${id}/pulls?state=all`]);
  const { data } = await withToken(desk, token).rest.repos.get(repo);
  expect(data.full_name).toBe('acme/backend');
});
