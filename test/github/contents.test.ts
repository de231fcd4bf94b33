import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { Octokit } from '@octokit/rest';
import { actAs, type Desk, openDesk, withToken } from './desk.ts';

jest.setTimeout(60_000);
let desk: Desk;
let octokit: Octokit;
let main: string;
beforeEach(async () => {
  desk = await openDesk();
  octokit = await actAs(desk, desk.app);
  main = (await desk.people.tip('acme/api', 'main')) ?? '';
});
afterEach(async () => {
  await desk.close();
  expect(desk.github.violations).toEqual([]);
});

const repo = { owner: 'acme', repo: 'api' };

describe('deployments', () => {
  const deploy = (more: object = {}) =>
    octokit.rest.repos.createDeployment({ ...repo, ref: main, environment: 'staging', auto_merge: false, required_contexts: [], ...more });
  const status = (deployment_id: number, state: 'success' | 'inactive' | 'failure', more: object = {}) =>
    octokit.rest.repos.createDeploymentStatus({ ...repo, deployment_id, state, ...more });
  const states = async (deployment_id: number) =>
    (await octokit.rest.repos.listDeploymentStatuses({ ...repo, deployment_id })).data.map(({ state }) => state);
  const idOf = async (more: object = {}) => ((await deploy(more)).data as { id: number }).id;

  test("a success makes the environment's earlier successes inactive, unless told not to; others stay", async () => {
    const [one, failed, transient] = [await idOf(), await idOf(), await idOf({ transient_environment: true })];
    const production = await idOf({ environment: 'production' });
    for (const id of [one, transient, production]) await status(id, 'success', { auto_inactive: false });
    await status(failed, 'failure');
    const two = await idOf();
    await status(two, 'success', { auto_inactive: false });
    expect(await states(one)).toEqual(['success']);
    await status(await idOf(), 'success');
    expect([await states(one), await states(two), await states(failed), await states(transient), await states(production)]).toEqual([
      ['inactive', 'success'],
      ['inactive', 'success'],
      ['failure'],
      ['success'],
      ['success'],
    ]);
  });

  test('are listed newest first, by environment, task, ref and sha; production is what is called so', async () => {
    const [a, b] = [
      await idOf({ task: 'preview:1', payload: { digest: 'x' } }),
      await idOf({ environment: 'production', description: 'd' }),
    ];
    const ids = async (more: object) => (await octokit.rest.repos.listDeployments({ ...repo, ...more })).data.map(({ id }) => id);
    expect([
      await ids({}),
      await ids({ environment: 'staging' }),
      await ids({ task: 'preview:1' }),
      await ids({ sha: 'f'.repeat(40) }),
    ]).toEqual([[b, a], [a], [a], []]);
    const { data } = await octokit.rest.repos.getDeployment({ ...repo, deployment_id: b });
    expect(data).toMatchObject({
      production_environment: true,
      transient_environment: false,
      sha: main,
      creator: { login: 'plumbline[bot]' },
    });
    expect((await octokit.rest.repos.getDeployment({ ...repo, deployment_id: a })).data).toMatchObject({
      payload: { digest: 'x' },
      production_environment: false,
    });
  });

  test('checks that are not green stop one that names none or all; a stale branch stops one that would merge', async () => {
    await octokit.rest.checks.create({ ...repo, name: 'ci', head_sha: main });
    await expect(deploy({ required_contexts: undefined })).rejects.toMatchObject({ status: 409 });
    await expect(deploy({ required_contexts: ['ci'] })).rejects.toMatchObject({ status: 409 });
    await desk.people.commit('acme/api', 'old', { files: { a: '1' } });
    await desk.people.commit('acme/api', 'main', { files: { b: '2' } });
    await expect(deploy({ ref: 'old', auto_merge: undefined })).rejects.toMatchObject({ status: 409 });
    expect((await deploy({ ref: 'old' })).status).toBe(201);
    await expect(deploy({ ref: 'none' })).rejects.toMatchObject({ status: 422 });
  });

  test('an active one is not deleted while there are others, an inactive one is', async () => {
    const [one] = [await idOf(), await idOf()];
    await status(one, 'success');
    const remove = () => octokit.rest.repos.deleteDeployment({ ...repo, deployment_id: one });
    await expect(remove()).rejects.toMatchObject({ status: 422 });
    await status(one, 'inactive');
    expect((await remove()).status).toBe(204);
    await expect(octokit.rest.repos.getDeployment({ ...repo, deployment_id: one })).rejects.toMatchObject({ status: 404 });
  });
});

describe('what lies in the repository', () => {
  test('contents: files, folders, links; what is missing is 404; over a megabyte without content', async () => {
    await desk.people.commit('acme/api', 'main', { files: { link: { symlink: 'README.md' }, large: 'x'.repeat(1024 * 1024 + 1) } });
    const read = async (path: string, more: object = {}) =>
      (await octokit.rest.repos.getContent({ ...repo, path, ...more })).data as Record<string, unknown>;
    const file = await read('k8s/web.yaml');
    expect(file).toMatchObject({ type: 'file', encoding: 'base64', size: 8, name: 'web.yaml' });
    expect(Buffer.from(String(file['content']), 'base64').toString()).toBe('kind: A\n');
    expect(await read('link')).toMatchObject({ type: 'symlink', target: 'README.md' });
    expect(await read('large')).toMatchObject({ encoding: 'none', content: '' });
    expect(await read('k8s')).toEqual([expect.objectContaining({ type: 'file', path: 'k8s/web.yaml' })]);
    await expect(read('none')).rejects.toMatchObject({ status: 404 });
    await expect(read('link', { ref: main })).rejects.toMatchObject({ status: 404 });
    await expect(read('link', { ref: 'none' })).rejects.toMatchObject({ status: 404 });
  });

  test('commits, branches and how two compare', async () => {
    const head = await desk.people.commit('acme/api', 'feature/x', { files: { a: '1\n' }, message: 'on the branch' });
    const tip = await desk.people.commit('acme/api', 'main', { files: { b: '2\n' }, message: 'on main' });
    expect((await octokit.rest.repos.listBranches(repo)).data.map(({ name, commit }) => [name, commit.sha])).toEqual([
      ['feature/x', head],
      ['main', tip],
    ]);
    expect((await octokit.rest.repos.getBranch({ ...repo, branch: 'feature/x' })).data.commit.sha).toBe(head);
    await expect(octokit.rest.repos.getBranch({ ...repo, branch: 'none' })).rejects.toMatchObject({ status: 404 });
    const { data } = await octokit.rest.repos.compareCommitsWithBasehead({ ...repo, basehead: `main...${head}` });
    expect(data).toMatchObject({
      status: 'diverged',
      ahead_by: 1,
      behind_by: 1,
      merge_base_commit: { sha: main },
      base_commit: { sha: tip },
    });
    expect(data.files?.map(({ filename }) => filename)).toEqual(['a']);
    const { data: commits } = await octokit.rest.repos.listCommits({ ...repo, sha: 'feature/x' });
    expect(commits.map(({ commit }) => commit.message)).toEqual(['on the branch', 'first commit']);
    const { data: commit } = await octokit.rest.repos.getCommit({ ...repo, ref: head });
    expect(commit).toMatchObject({
      stats: { additions: 1, deletions: 0, total: 1 },
      files: [{ filename: 'a', status: 'added' }],
      author: { login: 'acme' },
    });
  });

  test('commit statuses: the newest of each context counts', async () => {
    const ci = withToken(desk, await desk.github.owners.workflowToken('acme/api', { statuses: 'write' }));
    const set = (context: string, state: 'pending' | 'success' | 'failure') =>
      ci.rest.repos.createCommitStatus({ ...repo, sha: main, context, state });
    const combined = async () => (await ci.rest.repos.getCombinedStatusForRef({ ...repo, ref: 'main' })).data;
    expect((await combined()).state).toBe('pending');
    await set('build', 'failure');
    await set('lint', 'success');
    expect((await combined()).state).toBe('failure');
    await set('build', 'success');
    expect(await combined()).toMatchObject({ state: 'success', total_count: 2 });
    expect((await ci.rest.repos.listCommitStatusesForRef({ ...repo, ref: main })).data).toHaveLength(3);
    await expect(octokit.rest.repos.getCombinedStatusForRef({ ...repo, ref: 'main' })).rejects.toMatchObject({ status: 403 });
  });
});
