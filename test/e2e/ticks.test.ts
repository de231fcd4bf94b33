import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ProjectStatus } from '../../src/project.ts';
import { until } from '../support/cluster/until.ts';
import { startInstallationHere } from '../support/installation.ts';
import { configMap } from '../support/project-world.ts';

let here: Awaited<ReturnType<typeof startInstallationHere>>;
beforeAll(async () => {
  here = await startInstallationHere();
  const files = { 'k8s/settings.yaml': configMap('settings', { colour: 'blue' }) };
  await here.github.people.createRepository({ owner: 'acme', name: 'api', files });
  here.github.owners.installApp(here.app.appId, ['acme/api']);
  await here.tenant('api');
  await here.project('api', 'api', { source: { repository: 'acme/api', path: 'k8s' } });
  await ticked();
}, 120_000);
afterAll(() => here?.stop());

async function ticked() {
  await here.tick();
  await here.jobsSettled();
}
const kubectl = (...args: string[]) => here.plane.kubectl(args, { namespace: 'api' });
const status = async () => (JSON.parse(await kubectl('get', 'project', 'api', '-o', 'json')) as { status: ProjectStatus }).status;
const condition = async (type: string) => (await status()).conditions?.find((one) => one.type === type);
const colour = async () => (await kubectl('get', 'configmap', 'settings', '-o', 'jsonpath={.data.colour}')).trim();
const edit = (value: string) =>
  kubectl('patch', 'configmap', 'settings', '--type=merge', '-p', JSON.stringify({ data: { colour: value } }));

describe('what ticks see in the cluster', () => {
  test('a hand edit is named once, makes no Job at every tick, and settles when it is undone', async () => {
    await edit('red');
    await ticked();
    expect(await status()).toMatchObject({ sync: 'OutOfSync', drift: { count: 1, objects: [{ object: 'ConfigMap/api/settings' }] } });
    expect((await status()).drift?.objects[0]?.fields[0]).toMatch(/^\.data\.colour blue → red live, kubectl-patch \d\d:\d\d UTC$/);
    expect(await colour()).toBe('red');
    await here.tick();
    expect(await here.jobs()).toEqual([]);
    await edit('blue');
    await ticked();
    expect(await status()).toMatchObject({ sync: 'Synced', drift: { count: 0 } });
  }, 120_000);

  test('with selfHeal it is taken back', async () => {
    await kubectl('patch', 'project', 'api', '--type=merge', '-p', '{"spec":{"syncPolicy":{"selfHeal":true}}}');
    await ticked();
    await edit('red');
    await ticked();
    expect(await colour()).toBe('blue');
    expect(await status()).toMatchObject({ sync: 'Synced', drift: { count: 0 } });
    await kubectl('delete', 'configmap', 'settings');
    await ticked();
    expect(await colour()).toBe('blue');
  }, 120_000);

  test('drift is seen while GitHub is down, and nothing is deleted', async () => {
    await kubectl('patch', 'project', 'api', '--type=merge', '-p', '{"spec":{"syncPolicy":{"selfHeal":false}}}');
    await ticked();
    const undo = here.github.faults.add({ status: 503 });
    await edit('green');
    await here.tick();
    await here.jobsEnded();
    undo();
    expect(await colour()).toBe('green');
    expect((await status()).sync).toBe('Failed');
    expect((await status()).message).toMatch(/^(GITHUB|GIT)_\w+: /);
    // Back again, it is still drift: an outage is no reason to take back what selfHeal: false leaves alone.
    await until('the next look works', 30_000, async () => {
      await ticked();
      return (await status()).sync !== 'Failed';
    });
    expect(await status()).toMatchObject({ sync: 'OutOfSync', drift: { count: 1 } });
    expect(await colour()).toBe('green');
    await kubectl('annotate', 'project', 'api', 'plumbline.dev/sync=now');
    await ticked();
    expect(await status()).toMatchObject({ sync: 'Synced', drift: { count: 0 } });
    expect(await colour()).toBe('blue');
    expect(await kubectl('get', 'project', 'api', '-o', 'jsonpath={.metadata.annotations}')).not.toContain('plumbline.dev/sync');
  }, 120_000);

  test('an account that may not look any more is told in the condition DriftScanned', async () => {
    await kubectl('delete', 'rolebinding', 'plumbline');
    await here.tick();
    await here.jobsEnded();
    expect(await condition('DriftScanned')).toMatchObject({
      status: 'False',
      reason: 'DriftNotRunning',
      message: expect.stringContaining('cannot list'),
    });
    await kubectl('create', 'rolebinding', 'plumbline', '--clusterrole=admin', '--serviceaccount=api:plumbline');
    // RBAC is answered from a cache that follows a moment later.
    await until('the next looks work again', 30_000, async () => {
      await ticked();
      return (await condition('DriftScanned'))?.status === 'True';
    });
  }, 120_000);

  test('losing what the runner remembers costs one full look and no second check', async () => {
    const head = await here.github.people.commit('acme/api', 'change', {
      files: { 'k8s/settings.yaml': configMap('settings', { colour: 'grey' }) },
    });
    await here.github.people.openPullRequest('acme/api', { title: 'Grey', head: 'change' });
    await ticked();
    await here.plane.kubectl(['delete', 'secret', 'plumbline-memory'], { namespace: 'plumbline-system' });
    await ticked();
    const runs = here.github.people.repository('acme/api').runs.filter((run) => run.headSha === head);
    expect(runs).toMatchObject([{ status: 'completed', conclusion: 'success' }]);
    expect(here.github.violations).toEqual([]);
  }, 120_000);

  test('a repository that the App is not installed on is told in the status, with what to do', async () => {
    await here.github.people.createRepository({ owner: 'acme', name: 'hidden', files: { 'k8s/a.yaml': configMap('a', {}) } });
    await here.project('api', 'hidden', { source: { repository: 'acme/hidden', path: 'k8s' } });
    await here.tick();
    await here.jobsEnded();
    const { message = '', sync } = (JSON.parse(await kubectl('get', 'project', 'hidden', '-o', 'json')) as { status: ProjectStatus })
      .status;
    expect(sync).toBe('Failed');
    expect(message).toContain('acme/hidden');
    await kubectl('delete', 'project', 'hidden');
  }, 120_000);

  test('pull requests of a repository that was renamed are compared as before, and its App may be installed anew', async () => {
    const checkOf = async (branch: string, value: string, name: string) => {
      const head = await here.github.people.commit(name, branch, {
        files: { 'k8s/settings.yaml': configMap('settings', { colour: value }) },
      });
      await here.github.people.openPullRequest(name, { title: branch, head: branch });
      await ticked();
      return here.github.people.repository(name).runs.find((run) => run.headSha === head);
    };
    here.github.owners.renameRepository('acme/api', 'renamed');
    expect(await checkOf('after-rename', 'teal', 'acme/renamed')).toMatchObject({ conclusion: 'success', output: { title: '1 changed' } });
    const [installation] = here.github.state.installations.keys();
    here.github.owners.uninstall(installation ?? 0);
    here.github.owners.installApp(here.app.appId, ['acme/renamed']);
    await here.tick();
    expect(await checkOf('after-install', 'pink', 'acme/renamed')).toMatchObject({ conclusion: 'success', output: { title: '1 changed' } });
  }, 120_000);

  test('a repository that may not be read any more does not stay Synced in the status, and nothing is deleted', async () => {
    await kubectl('annotate', 'project', 'api', 'plumbline.dev/sync=now');
    await ticked();
    expect(await status()).toMatchObject({ sync: 'Synced' });
    const [installation] = here.github.state.installations.keys();
    here.github.owners.uninstall(installation ?? 0);
    await here.tick();
    await here.jobsEnded();
    expect(await status()).toMatchObject({ sync: 'Failed', message: expect.stringMatching(/^GIT(HUB)?_\w+: .*acme\/(api|renamed)/) });
    expect(await condition('Ready')).toMatchObject({ status: 'False' });
    expect(await colour()).toBe('blue');
    await here.tick();
    expect(await here.jobs()).toEqual([]);
  }, 120_000);
});
