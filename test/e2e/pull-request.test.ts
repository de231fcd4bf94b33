import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { startInstallationHere } from '../support/installation.ts';
import { configMap } from '../support/project-world.ts';

let here: Awaited<ReturnType<typeof startInstallationHere>>;
let branches = 0;
let branch = '';
beforeAll(async () => {
  here = await startInstallationHere();
  const files = { 'k8s/settings.yaml': configMap('settings', { colour: 'blue' }), 'README.md': 'hello\n' };
  await here.github.people.createRepository({ owner: 'acme', name: 'api', files });
  here.github.owners.installApp(here.app.appId, ['acme/api']);
  await here.tenant('api');
  await here.project('api', 'api', { source: { repository: 'acme/api', path: 'k8s' } });
  await ticked();
}, 120_000);
beforeEach(() => {
  branch = `change-${++branches}`;
});
afterAll(() => here?.stop());

/** A tick, and all the Jobs that it made. */
async function ticked() {
  await here.tick();
  await here.jobsSettled();
}

const commit = (files: Record<string, string | null>) => here.github.people.commit('acme/api', branch, { files });
const open = () => here.github.people.openPullRequest('acme/api', { title: 'A change', head: branch });
const runsOf = (sha: string) => here.github.people.repository('acme/api').runs.filter((run) => run.headSha === sha);
const settings = async () =>
  JSON.parse(await here.plane.kubectl(['get', 'configmap', 'settings', '-o', 'json'], { namespace: 'api' })).data;

describe('the check of a pull request, by ticks alone', () => {
  test('a push brings a check of its own, and a tick without a push changes none', async () => {
    const first = await commit({ 'k8s/settings.yaml': configMap('settings', { colour: 'green' }) });
    await open();
    await ticked();
    const second = await commit({ 'k8s/more.yaml': configMap('more', { a: '1' }) });
    await ticked();
    expect(runsOf(first)).toHaveLength(1);
    expect(runsOf(second)).toHaveLength(1);
    expect(runsOf(second)[0]).toMatchObject({ status: 'completed', conclusion: 'success', output: { title: '1 changed, 1 added' } });
    // It looks whether the check is completed, once; then all that is left is whether anything moved.
    await ticked();
    const before = here.github.requests.length;
    await ticked();
    const asked = here.github.requests.slice(before).map((one) => `${one.operation} ${one.status}`);
    expect(asked).toEqual(['git 200', 'git 200', 'GET /repos/{owner}/{repo}/pulls 304', 'GET /repos/{owner}/{repo}/issues/comments 304']);
  }, 120_000);

  test('a manifest that is broken in the pull request only fails its check at the line, and the cluster keeps what it has', async () => {
    const head = await commit({
      'k8s/settings.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: "green\n',
    });
    await open();
    await ticked();
    const [run] = runsOf(head);
    expect(run).toMatchObject({ status: 'completed', conclusion: 'failure' });
    expect(run?.annotations).toEqual([expect.objectContaining({ path: 'k8s/settings.yaml', annotation_level: 'failure' })]);
    expect(await settings()).toEqual({ colour: 'blue' });
  }, 120_000);

  test('a conflict with the base names the files', async () => {
    const head = await commit({ 'README.md': 'from the branch\n' });
    await open();
    await here.github.people.commit('acme/api', 'main', { files: { 'README.md': 'from main\n' } });
    await ticked();
    expect(runsOf(head)[0]).toMatchObject({ conclusion: 'failure', output: { title: expect.stringContaining('README.md') } });
  }, 120_000);

  test('what touches no project says so and succeeds', async () => {
    const head = await commit({ 'docs/page.md': 'words\n' });
    await open();
    await ticked();
    expect(runsOf(head)[0]).toMatchObject({ conclusion: 'success', output: { title: expect.stringContaining('no project is affected') } });
  }, 120_000);

  test('a Secret that changes is shown as changed, and its value nowhere', async () => {
    const secret = (value: string) => `apiVersion: v1\nkind: Secret\nmetadata: {name: key}\nstringData:\n  password: ${value}\n`;
    const head = await commit({ 'k8s/secret.yaml': secret('canary-4711-canary') });
    await open();
    await ticked();
    const [run] = runsOf(head);
    expect(run?.conclusion).toBe('success');
    const shown = JSON.stringify([run, here.logs()]);
    expect(shown).toContain('Secret');
    expect(shown).not.toContain('canary-4711');
    expect(shown).not.toContain(Buffer.from('canary-4711-canary').toString('base64').slice(0, 16));
  }, 120_000);

  test('while GitHub is down nothing is deleted or reported as closed, and the check comes when it is back', async () => {
    const head = await commit({ 'k8s/settings.yaml': configMap('settings', { colour: 'red' }) });
    await open();
    const undo = here.github.faults.add({ status: 503 });
    await here.tick();
    await here.jobsEnded();
    expect(runsOf(head)).toHaveLength(0);
    expect(await settings()).toEqual({ colour: 'blue' });
    undo();
    await ticked();
    expect(runsOf(head)[0]).toMatchObject({ status: 'completed', conclusion: 'success' });
  }, 120_000);

  test("a command in a comment has the check made again, once; an edited, a bot's, or any other comment does not", async () => {
    const { people } = here.github;
    const head = await commit({ 'k8s/settings.yaml': configMap('settings', { colour: 'pink' }) });
    const { number } = await open();
    await ticked();
    await people.comment('acme/api', number, 'nice, /diff it');
    await people.comment('acme/api', number, '/diff', 'plumbline[bot]');
    await ticked();
    expect(runsOf(head)).toHaveLength(1);
    await people.comment('acme/api', number, '/diff');
    await ticked();
    // A run of its own: what the first one said does not stand while it is looked at again.
    expect(runsOf(head).map((run) => run.conclusion)).toEqual(['success', 'success']);
    await ticked();
    expect(runsOf(head)).toHaveLength(2);
  }, 120_000);

  test('a repository that did not answer for a moment does not leave a failed check behind', async () => {
    const head = await commit({ 'k8s/settings.yaml': configMap('settings', { colour: 'teal' }) });
    await open();
    await here.tick();
    here.github.faults.add({ operation: 'git', status: 503, times: 1 });
    await here.jobsSettled();
    expect(runsOf(head).map((run) => run.conclusion)).toEqual(['failure', 'success']);
    expect(JSON.stringify(runsOf(head)[0]?.output)).toContain('/diff');
    expect(here.logs()).toContain('GIT_UNREACHABLE');
  }, 120_000);
});
