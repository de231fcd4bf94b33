import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { WEBHOOKS } from '../support/github/operations.ts';
import { actAs, actAsApp, type Desk, EVENTS, jwt, openDesk, type Receiver, receive, SECRET, withToken } from './desk.ts';

jest.setTimeout(60_000);
let desk: Desk;
const others: Receiver[] = [];
beforeEach(async () => {
  desk = await openDesk();
});
afterEach(async () => {
  await desk.close();
  for (const other of others.splice(0)) await other.close();
});

const repo = { owner: 'acme', repo: 'api' };
const named = (receiver: Receiver) => receiver.received.map(({ event, payload }) => [event, payload['action']].filter(Boolean).join('.'));

async function openPull() {
  await desk.people.commit('acme/api', 'feature', { files: { 'k8s/web.yaml': 'kind: B\n' } });
  return desk.people.openPullRequest('acme/api', { title: 'Change web', head: 'feature' });
}

describe('what is sent', () => {
  test('is signed over the bytes and carries GitHub’s headers', async () => {
    await openPull();
    await desk.github.deliveriesSettled();
    expect(desk.receiver.received.length).toBeGreaterThan(3);
    expect(desk.receiver.received.filter(({ genuine }) => !genuine)).toEqual([]);
    const opened = desk.receiver.received.find(({ event }) => event === 'pull_request');
    expect(opened?.headers).toMatchObject({
      'content-type': 'application/json',
      'user-agent': expect.stringMatching(/^GitHub-Hookshot\//),
      'x-github-hook-installation-target-type': 'integration',
      'x-github-hook-installation-target-id': String(desk.app.appId),
    });
    expect(opened?.payload).toMatchObject({
      installation: { id: desk.app.installationId },
      repository: { full_name: 'acme/api' },
      sender: { login: 'acme' },
    });
    expect(new Set(desk.receiver.received.map(({ guid }) => guid)).size).toBe(desk.receiver.received.length);
  });

  test('every event of the list can be sent, and each fits its published schema', async () => {
    const { people, receiver } = desk;
    const { owners } = desk.github;
    const { number } = await openPull();
    await people.commit('acme/api', 'feature', { files: { x: 'y' } });
    await people.commit('acme/api', 'other', { files: { z: 'z' } });
    await people.editPullRequest('acme/api', number, { title: 'New title', base: 'other' });
    await people.editPullRequest('acme/api', number, { draft: true });
    await people.editPullRequest('acme/api', number, { draft: false });
    people.label('acme/api', number, 'preview');
    people.label('acme/api', number, 'preview', false);
    const comment = people.comment('acme/api', number, 'hello');
    people.editComment('acme/api', comment.id, 'hello you');
    people.deleteComment('acme/api', comment.id);
    await people.closePullRequest('acme/api', number);
    await people.editPullRequest('acme/api', number, { state: 'open', base: 'main' });
    const octokit = await actAs(desk, desk.app);
    const head_sha = people.issue('acme/api', number).pull?.headSha ?? '';
    const actions = [{ label: 'Sync', identifier: 'sync', description: 'Do it again' }];
    const { data: run } = await octokit.rest.checks.create({ ...repo, name: 'plumbline', head_sha, conclusion: 'success', actions });
    people.pressButton('acme/api', run.id, 'sync');
    people.rerequestCheck('acme/api', run.id);
    people.rerequestSuite('acme/api', run.check_suite?.id ?? 0);
    const group = await owners.queuePullRequest('acme/api', number);
    await owners.destroyMergeGroup('acme/api', group, 'merged');
    await people.createRepository({ owner: 'acme', name: 'web', files: { a: 'b' } });
    owners.addRepositories(desk.app.installationId, ['acme/web']);
    owners.removeRepositories(desk.app.installationId, ['acme/web']);
    owners.archiveRepository('acme/api');
    owners.archiveRepository('acme/api', false);
    owners.renameRepository('acme/api', 'backend');
    people.createUser('globex');
    const there = await owners.registerApp({
      name: 'other',
      permissions: {},
      events: ['repository'],
      webhookUrl: receiver.url,
      secret: SECRET,
    });
    owners.installApp(there.appId, 'globex');
    owners.transferRepository('acme/backend', 'globex');
    owners.suspend(desk.app.installationId);
    owners.suspend(desk.app.installationId, false);
    owners.uninstall(desk.app.installationId);
    await desk.github.deliveriesSettled();
    expect([...new Set(named(receiver))].sort()).toEqual([...WEBHOOKS].sort());
    const edited = receiver.received.find(({ event, payload }) => event === 'pull_request' && payload['action'] === 'edited');
    expect(edited?.payload['changes']).toMatchObject({ base: { ref: { from: 'main' } }, title: { from: 'Change web' } });
    const pressed = receiver.received.find(({ payload }) => payload['action'] === 'requested_action');
    expect(pressed?.payload).toMatchObject({ requested_action: { identifier: 'sync' }, check_run: { id: run.id, head_sha } });
  });
});

describe('who gets it', () => {
  test('only Apps that are installed there, subscribed and allowed to read; a suite each for those that write checks', async () => {
    const { owners } = desk.github;
    const [deaf, blind, elsewhere] = [await receive(), await receive(), await receive()];
    others.push(deaf, blind, elsewhere);
    const make = async (
      name: string,
      receiver: Receiver,
      permissions: Record<string, 'read' | 'write'>,
      events: string[],
      where: string,
    ) => {
      await desk.people.createRepository({ owner: where, name: `${name}-own`, files: { a: 'b' } });
      const app = await owners.registerApp({ name, permissions, events, webhookUrl: receiver.url, secret: SECRET });
      owners.installApp(app.appId, where);
    };
    await make('deaf', deaf, { pull_requests: 'read', contents: 'read' }, [], 'acme');
    await make('blind', blind, { checks: 'write' }, EVENTS, 'acme');
    await make('elsewhere', elsewhere, { pull_requests: 'read', contents: 'read' }, EVENTS, 'globex');
    await openPull();
    await desk.github.deliveriesSettled();
    expect(named(deaf)).toEqual(['ping', 'installation.created']);
    expect(named(blind).sort()).toEqual(['check_suite.requested', 'installation.created', 'ping']);
    expect(named(elsewhere)).toEqual(['ping', 'installation.created']);
  });

  test('nothing while suspended, nothing without a webhook, nothing of a deleted repository', async () => {
    desk.github.owners.suspend(desk.app.installationId);
    await openPull();
    desk.github.owners.suspend(desk.app.installationId, false);
    desk.github.owners.removeWebhook(desk.app.appId);
    await desk.people.commit('acme/api', 'more', { files: { x: 'y' } });
    await desk.github.owners.deleteRepository('acme/api');
    await desk.github.deliveriesSettled();
    expect(named(desk.receiver).sort()).toEqual(['installation.created', 'installation.suspend', 'installation.unsuspend', 'ping']);
  });
});

describe("the App's delivery log", () => {
  const app = () => actAsApp(desk, desk.app).rest.apps;

  test('tells what became of each: taken, refused, too late, nobody there', async () => {
    await desk.close();
    desk = await openDesk({ deliveryTimeoutMs: 3000 });
    await desk.github.deliveriesSettled();
    desk.receiver.answer.status = 503;
    desk.people.comment('acme/api', (await openPull()).number, 'hello');
    await desk.github.deliveriesSettled();
    desk.receiver.answer.hang = true;
    await desk.people.commit('acme/api', 'late', { files: { x: 'y' } });
    await desk.github.deliveriesSettled();
    await desk.receiver.close();
    await desk.people.commit('acme/api', 'lost', { files: { x: 'y' } });
    await desk.github.deliveriesSettled();
    const { data } = await app().listWebhookDeliveries({ per_page: 100 });
    const outcome = (event: string) => data.filter((one) => one.event === event).map(({ status, status_code }) => [status, status_code]);
    expect(outcome('ping')).toEqual([['OK', 202]]);
    expect(outcome('issue_comment')).toEqual([['Invalid HTTP Response: 503', 503]]);
    expect(outcome('push')).toEqual([
      ['failed to connect to host', 502],
      ['timed out', 504],
      ['Invalid HTTP Response: 503', 503],
    ]);
    const late = data.find((one) => one.status === 'timed out');
    expect(late?.duration).toBeGreaterThanOrEqual(2.9);
    const { data: failures } = await app().listWebhookDeliveries({ status: 'failure', per_page: 100 } as never);
    expect(failures.length).toBe(data.filter((one) => one.status !== 'OK').length);
  });

  test('pages by cursor, newest first, and is kept for three days', async () => {
    for (let index = 0; index < 5; index += 1) await desk.people.commit('acme/api', `b${index}`, { files: { [`f${index}`]: '' } });
    await desk.github.deliveriesSettled();
    const all = await actAsApp(desk, desk.app).paginate('GET /app/hook/deliveries', { per_page: 5 });
    expect(all.map(({ id }) => id)).toEqual(desk.github.deliveries.map(({ id }) => id).sort((a, b) => b - a));
    expect(all.length).toBe(12);
    expect(desk.github.requests.filter(({ operation }) => operation === 'GET /app/hook/deliveries')).toHaveLength(3);
    desk.github.advance(3 * 24 * 3_600_000);
    const later = Math.floor(desk.github.state.now() / 1000);
    const signed = jwt(desk.app.privateKey, { iss: desk.app.appId, iat: later, exp: later + 300 });
    expect((await withToken(desk, signed).rest.apps.listWebhookDeliveries()).data).toEqual([]);
  });

  test('shows a delivery as it was sent, and sends it again under the same guid', async () => {
    const { number } = await openPull();
    await desk.github.deliveriesSettled();
    const { data } = await app().listWebhookDeliveries({ per_page: 100 });
    const opened = data.find((one) => one.event === 'pull_request');
    const { data: whole } = await app().getWebhookDelivery({ delivery_id: opened?.id ?? 0 });
    expect(whole.request.payload).toMatchObject({ action: 'opened', number });
    expect(whole.request.headers).toMatchObject({ 'x-github-delivery': opened?.guid });
    expect(whole.response.payload).toBe('taken');
    await app().redeliverWebhookDelivery({ delivery_id: opened?.id ?? 0 });
    await desk.github.deliveriesSettled();
    const same = desk.receiver.received.filter(({ guid }) => guid === opened?.guid);
    expect(same.map(({ payload, genuine }) => [payload, genuine])).toEqual([
      [whole.request.payload, true],
      [whole.request.payload, true],
    ]);
    const { data: after } = await app().listWebhookDeliveries({ per_page: 1 });
    expect(after).toEqual([expect.objectContaining({ guid: opened?.guid, redelivery: true, status: 'OK' })]);
  });

  test('is the App’s own: another App sees none of it, a token none at all', async () => {
    await desk.github.deliveriesSettled();
    const other = await desk.github.owners.registerApp({ name: 'other', permissions: {} });
    const theirs = actAsApp(desk, other).rest.apps;
    expect((await theirs.listWebhookDeliveries()).data).toEqual([]);
    await expect(theirs.getWebhookDelivery({ delivery_id: desk.github.deliveries[0]?.id ?? 0 })).rejects.toMatchObject({ status: 404 });
    const person = withToken(desk, desk.people.userToken('acme'));
    await expect(person.rest.apps.listWebhookDeliveries()).rejects.toMatchObject({ status: 401 });
  });
});

describe('deliveries in trouble', () => {
  test('lost, doubled and held ones: nothing logged, one guid twice, newest first', async () => {
    const { faults } = desk.github;
    const { number } = await openPull();
    await desk.github.deliveriesSettled();
    desk.receiver.received.length = 0;
    faults.add({ delivery: 'issue_comment', effect: 'lose', times: 1 });
    faults.add({ delivery: 'issue_comment.created', effect: 'double', times: 1 });
    const release = faults.add({ delivery: 'any', effect: 'hold' });
    for (const body of ['lost', 'doubled', 'first', 'second']) desk.people.comment('acme/api', number, body);
    const bodies = () => desk.receiver.received.map(({ payload }) => (payload['comment'] as { body: string }).body);
    while (desk.receiver.received.length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(bodies()).toEqual(['doubled', 'doubled']);
    expect(desk.receiver.received[0]?.guid).toBe(desk.receiver.received[1]?.guid);
    release();
    await desk.github.deliveriesSettled();
    expect(bodies()).toEqual(['doubled', 'doubled', 'second', 'first']);
    expect(desk.github.deliveries.filter(({ event }) => event === 'issue_comment')).toHaveLength(4);
  });

  test('a delayed one is sent that much later', async () => {
    const { number } = await openPull();
    await desk.github.deliveriesSettled();
    desk.github.faults.add({ delivery: 'issue_comment', effect: 'delay', delayMs: 300, times: 1 });
    const before = desk.github.state.now();
    desk.people.comment('acme/api', number, 'hello');
    await desk.github.deliveriesSettled();
    expect(desk.github.deliveries.at(-1)).toMatchObject({ event: 'issue_comment', status: 'OK' });
    expect((desk.github.deliveries.at(-1)?.deliveredAt ?? 0) - before).toBeGreaterThanOrEqual(295);
  });
});
