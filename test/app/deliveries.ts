/** Deliveries as the loopback GitHub sends them (validated against GitHub's published webhooks), one of every kind that matters here. */
import type { Delivery } from '../../app/events.ts';
import { actAs, type Desk, openDesk } from '../github/desk.ts';

export type Story = {
  appId: number;
  repositoryId: number;
  installationId: number;
  deliveries: Map<string, Delivery>;
  heads: { feature: string };
};

const nameOf = (event: string, payload: Record<string, unknown>) => ('action' in payload ? `${event}.${String(payload['action'])}` : event);

/** What happens around one pull request, a button, a re-run, an issue, a merge queue; the last delivery of each kind. */
export async function tellStory(): Promise<Story> {
  const desk = await openDesk();
  try {
    return await tell(desk);
  } finally {
    await desk.close();
  }
}

async function tell(desk: Desk): Promise<Story> {
  const { people, github, app } = desk;
  const octokit = await actAs(desk, app);
  const place = { owner: 'acme', repo: 'api' };
  await people.commit('acme/api', 'feature', { files: { 'k8s/web.yaml': 'kind: B\n' } });
  const { number } = await people.openPullRequest('acme/api', { title: 'Change web', head: 'feature' });
  const feature = await people.commit('acme/api', 'feature', { files: { 'k8s/web.yaml': 'kind: C\n' } });
  await people.editPullRequest('acme/api', number, { title: 'Change the web' });
  people.label('acme/api', number, 'preview');
  people.label('acme/api', number, 'preview', false);
  people.comment('acme/api', number, '/sync api');
  const { data: run } = await octokit.rest.checks.create({
    ...place,
    name: 'plumbline',
    head_sha: feature,
    status: 'completed',
    conclusion: 'success',
    output: { title: 'x', summary: 'x' },
    actions: [{ label: 'Sync', description: 'Sync now', identifier: 'sync' }],
  });
  people.pressButton('acme/api', run.id, 'sync');
  people.rerequestCheck('acme/api', run.id);
  people.rerequestSuite('acme/api', people.repository('acme/api').suites.find((one) => one.headSha === feature)?.id ?? 0);
  await github.owners.queuePullRequest('acme/api', number);
  await people.closePullRequest('acme/api', number);
  await people.editPullRequest('acme/api', number, { state: 'open' });
  await people.mergePullRequest('acme/api', number, 'squash');
  github.owners.suspend(app.installationId);
  github.owners.suspend(app.installationId, false);
  await github.deliveriesSettled();
  const deliveries = new Map<string, Delivery>();
  for (const { event, guid, payload } of desk.receiver.received) deliveries.set(nameOf(event, payload), { event, guid, payload });
  return {
    appId: app.appId,
    repositoryId: people.repository('acme/api').id,
    installationId: app.installationId,
    deliveries,
    heads: { feature },
  };
}

/** A copy of a delivery with the value at a JSON pointer changed, or removed when there is none. */
export function changed(delivery: Delivery, pointer: string, ...value: unknown[]): Delivery {
  return { ...delivery, payload: copyWith(delivery.payload, pointer.split('/').slice(1), value) as Delivery['payload'] };
}

/** Copies only what lies on the way to the field. */
function copyWith(value: unknown, [first, ...rest]: string[], change: unknown[]): unknown {
  if (first === undefined) return change[0];
  const copy = (Array.isArray(value) ? [...value] : { ...(value as object) }) as Record<string, unknown>;
  if (rest.length === 0 && change.length === 0) delete copy[first];
  else copy[first] = copyWith(copy[first], rest, change);
  return copy;
}

/** The pointers of every field of a payload, those that hold others included. */
export function pointersOf(value: unknown, at = ''): string[] {
  if (typeof value !== 'object' || value === null) return at === '' ? [] : [at];
  const inner = Object.entries(value).flatMap(([key, one]) => pointersOf(one, `${at}/${key}`));
  return at === '' ? inner : [at, ...inner];
}
