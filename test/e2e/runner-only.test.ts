import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { until } from '../support/cluster/until.ts';
import { type OwnInstallation, startInstallation } from '../support/installation.ts';
import { configMap } from '../support/project-world.ts';

let here: OwnInstallation;
beforeAll(async () => {
  here = await startInstallation({ suspendTicks: true });
  await here.github.people.createRepository({
    owner: 'acme',
    name: 'api',
    files: { 'k8s/settings.yaml': configMap('settings', { colour: 'blue' }) },
  });
  here.github.owners.installApp(here.app.appId, ['acme/api']);
  await here.tenant('api');
  await here.project('api', 'api', { source: { repository: 'acme/api', path: 'k8s' }, syncPolicy: { prune: true } });
}, 120_000);
afterAll(() => here?.stop());

const settings = async () =>
  JSON.parse(await here.plane.kubectl(['get', 'configmap', 'settings', '-o', 'json'], { namespace: 'api' })).data;

describe('without the App', () => {
  test('a tick finds the project and a Job applies it', async () => {
    await here.tick();
    await here.jobsSettled();
    expect(await settings()).toEqual({ colour: 'blue' });
    await here.plane.kubectl(['wait', '--for=condition=Ready', 'project/api', '--timeout=10s'], { namespace: 'api' });
  }, 90_000);

  test('an unchanged tick asks GitHub two conditional questions, lists refs once, and writes nothing', async () => {
    await here.tick();
    const before = {
      github: here.github.requests.length,
      api: here.plane.requests('system:serviceaccount:plumbline-system:plumbline-runner').length,
    };
    await here.tick();
    const asked = here.github.requests.slice(before.github).map((one) => `${one.operation} ${one.status}`);
    const writes = here.plane
      .requests('system:serviceaccount:plumbline-system:plumbline-runner')
      .slice(before.api)
      .filter((one) => !['get', 'list', 'watch'].includes(one.verb));
    expect({ asked, writes }).toEqual({
      // One `git ls-remote` is two requests of Git's protocol, version 2.
      asked: ['git 200', 'git 200', 'GET /repos/{owner}/{repo}/pulls 304', 'GET /repos/{owner}/{repo}/issues/comments 304'],
      writes: [],
    });
  }, 90_000);

  test('an open pull request gets its check, a push to it another, and its merge is applied', async () => {
    const { people } = here.github;
    const head = await people.commit('acme/api', 'green', { files: { 'k8s/settings.yaml': configMap('settings', { colour: 'green' }) } });
    const pull = await people.openPullRequest('acme/api', { title: 'Paint it green', head: 'green' });
    await here.tick();
    await here.jobsSettled();
    const run = people.repository('acme/api').runs.filter((one) => one.headSha === head);
    expect(run).toHaveLength(1);
    expect(run[0]).toMatchObject({ name: 'plumbline', status: 'completed', conclusion: 'success' });
    await people.mergePullRequest('acme/api', pull.number, 'squash');
    await here.tick();
    await here.jobsSettled();
    expect(await settings()).toEqual({ colour: 'green' });
    expect(here.github.violations).toEqual([]);
  }, 120_000);

  test('a runner that is killed in the middle of a check leaves none in progress for ever', async () => {
    const { people } = here.github;
    const head = await people.commit('acme/api', 'gold', { files: { 'k8s/settings.yaml': configMap('settings', { colour: 'gold' }) } });
    await people.openPullRequest('acme/api', { title: 'Paint it gold', head: 'gold' });
    const undo = here.github.faults.add({ operation: 'PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}', delayMs: 20_000, times: 1 });
    const ticking = here.tick();
    const pod = await podWithOpenCheck(head);
    here.node.killPod('plumbline-system', pod, 'SIGKILL', 'runner');
    undo();
    await ticking;
    await here.tick();
    await here.jobsEnded();
    await here.tick();
    await here.jobsEnded();
    // The Job's second pod and the next tick may both have looked: what one of them left open is completed by the other.
    expect(runsOf(head).map((run) => `${run.status} ${run.conclusion}`)).toEqual(runsOf(head).map(() => 'completed success'));
    expect(runsOf(head).length).toBeGreaterThan(0);
  }, 180_000);
});

const runsOf = (sha: string) => here.github.people.repository('acme/api').runs.filter((run) => run.headSha === sha);

async function podWithOpenCheck(head: string): Promise<string> {
  return until('a runner has opened the check', 60_000, async () => {
    if (runsOf(head).length === 0) return undefined;
    const pods = here.node.pods('plumbline-system').filter((pod) => pod.startsWith('pr-'));
    return pods.at(-1);
  });
}
