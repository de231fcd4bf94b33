import { generateKeyPairSync } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { actAs, actAsApp, type Desk, jwt, openDesk, withToken } from './desk.ts';

jest.setTimeout(60_000);
let desk: Desk;
beforeEach(async () => {
  desk = await openDesk();
});
afterEach(() => desk.close());

const repo = { owner: 'acme', repo: 'api' };
const refused = (status: number, message: string) => expect.objectContaining({ status, message: expect.stringContaining(message) });

async function tokenFor(body: { repository_ids?: number[]; repositories?: string[]; permissions?: Record<string, 'read' | 'write'> }) {
  const { data } = await actAsApp(desk, desk.app).rest.apps.createInstallationAccessToken({
    installation_id: desk.app.installationId,
    ...body,
  });
  return data;
}

describe("the App's JWT", () => {
  const now = () => Math.floor(Date.now() / 1000);
  test.each([
    ['more than ten minutes ahead', () => ({ iat: now(), exp: now() + 700 }), 401, 'too far in the future'],
    ['expired', () => ({ iat: now() - 700, exp: now() - 100 }), 401, "'Expiration time' claim"],
    ['issued in the future', () => ({ iat: now() + 300, exp: now() + 500 }), 401, "'Issued at' claim"],
    ['of an unknown App', () => ({ iat: now(), exp: now() + 300, iss: '1' }), 404, 'Integration not found'],
  ])('%s is refused', async (_, claims, status, message) => {
    const octokit = withToken(desk, jwt(desk.app.privateKey, { iss: String(desk.app.appId), ...claims() }));
    await expect(octokit.rest.apps.getAuthenticated()).rejects.toEqual(refused(status, message));
  });

  test('signed with another key, or not RS256, cannot be decoded', async () => {
    const { privateKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
    const claims = { iss: String(desk.app.appId), iat: now(), exp: now() + 300 };
    for (const token of [jwt(privateKey, claims), jwt(desk.app.privateKey, claims, 'HS256')])
      await expect(withToken(desk, token).rest.apps.getAuthenticated()).rejects.toEqual(refused(401, 'could not be decoded'));
  });

  test('reaches what is the App’s and no repository; client id works as issuer', async () => {
    const byClientId = withToken(desk, jwt(desk.app.privateKey, { iss: desk.app.clientId, iat: now() - 60, exp: now() + 500 }));
    const { data } = await byClientId.rest.apps.getAuthenticated();
    expect(data).toMatchObject({ id: desk.app.appId, slug: 'plumbline', installations_count: 1 });
    await expect(byClientId.rest.repos.get(repo)).rejects.toEqual(refused(403, 'Resource not accessible by integration'));
    const { data: found } = await byClientId.rest.apps.getRepoInstallation(repo);
    expect(found.id).toBe(desk.app.installationId);
    await expect(byClientId.rest.apps.getRepoInstallation({ owner: 'acme', repo: 'none' })).rejects.toEqual(refused(404, 'Not Found'));
    const { data: installations } = await byClientId.rest.apps.listInstallations();
    expect(installations.map((one) => one.id)).toEqual([desk.app.installationId]);
    expect((await byClientId.rest.apps.getInstallation({ installation_id: desk.app.installationId })).data.account).toMatchObject({
      login: 'acme',
    });
  });
});

describe('installation tokens', () => {
  test('asked for one repository and one right: name and scope come with it, and nothing else is reachable', async () => {
    const other = await desk.people.createRepository({ owner: 'acme', name: 'web', files: { a: 'b' } });
    desk.github.owners.addRepositories(desk.app.installationId, ['acme/web']);
    const data = await tokenFor({ repository_ids: [other.id], permissions: { checks: 'read' } });
    expect(data).toMatchObject({
      permissions: { checks: 'read', metadata: 'read' },
      repository_selection: 'selected',
      repositories: [{ full_name: 'acme/web' }],
    });
    const octokit = withToken(desk, data.token);
    await expect(octokit.rest.repos.get(repo)).rejects.toEqual(refused(404, 'Not Found'));
    await expect(octokit.rest.repos.get({ owner: 'acme', repo: 'web' })).resolves.toMatchObject({ status: 200 });
    await expect(octokit.rest.pulls.list({ owner: 'acme', repo: 'web' })).rejects.toEqual(refused(403, 'not accessible by integration'));
    const create = octokit.rest.checks.create({ owner: 'acme', repo: 'web', name: 'x', head_sha: 'a'.repeat(40) });
    await expect(create).rejects.toEqual(refused(403, 'not accessible by integration'));
    const { data: visible } = await octokit.rest.apps.listReposAccessibleToInstallation();
    expect(visible.repositories.map((one) => one.full_name)).toEqual(['acme/web']);
  });

  test('wider than the installation, or for repositories it does not have: refused', async () => {
    const other = await desk.people.createRepository({ owner: 'acme', name: 'secret' });
    await expect(tokenFor({ permissions: { contents: 'write' } })).rejects.toEqual(refused(422, 'permissions requested are not granted'));
    await expect(tokenFor({ repository_ids: [other.id] })).rejects.toEqual(refused(422, 'at least one repository that does not exist'));
    await expect(tokenFor({ repositories: ['secret'] })).rejects.toEqual(refused(422, 'at least one repository that does not exist'));
    expect(desk.github.violations).toEqual([]);
    await expect(tokenFor({ permissions: { check: 'write' } as Record<string, 'write'> })).rejects.toEqual(refused(422, 'does not know'));
    expect(desk.github.violations).toHaveLength(1);
  });

  test('end after an hour, when revoked, and when the installation is suspended or gone', async () => {
    const [hour, revoked, last] = [await tokenFor({}), await tokenFor({}), await tokenFor({})].map(({ token }) => withToken(desk, token));
    await revoked?.rest.apps.revokeInstallationAccessToken();
    await expect(revoked?.rest.repos.get(repo)).rejects.toEqual(refused(401, 'Bad credentials'));
    desk.github.owners.suspend(desk.app.installationId);
    await expect(last?.rest.repos.get(repo)).rejects.toEqual(refused(403, 'suspended'));
    await expect(tokenFor({})).rejects.toEqual(refused(403, 'suspended'));
    desk.github.owners.suspend(desk.app.installationId, false);
    await expect(last?.rest.repos.get(repo)).resolves.toMatchObject({ status: 200 });
    desk.github.advance(3_600_001);
    await expect(hour?.rest.repos.get(repo)).rejects.toEqual(refused(401, 'Bad credentials'));
    desk.github.advance(-3_600_001);
    desk.github.owners.uninstall(desk.app.installationId);
    await expect(last?.rest.repos.get(repo)).rejects.toEqual(refused(401, 'Bad credentials'));
  });

  test('rights on pull requests do not reach issues; a right taken away is gone at the next token', async () => {
    const issue = await (await actAs(desk, desk.app)).rest.issues.create({ ...repo, title: 'an issue' });
    const octokit = withToken(desk, (await tokenFor({ permissions: { pull_requests: 'write' } })).token);
    const onIssue = octokit.rest.issues.createComment({ ...repo, issue_number: issue.data.number, body: 'hello' });
    await expect(onIssue).rejects.toEqual(refused(403, 'not accessible'));
    await desk.people.commit('acme/api', 'feature', { files: { x: 'y' } });
    const pull = await desk.people.openPullRequest('acme/api', { title: 'x', head: 'feature' });
    await expect(octokit.rest.issues.createComment({ ...repo, issue_number: pull.number, body: 'hello' })).resolves.toMatchObject({
      status: 201,
    });
    desk.github.owners.setPermissions(desk.app.installationId, { contents: 'read' });
    const narrowed = withToken(desk, (await tokenFor({})).token);
    await expect(narrowed.rest.pulls.list(repo)).rejects.toEqual(refused(403, 'not accessible'));
  });

  test('are long and hold dots, as GitHub’s since 2026, and come anew each time', async () => {
    const [one, other] = [(await tokenFor({})).token, (await tokenFor({})).token];
    expect(one).toMatch(new RegExp(`^ghs_${desk.app.appId}_[\\w-]+\\.[\\w-]+\\.[\\w-]+$`));
    expect(one).not.toBe(other);
    await expect(withToken(desk, `${one}x`).rest.repos.get(repo)).rejects.toEqual(refused(401, 'Bad credentials'));
  });
});

describe('people and nobody', () => {
  test('a person reads what they may, writes what they may, and never a check', async () => {
    desk.people.addCollaborator('acme/api', 'mona', 'read');
    desk.people.createUser('eve');
    const [mona, eve] = [withToken(desk, desk.people.userToken('mona')), withToken(desk, desk.people.userToken('eve'))];
    await expect(eve.rest.repos.get(repo)).rejects.toEqual(refused(404, 'Not Found'));
    await expect(mona.rest.repos.get(repo)).resolves.toMatchObject({ status: 200 });
    const sha = (await desk.people.tip('acme/api', 'main')) ?? '';
    await expect(mona.rest.repos.createDeployment({ ...repo, ref: sha })).rejects.toEqual(refused(403, 'push access'));
    await expect(mona.rest.checks.create({ ...repo, name: 'x', head_sha: sha })).rejects.toEqual(refused(403, 'GitHub App'));
    await expect(mona.rest.issues.create({ ...repo, title: 'hello' })).resolves.toMatchObject({ data: { user: { login: 'mona' } } });
  });

  test('nobody sees public repositories only, and writes nothing', async () => {
    await desk.people.createRepository({ owner: 'acme', name: 'open', private: false, files: { a: 'b' } });
    const nobody = await fetch(`${desk.github.apiUrl}/repos/acme/open`, { headers: { 'user-agent': 'test' } });
    expect(nobody.status).toBe(200);
    expect((await fetch(`${desk.github.apiUrl}/repos/acme/api`)).status).toBe(404);
    const post = await fetch(`${desk.github.apiUrl}/repos/acme/open/issues`, { method: 'POST', body: '{"title":"x"}' });
    expect(post.status).toBe(401);
  });

  test("a collaborator's role is shown as GitHub folds it", async () => {
    const octokit = await actAs(desk, desk.app);
    for (const role of ['read', 'triage', 'write', 'maintain', 'admin'] as const)
      desk.people.addCollaborator('acme/api', `is-${role}`, role);
    desk.people.createUser('stranger');
    const shown = await Promise.all(
      ['read', 'triage', 'write', 'maintain', 'admin'].map(
        async (role) => (await octokit.rest.repos.getCollaboratorPermissionLevel({ ...repo, username: `is-${role}` })).data,
      ),
    );
    expect(shown.map((one) => [one.permission, one.role_name])).toEqual([
      ['read', 'read'],
      ['read', 'triage'],
      ['write', 'write'],
      ['write', 'maintain'],
      ['admin', 'admin'],
    ]);
    const level = (username: string) => octokit.rest.repos.getCollaboratorPermissionLevel({ ...repo, username });
    expect((await level('stranger')).data.permission).toBe('none');
    expect((await level('acme')).data.permission).toBe('admin');
    desk.people.removeCollaborator('acme/api', 'is-admin');
    expect((await level('is-admin')).data.permission).toBe('none');
    await expect(level('nobody-at-all')).rejects.toEqual(refused(404, 'Not Found'));
  });

  test("a workflow's token holds its job's permissions for its repository", async () => {
    await desk.people.createRepository({ owner: 'acme', name: 'web', files: { a: 'b' } });
    const octokit = withToken(desk, await desk.github.owners.workflowToken('acme/web', { contents: 'read' }));
    await expect(octokit.rest.repos.getContent({ owner: 'acme', repo: 'web', path: 'a' })).resolves.toMatchObject({ status: 200 });
    await expect(octokit.rest.pulls.list({ owner: 'acme', repo: 'web' })).rejects.toEqual(refused(403, 'not accessible'));
    await expect(octokit.rest.repos.get(repo)).rejects.toEqual(refused(404, 'Not Found'));
  });
});

describe('what GitHub would not answer', () => {
  test('an operation that is not in the list, an unknown parameter, unparsable JSON: refused, the first two recorded', async () => {
    const octokit = await actAs(desk, desk.app);
    await expect(octokit.request('GET /repos/{owner}/{repo}/topics', repo)).rejects.toEqual(refused(404, 'Not Found'));
    const wrong = octokit.request('POST /repos/{owner}/{repo}/issues', { ...repo, title: 'x', labells: [] } as never);
    await expect(wrong).rejects.toEqual(refused(422, 'labells'));
    expect(desk.github.violations.map((one) => one.operation)).toEqual([
      'GET /api/v3/repos/acme/api/topics',
      'POST /repos/{owner}/{repo}/issues',
    ]);
    const { token } = await tokenFor({});
    const broken = await fetch(`${desk.github.apiUrl}/repos/acme/api/issues`, {
      method: 'POST',
      body: '{"title":',
      headers: { authorization: `Bearer ${token}` },
    });
    expect([broken.status, await broken.json()]).toEqual([400, expect.objectContaining({ message: 'Problems parsing JSON' })]);
  });

  test('other media types are refused rather than answered wrongly', async () => {
    const octokit = await actAs(desk, desk.app);
    const raw = octokit.rest.repos.getContent({ ...repo, path: 'README.md', mediaType: { format: 'raw' } });
    await expect(raw).rejects.toEqual(refused(415, 'raw'));
  });

  test('the log of requests says who, what and how it ended', async () => {
    const octokit = await actAs(desk, desk.app);
    await octokit.rest.pulls.list(repo);
    expect(desk.github.requests.map(({ operation, status, actor }) => [operation, status, actor])).toEqual([
      ['POST /app/installations/{installation_id}/access_tokens', 201, 'app plumbline'],
      ['GET /repos/{owner}/{repo}/pulls', 200, `installation ${desk.app.installationId}`],
    ]);
  });
});
