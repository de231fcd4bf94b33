import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { PlumblineError } from '../../src/error.ts';
import { type CheckedProject, type CheckRequest, checkPullRequest } from '../../src/flow/check.ts';
import { openClone } from '../../src/git.ts';
import { connectGitHub, type Repository } from '../../src/github.ts';
import { render, renderInProcess } from '../../src/render/render.ts';
import { type GitHub, startGitHub } from '../support/github/github.ts';

const configMap = (name: string, colour: string): string =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}}\ndata:\n  colour: ${colour}\n`;
const full = 'acme/api';
const project: CheckedProject = { namespace: 'api', name: 'api', path: 'k8s', manifestType: 'detect', recurse: true };

jest.setTimeout(60_000);
let github: GitHub;
let repository: Repository;
let scratch: string;
let branches = 0;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'plumbline-check-'));
  github = await startGitHub();
  await github.people.createRepository({
    owner: 'acme',
    name: 'api',
    files: { 'k8s/settings.yaml': configMap('settings', 'blue'), 'docs/a.md': 'a' },
  });
  const app = await github.owners.registerApp({
    permissions: { metadata: 'read', contents: 'read', pull_requests: 'write', issues: 'write', checks: 'write' },
    events: [],
  });
  const { installationId } = github.owners.installApp(app.appId, [full]);
  const door = connectGitHub({ apiUrl: github.apiUrl, appId: app.appId, privateKey: app.privateKey });
  repository = await door.repositoryById(installationId, github.people.repository(full).id);
});

afterAll(async () => {
  expect(github.violations).toEqual([]);
  await github.stop();
  await rm(scratch, { recursive: true, force: true });
});

async function openPull(files: Record<string, string | null>, more: { base?: string; from?: string } = {}) {
  branches += 1;
  const head = `branch-${branches}`;
  const sha = await github.people.commit(full, head, { files, ...(more.from ? { from: more.from } : {}) });
  const { number } = await github.people.openPullRequest(full, { title: head, head, ...(more.base ? { base: more.base } : {}) });
  return { number, head, sha };
}

function request(number: number, more: Partial<CheckRequest> = {}): CheckRequest {
  const clone: CheckRequest['clone'] = async (remote) => openClone(remote, await mkdtemp(join(scratch, 'clone-')));
  return { repository, number, projects: [project], clone, render: renderInProcess, ...more };
}

function checksOf(sha: string) {
  return github.people.repository(full).runs.filter((run) => run.headSha === sha);
}

describe('an open pull request', () => {
  test('gets one check that says what its merge changes, on the lines that set it', async () => {
    const { number, sha } = await openPull({ 'k8s/settings.yaml': configMap('settings', 'green') });
    expect(await checkPullRequest(request(number))).toMatchObject({ result: 'completed', headSha: sha, conclusion: 'success' });
    const [run, ...others] = checksOf(sha);
    expect(others).toEqual([]);
    expect(run).toMatchObject({ name: 'plumbline', status: 'completed', conclusion: 'success', output: { title: '1 changed' } });
    expect(run?.output.text).toContain('-  colour: blue\n+  colour: green');
    expect(run?.annotations).toMatchObject([{ path: 'k8s/settings.yaml', start_line: 5, annotation_level: 'notice' }]);
  });

  test('shows its own changes only when its base has moved on since it was cut', async () => {
    const { number, sha } = await openPull({ 'k8s/mine.yaml': configMap('mine', 'red') });
    await github.people.commit(full, 'main', { files: { 'k8s/theirs.yaml': configMap('theirs', 'grey') } });
    await checkPullRequest(request(number));
    expect(checksOf(sha)[0]?.output.title).toBe('1 added');
    expect(checksOf(sha)[0]?.output.text).not.toContain('theirs');
  });

  test('that touches no project succeeds and says so; so does one whose base no project tracks', async () => {
    const docs = await openPull({ 'docs/a.md': 'b' });
    await checkPullRequest(request(docs.number));
    expect(checksOf(docs.sha)[0]).toMatchObject({ conclusion: 'success', output: { title: 'success: no project is affected' } });
    const other = await openPull({ 'k8s/settings.yaml': configMap('settings', 'pink') });
    await checkPullRequest(request(other.number, { projects: [{ ...project, revision: 'production' }] }));
    expect(checksOf(other.sha)[0]).toMatchObject({ conclusion: 'success', output: { title: 'success: no project is affected' } });
  });

  test('cannot be made green by a second one that brings the same head to a branch that no project tracks', async () => {
    const { number, head, sha } = await openPull({ 'k8s/broken.yaml': 'a: [\n' });
    await checkPullRequest(request(number));
    await github.people.commit(full, 'untracked', { files: { 'docs/a.md': 'u' }, from: 'main' });
    const second = await github.people.openPullRequest(full, { title: 'the same', head, base: 'untracked' });
    expect(await checkPullRequest(request(second.number))).toMatchObject({ conclusion: 'failure' });
    const run = checksOf(sha).at(-1);
    expect(run?.output.title).toMatch(/^into main: 1 error: /);
    expect(run?.output.summary).toContain(`### #${number} into \`main\``);
    expect(run?.output.summary).toContain(`### #${second.number} into \`untracked\`\n\nsuccess: no project is affected`);
    await github.people.closePullRequest(full, number);
    expect(await checkPullRequest(request(number))).toEqual({ result: 'closed' });
    expect(await checkPullRequest(request(second.number))).toMatchObject({ conclusion: 'success' });
    expect(checksOf(sha).at(-1)).toMatchObject({ conclusion: 'success', output: { title: 'success: no project is affected' } });
  });

  test('is completed without its annotations when GitHub refuses those, and says so', async () => {
    const { number, sha } = await openPull({ 'k8s/broken.yaml': 'a: [\n' });
    const operation = 'PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}';
    const undo = github.faults.add({ operation, status: 422, times: 1 });
    expect(await checkPullRequest(request(number))).toMatchObject({ result: 'completed', conclusion: 'failure' });
    undo();
    const [run] = checksOf(sha);
    expect(run).toMatchObject({ status: 'completed', conclusion: 'failure', annotations: [] });
    expect(run?.output.summary).toContain('1 annotations were refused by GitHub');
    expect(run?.output.summary).toContain('k8s/broken.yaml');
  });

  test('in conflict fails and names the files', async () => {
    const { number, sha } = await openPull({ 'k8s/clash.yaml': configMap('clash', 'left') });
    await github.people.commit(full, 'main', { files: { 'k8s/clash.yaml': configMap('clash', 'right') } });
    expect(await checkPullRequest(request(number))).toMatchObject({ conclusion: 'failure' });
    expect(checksOf(sha)[0]).toMatchObject({ conclusion: 'failure', output: { title: 'cannot be merged: k8s/clash.yaml' } });
  });

  test('with a manifest that cannot be read fails on its line, also in a folder that is new', async () => {
    const { number, sha } = await openPull({
      'new/a.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: A_b\n',
      'k8s/b.yaml': 'a: [\n',
    });
    await checkPullRequest(request(number, { projects: [project, { ...project, name: 'new', path: 'new' }] }));
    const [run] = checksOf(sha);
    expect(run).toMatchObject({ conclusion: 'failure', output: { title: '2 errors in the manifests' } });
    expect(run?.annotations).toMatchObject([
      { path: 'k8s/b.yaml', start_line: 2, annotation_level: 'failure' },
      { path: 'new/a.yaml', start_line: 4, annotation_level: 'failure' },
    ]);
  });

  test('with a typo does not claim that what stood in the file is removed', async () => {
    const { number, sha } = await openPull({ 'k8s/settings.yaml': 'a: [\n' });
    await checkPullRequest(request(number));
    const [run] = checksOf(sha);
    expect(run).toMatchObject({ conclusion: 'failure' });
    expect(JSON.stringify(run?.output)).not.toContain('removed** ');
    expect(run?.output.summary).not.toContain('is removed');
    expect(run?.output.summary).toContain('holds only what could be read');
  });

  test('that removes every manifest fails: nothing is no wish', async () => {
    const all = ['k8s/settings.yaml', 'k8s/theirs.yaml', 'k8s/clash.yaml'];
    const { number, sha } = await openPull(Object.fromEntries(all.map((path) => [path, null])));
    await checkPullRequest(request(number));
    expect(checksOf(sha)[0]).toMatchObject({ conclusion: 'failure' });
    expect(checksOf(sha)[0]?.output.summary).toContain('NO_MANIFESTS');
  });

  test('uses the check that the App opened, also under the name of a cluster', async () => {
    const { number, sha } = await openPull({ 'k8s/settings.yaml': configMap('settings', 'violet') });
    const opened = await repository.openCheck('plumbline (prod-eu)', sha, {
      status: 'queued',
      title: 'queued',
      summary: 'queued',
      annotations: [],
    });
    expect(await checkPullRequest(request(number, { settings: { cluster: 'prod-eu' } }))).toMatchObject({ checkId: opened.id });
    expect(checksOf(sha)).toMatchObject([{ id: opened.id, name: 'plumbline (prod-eu)', status: 'completed' }]);
  });
});

describe('whatever happens in between', () => {
  test.each([
    [
      'rendering throws',
      { render: () => Promise.reject(new PlumblineError('RENDER_FAILED', 'it went away', { retry: 'later' })) },
      'it went away',
    ],
    ['the clone cannot be opened', { clone: () => Promise.reject(new Error('no space left')) }, 'no space left'],
    ['something throws no error at all', { clone: () => Promise.reject('just text') }, 'just text'],
  ] as [string, Partial<CheckRequest>, string][])('%s: the check is completed as a failure that says it', async (_, broken, words) => {
    const { number, sha } = await openPull({ 'k8s/settings.yaml': configMap('settings', `c${branches}`) });
    expect(await checkPullRequest(request(number, broken))).toMatchObject({ result: 'completed', conclusion: 'failure' });
    expect(checksOf(sha)).toMatchObject([{ status: 'completed', conclusion: 'failure', output: { title: words } }]);
  });

  test('a fault of Git is in the check, without the token', async () => {
    const { number, sha } = await openPull({ 'k8s/settings.yaml': configMap('settings', 'brown') });
    const heal = github.faults.add({ operation: 'git', status: 503 });
    const outcome = await checkPullRequest(request(number));
    heal();
    expect(outcome).toMatchObject({ conclusion: 'failure', fault: { code: 'GIT_UNREACHABLE', retry: 'later' } });
    expect(JSON.stringify(checksOf(sha)[0]?.output)).not.toMatch(/ghs_[A-Za-z0-9]|eyJ/);
  });

  test('a push while it renders: the new head gets its check in the same run', async () => {
    const { number, head, sha } = await openPull({ 'k8s/settings.yaml': configMap('settings', 'first') });
    let second = '';
    const renderOnce: CheckRequest['render'] = async (wanted) => {
      if (second === '')
        second = await github.people.commit(full, head, { files: { 'k8s/settings.yaml': configMap('settings', 'second') } });
      return render(wanted);
    };
    expect(await checkPullRequest(request(number, { render: renderOnce }))).toMatchObject({ headSha: second });
    expect(checksOf(sha)).toMatchObject([{ status: 'completed' }]);
    expect(checksOf(second)).toMatchObject([{ status: 'completed', conclusion: 'success' }]);
    expect(checksOf(second)[0]?.output.text).toContain('second');
  });

  test.each([
    ['closed', async (number: number) => github.people.closePullRequest(full, number)],
    ['merged', async (number: number) => github.people.mergePullRequest(full, number)],
  ])('one that is %s before anybody looked leaves no check that waits for ever', async (word, end) => {
    const { number, sha } = await openPull({ [`docs/${word}.md`]: 'x' });
    await repository.openCheck('plumbline', sha, { status: 'queued', title: 'queued', summary: 'queued', annotations: [] });
    await end(number);
    expect(await checkPullRequest(request(number))).toEqual({ result: 'closed' });
    expect(checksOf(sha)).toMatchObject([
      { status: 'completed', conclusion: 'cancelled', output: { title: `${word} before it was compared` } },
    ]);
  });

  test('a closed or vanished pull request gets nothing', async () => {
    const { number, sha } = await openPull({ 'k8s/settings.yaml': configMap('settings', 'gold') });
    await github.people.closePullRequest(full, number);
    expect(await checkPullRequest(request(number))).toEqual({ result: 'closed' });
    expect(await checkPullRequest(request(9_999))).toEqual({ result: 'closed' });
    expect(checksOf(sha)).toEqual([]);
  });
});
