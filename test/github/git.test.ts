import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { actAsApp, type Desk, openDesk, remote, userGit } from './desk.ts';

jest.setTimeout(60_000);
let desk: Desk;
beforeEach(async () => {
  desk = await openDesk();
});
afterEach(() => desk.close());

async function tokenWith(permissions: Record<string, 'read' | 'write'>): Promise<string> {
  const { data } = await actAsApp(desk, desk.app).rest.apps.createInstallationAccessToken({
    installation_id: desk.app.installationId,
    permissions,
  });
  return data.token;
}

const git = (...args: string[]) => userGit(desk.folder, ...args);

describe('who may fetch and push', () => {
  test('contents: read clones and does not push', async () => {
    const url = remote(desk, await tokenWith({ contents: 'read' }));
    expect(await git('clone', '--quiet', url, 'here')).toMatchObject({ code: 0 });
    expect((await readdir(join(desk.folder, 'here'))).sort()).toEqual(['.git', 'README.md', 'k8s']);
    const pushed = await git('-C', 'here', 'push', url, 'HEAD:refs/heads/other');
    expect(pushed).toMatchObject({ code: 128, err: expect.stringContaining('403') });
    // git asks without credentials first, and is told to bring them
    const asked = desk.github.requests.filter((one) => one.operation === 'git').map((one) => `${one.status} ${one.actor}`);
    expect([...new Set(asked)]).toEqual(['401 nobody', ...[200, 403].map((status) => `${status} installation ${desk.app.installationId}`)]);
  });

  test.each([
    ['without contents', () => tokenWith({ issues: 'read' }), '403'],
    ['with an unknown token', async () => 'ghs_none', 'Authentication failed'],
    ['with none', async () => undefined, 'could not read Username'],
  ])('%s nobody clones a private repository', async (_, token, says) => {
    expect(await git('ls-remote', remote(desk, await token()))).toMatchObject({ code: 128, err: expect.stringContaining(says) });
  });

  test('a repository outside the token, or none at all, is not found', async () => {
    await desk.people.createRepository({ owner: 'acme', name: 'secret', files: { a: 'b' } });
    const token = await tokenWith({ contents: 'read' });
    for (const name of ['acme/secret', 'acme/none'])
      expect(await git('ls-remote', remote(desk, token, name))).toMatchObject({ code: 128, err: expect.stringContaining('not found') });
  });

  test('a public repository is read by everybody', async () => {
    await desk.people.createRepository({ owner: 'acme', name: 'open', private: false, files: { a: 'b' } });
    expect((await git('ls-remote', remote(desk, undefined, 'acme/open'))).out).toContain('refs/heads/main');
  });

  test('a renamed repository is reached under its old name', async () => {
    const token = await tokenWith({ contents: 'read' });
    desk.github.owners.renameRepository('acme/api', 'backend');
    expect(await git('ls-remote', remote(desk, token))).toMatchObject({ code: 0, out: expect.stringContaining('refs/heads/main') });
  });
});

describe('as git on GitHub', () => {
  test('a fetch of one commit by its SHA without blobs, protocol 2, then the blobs it needs', async () => {
    const files = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`k8s/${index}.yaml`, `kind: K${index}\n`]));
    const sha = await desk.people.commit('acme/api', 'main', { files });
    const url = remote(desk, await tokenWith({ contents: 'read' }));
    await git('init', '--quiet', '--bare', 'bare');
    await git('-C', 'bare', 'config', 'remote.origin.promisor', 'true');
    await git('-C', 'bare', 'config', 'remote.origin.url', url);
    expect(await git('-C', 'bare', 'fetch', '--quiet', '--depth=1', '--filter=blob:none', 'origin', sha)).toMatchObject({ code: 0 });
    const missing = await git('-C', 'bare', 'rev-list', '--objects', '--missing=print', sha);
    expect(missing.out.split('\n').filter((line) => line.startsWith('?'))).toHaveLength(42);
    expect(await git('-C', 'bare', 'show', `${sha}:k8s/7.yaml`)).toMatchObject({ code: 0, out: 'kind: K7\n' });
  });

  test('pull requests have refs/pull/N/head, which follows, and cannot be pushed to', async () => {
    desk.people.addCollaborator('acme/api', 'mona', 'write');
    const url = remote(desk, desk.people.userToken('mona'));
    await desk.people.commit('acme/api', 'feature', { files: { x: 'one' } });
    const { number } = await desk.people.openPullRequest('acme/api', { title: 'x', head: 'feature' });
    const second = await desk.people.commit('acme/api', 'feature', { files: { x: 'two' } });
    expect((await git('ls-remote', url, `refs/pull/${number}/head`)).out).toBe(`${second}\trefs/pull/${number}/head\n`);
    await git('clone', '--quiet', url, 'here');
    const refused = await git('-C', 'here', 'push', 'origin', `HEAD:refs/pull/${number}/head`);
    expect(refused).toMatchObject({ code: 1, err: expect.stringContaining('deny updating a hidden ref') });
  });

  test("a person's push sets off push and synchronize, with the commits in it", async () => {
    desk.people.addCollaborator('acme/api', 'mona', 'write');
    const url = remote(desk, desk.people.userToken('mona'));
    const before = await desk.people.commit('acme/api', 'feature', { files: { x: 'one' } });
    await desk.people.openPullRequest('acme/api', { title: 'x', head: 'feature' });
    await git('clone', '--quiet', '--branch', 'feature', url, 'here');
    await writeFile(join(desk.folder, 'here', 'x'), 'two');
    await git('-C', 'here', 'commit', '--quiet', '-am', 'second thoughts');
    expect(await git('-C', 'here', 'push', '--quiet', 'origin', 'feature')).toMatchObject({ code: 0 });
    await desk.github.deliveriesSettled();
    const after = await desk.people.tip('acme/api', 'feature');
    const push = desk.receiver.received.filter((one) => one.event === 'push').at(-1)?.payload;
    expect(push).toMatchObject({
      before,
      after,
      ref: 'refs/heads/feature',
      forced: false,
      pusher: { name: 'mona' },
      sender: { login: 'mona' },
    });
    expect(push?.['commits']).toEqual([expect.objectContaining({ id: after, message: 'second thoughts' })]);
    const [pull] = desk.receiver.received.filter((one) => one.payload['action'] === 'synchronize');
    expect(pull?.payload).toMatchObject({ before, after, pull_request: { head: { sha: after } } });
  });

  test('a forced push, a new branch, a deleted branch and tags are told as such; four tags at once are not told', async () => {
    desk.people.addCollaborator('acme/api', 'mona', 'write');
    const url = remote(desk, desk.people.userToken('mona'));
    await git('clone', '--quiet', url, 'here');
    const inside = (...args: string[]) => git('-C', 'here', ...args);
    await inside('commit', '--quiet', '--amend', '-m', 'rewritten');
    await inside('push', '--quiet', '--force', 'origin', 'main');
    await inside('push', '--quiet', 'origin', 'main:extra');
    await inside('push', '--quiet', 'origin', ':extra');
    for (const tag of ['v1', 'v2', 'v3', 'v4', 'v5']) await inside('tag', tag);
    await inside('push', '--quiet', 'origin', 'v1');
    await inside('push', '--quiet', 'origin', 'v2', 'v3', 'v4', 'v5');
    await desk.github.deliveriesSettled();
    const pushes = desk.receiver.received.filter((one) => one.event === 'push').map(({ payload }) => payload);
    const told = pushes.map((one) => [one['ref'], one['forced'], one['created'], one['deleted']].join(' ')).sort();
    expect(told).toEqual([
      'refs/heads/extra false false true',
      'refs/heads/extra false true false',
      'refs/heads/main true false false',
      'refs/tags/v1 false true false',
    ]);
  });

  test('a push that merges a pull request by hand closes it as merged', async () => {
    desk.people.addCollaborator('acme/api', 'mona', 'write');
    await desk.people.commit('acme/api', 'feature', { files: { x: 'one' } });
    const pull = await desk.people.openPullRequest('acme/api', { title: 'x', head: 'feature' });
    await git('clone', '--quiet', remote(desk, desk.people.userToken('mona')), 'here');
    await git('-C', 'here', 'merge', '--quiet', 'origin/feature');
    await git('-C', 'here', 'push', '--quiet', 'origin', 'main');
    await desk.github.deliveriesSettled();
    expect(desk.people.issue('acme/api', pull.number)).toMatchObject({ state: 'closed', pull: { mergedBy: { login: 'mona' } } });
  });

  test('two pushes at once: one wins, the other is told, and both leave a true event', async () => {
    desk.people.addCollaborator('acme/api', 'mona', 'write');
    const url = remote(desk, desk.people.userToken('mona'));
    for (const name of ['one', 'two']) {
      await git('clone', '--quiet', url, name);
      await git('-C', name, 'commit', '--quiet', '--allow-empty', '-m', name);
    }
    const results = await Promise.all(['one', 'two'].map((name) => git('-C', name, 'push', '--quiet', 'origin', 'main')));
    await desk.github.deliveriesSettled();
    expect(results.map(({ code }) => code).sort()).toEqual([0, 1]);
    const pushes = desk.receiver.received.filter((one) => one.event === 'push');
    expect(pushes.map(({ payload }) => payload['after'])).toEqual([await desk.people.tip('acme/api', 'main')]);
  });
});
