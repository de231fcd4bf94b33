import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { Octokit } from '@octokit/rest';
import { git } from '../support/github/git.ts';
import { actAs, type Desk, openDesk, withToken } from './desk.ts';

jest.setTimeout(60_000);
let desk: Desk;
let octokit: Octokit;
beforeEach(async () => {
  desk = await openDesk();
  octokit = await actAs(desk, desk.app);
});
afterEach(async () => {
  await desk.close();
  expect(desk.github.violations).toEqual([]);
});

const repo = { owner: 'acme', repo: 'api' };
const get = async (pull_number: number) => (await octokit.rest.pulls.get({ ...repo, pull_number })).data;
const message = async (sha: string) => (await octokit.rest.repos.getCommit({ ...repo, ref: sha })).data;

async function pullWith(branch: string, files: Record<string, string | null>) {
  await desk.people.commit('acme/api', branch, { files, message: `work on ${branch}` });
  return (await desk.people.openPullRequest('acme/api', { title: `About ${branch}`, head: branch })).number;
}

describe('merging', () => {
  test('merge makes a commit of two parents, squash of one, rebase replays; all bring the same tree', async () => {
    const [merge, squash, rebase] = [await pullWith('a', { a: '1' }), await pullWith('b', { b: '2' }), await pullWith('c', { c: '3' })];
    await desk.people.commit('acme/api', 'c', { files: { c2: '4' }, message: 'more on c' });
    const tips = [];
    for (const [number, method] of [
      [merge, 'merge'],
      [squash, 'squash'],
      [rebase, 'rebase'],
    ] as const) {
      const before = await desk.people.tip('acme/api', 'main');
      const sha = await desk.people.mergePullRequest('acme/api', number, method);
      expect(await get(number)).toMatchObject({ merged: true, state: 'closed', merge_commit_sha: sha, merged_by: { login: 'acme' } });
      tips.push({ before, ...(await message(sha)) });
    }
    expect(tips.map(({ commit }) => commit.message)).toEqual([
      'Merge pull request #1 from acme/a\n\nAbout a',
      'About b (#2)\n\n* work on b',
      'more on c',
    ]);
    expect(tips.map(({ parents }) => parents.length)).toEqual([2, 1, 1]);
    expect(tips[1]?.parents[0]?.sha).toBe(tips[1]?.before);
    const { data: files } = await octokit.rest.repos.getContent({ ...repo, path: '' });
    expect((files as { name: string }[]).map(({ name }) => name)).toEqual(['README.md', 'a', 'b', 'c', 'c2', 'k8s']);
  });

  test('a conflict: mergeable is unknown at first, then false; merging is refused and changes nothing', async () => {
    const number = await pullWith('a', { 'README.md': 'theirs' });
    expect(await get(number)).toMatchObject({ mergeable: null, mergeable_state: 'unknown' });
    expect(await get(number)).toMatchObject({ mergeable: true, mergeable_state: 'clean' });
    const tip = await desk.people.commit('acme/api', 'main', { files: { 'README.md': 'ours' } });
    expect((await get(number)).mergeable).toBeNull();
    expect(await get(number)).toMatchObject({ mergeable: false, mergeable_state: 'dirty' });
    await expect(desk.people.mergePullRequest('acme/api', number, 'squash')).rejects.toMatchObject({ status: 405 });
    await expect(desk.people.mergePullRequest('acme/api', number, 'rebase')).rejects.toMatchObject({ status: 405 });
    expect(await desk.people.tip('acme/api', 'main')).toBe(tip);
    expect((await get(number)).state).toBe('open');
  });

  test('through REST: a moved head is 409, a person may, and the App without contents: write may not', async () => {
    const number = await pullWith('a', { a: '1' });
    const merge = { ...repo, pull_number: number };
    await expect(octokit.rest.pulls.merge(merge)).rejects.toMatchObject({ status: 403 });
    const person = withToken(desk, desk.people.userToken('acme'));
    await expect(person.rest.pulls.merge({ ...merge, sha: 'b'.repeat(40) })).rejects.toMatchObject({ status: 409 });
    const { data } = await person.rest.pulls.merge({ ...merge, merge_method: 'squash', commit_title: 'My title' });
    expect((await message(data.sha)).commit.message).toContain('My title');
    await expect(person.rest.pulls.merge(merge)).rejects.toMatchObject({ status: 405 });
  });
});

describe('stale on purpose, as on GitHub', () => {
  test('base.sha and the test merge are those of the last push to the pull request', async () => {
    const number = await pullWith('a', { a: '1' });
    const opened = await get(number);
    const { directory } = desk.people.repository('acme/api');
    const testMerge = async () => (await git(directory, ['rev-parse', `refs/pull/${number}/merge`])).text.trim();
    expect(opened.merge_commit_sha).toBe(await testMerge());
    const moved = await desk.people.commit('acme/api', 'main', { files: { other: 'x' } });
    expect(await get(number)).toMatchObject({ base: { sha: opened.base.sha }, merge_commit_sha: opened.merge_commit_sha });
    await desk.people.commit('acme/api', 'a', { files: { a: '2' } });
    const pushed = await get(number);
    expect(pushed.base.sha).toBe(moved);
    expect(pushed.merge_commit_sha).not.toBe(opened.merge_commit_sha);
    expect(pushed.merge_commit_sha).toBe(await testMerge());
  });
});

describe('lists', () => {
  test('by state, base and head; sorted by update, the newest first; what is closed moves to the top', async () => {
    const [a, b, c] = [await pullWith('a', { a: '1' }), await pullWith('b', { b: '2' }), await pullWith('c', { c: '3' })];
    desk.people.comment('acme/api', b, 'hello');
    await desk.people.closePullRequest('acme/api', a);
    const listed = async (more: object) => (await octokit.rest.pulls.list({ ...repo, ...more })).data.map(({ number }) => number);
    expect(await listed({ state: 'all', sort: 'updated', direction: 'desc', per_page: 100 })).toEqual([a, b, c]);
    expect(await listed({})).toEqual([c, b]);
    expect(await listed({ state: 'closed' })).toEqual([a]);
    expect(await listed({ head: 'acme:b' })).toEqual([b]);
    expect(await listed({ base: 'other' })).toEqual([]);
  });

  test('files with their kind of change and patch, commits in order', async () => {
    const number = await pullWith('a', { 'k8s/web.yaml': 'kind: A\nspec: {}\n', 'README.md': null, new: 'x\n' });
    await desk.people.commit('acme/api', 'a', { files: { new: 'x\ny\n' }, message: 'second' });
    const { data: files } = await octokit.rest.pulls.listFiles({ ...repo, pull_number: number });
    expect(files.map((one) => [one.filename, one.status, one.additions, one.deletions])).toEqual([
      ['README.md', 'removed', 0, 1],
      ['k8s/web.yaml', 'modified', 1, 0],
      ['new', 'added', 2, 0],
    ]);
    expect(files[1]?.patch).toBe('@@ -1 +1,2 @@\n kind: A\n+spec: {}');
    const { data: commits } = await octokit.rest.pulls.listCommits({ ...repo, pull_number: number });
    expect(commits.map(({ commit }) => commit.message)).toEqual(['work on a', 'second']);
    expect(await get(number)).toMatchObject({ commits: 2, additions: 3, deletions: 1, changed_files: 3 });
    const sha = await desk.people.mergePullRequest('acme/api', number, 'squash');
    const { data: of } = await octokit.rest.repos.listPullRequestsAssociatedWithCommit({ ...repo, commit_sha: sha });
    expect(of.map((one) => one.number)).toEqual([number]);
  });
});

describe('opening and editing through REST', () => {
  test('one per head and base; nothing to merge, unknown branches: 422', async () => {
    await desk.people.commit('acme/api', 'a', { files: { a: '1' } });
    const create = (more: object) => octokit.rest.pulls.create({ ...repo, title: 't', head: 'a', base: 'main', ...more });
    const { data } = await create({ draft: true, body: 'why' });
    expect(data).toMatchObject({ draft: true, body: 'why', user: { login: 'plumbline[bot]', type: 'Bot' }, mergeable_state: 'draft' });
    await expect(create({})).rejects.toThrow('already exists for acme:a');
    await expect(create({ head: 'none' })).rejects.toMatchObject({ status: 422 });
    await expect(create({ base: 'none' })).rejects.toMatchObject({ status: 422 });
    await expect(create({ head: 'main' })).rejects.toThrow('No commits between main and main');
    const update = (more: object) => octokit.rest.pulls.update({ ...repo, pull_number: data.number, ...more });
    expect((await update({ title: 'new', state: 'closed' })).data).toMatchObject({ title: 'new', state: 'closed' });
    expect((await update({ state: 'open' })).data).toMatchObject({ state: 'open', closed_at: null });
    await expect(update({ base: 'none' })).rejects.toThrow('base branch was not found');
  });

  test('a branch that is deleted closes its pull request, which opens again only with the branch', async () => {
    const number = await pullWith('a', { a: '1' });
    await desk.people.deleteBranch('acme/api', 'a');
    expect((await get(number)).state).toBe('closed');
    const reopen = () => octokit.rest.pulls.update({ ...repo, pull_number: number, state: 'open' });
    await expect(reopen()).rejects.toMatchObject({ status: 422 });
    const sha = await desk.people.commit('acme/api', 'a', { files: { a: '2' } });
    expect((await reopen()).data).toMatchObject({ state: 'open', head: { sha } });
  });
});

describe('forks', () => {
  test('a pull request from a fork: its head repository is another, its commits are reachable here, its pushes follow', async () => {
    await desk.people.fork('acme/api', 'mona');
    await desk.people.commit('mona/api', 'idea', { files: { idea: '1' }, author: 'mona' });
    const { number } = await desk.people.openPullRequest('acme/api', { title: 'Idea', head: 'mona:idea', author: 'mona' });
    const first = await get(number);
    expect(first).toMatchObject({
      head: { label: 'mona:idea', repo: { full_name: 'mona/api', fork: true } },
      base: { repo: { full_name: 'acme/api' } },
    });
    const sha = await desk.people.commit('mona/api', 'idea', { files: { idea: '2' }, author: 'mona' });
    expect((await get(number)).head.sha).toBe(sha);
    expect((await message(sha)).author?.login).toBe('mona');
    const { data: run } = await octokit.rest.checks.create({ ...repo, name: 'plumbline', head_sha: sha });
    expect(run.pull_requests).toEqual([]);
    await expect(octokit.rest.repos.get({ owner: 'mona', repo: 'api' })).rejects.toMatchObject({ status: 404 });
    await desk.github.deliveriesSettled();
    const events = desk.receiver.received.filter(({ event }) => event === 'pull_request').map(({ payload }) => payload['action']);
    expect(events).toEqual(['opened', 'synchronize']);
  });

  test('once the fork is deleted, head.repo is null and everything else still answers', async () => {
    await desk.people.fork('acme/api', 'mona');
    await desk.people.commit('mona/api', 'idea', { files: { idea: '1' }, author: 'mona' });
    const { number } = await desk.people.openPullRequest('acme/api', { title: 'Idea', head: 'mona:idea', author: 'mona' });
    await desk.github.owners.deleteRepository('mona/api');
    const { data } = await octokit.rest.pulls.list(repo);
    expect(data.map((one) => [one.number, one.head.repo, one.head.label])).toEqual([[number, null, 'mona:idea']]);
    await desk.people.mergePullRequest('acme/api', number);
    expect(await get(number)).toMatchObject({ merged: true, head: { repo: null } });
  });
});
