/** Apps, installations, tokens, the App's own deliveries. */
import { issueToken } from '../auth.ts';
import * as shapes from '../shapes.ts';
import { type App, covers, type Installation, type Repository } from '../state.ts';
import type { Delivery } from '../webhooks.ts';
import { type Call, list, made, notFound, numberIn, ok, type Routes, repositoryOf } from './call.ts';

function appOf(call: Call): App {
  if (call.actor.kind !== 'app') throw notFound();
  return call.actor.app;
}

function installationIn(call: Call): Installation {
  const found = call.world.state.installations.get(numberIn(call.path, 'installation_id'));
  if (!found || found.app !== appOf(call)) throw notFound();
  return found;
}

/** How long GitHub keeps its log. */
const THREE_DAYS = 3 * 24 * 3_600_000;

function ownDeliveries(call: Call): Delivery[] {
  const { state, webhooks } = call.world;
  return webhooks.log.filter((one) => one.app === appOf(call) && one.deliveredAt > state.now() - THREE_DAYS).sort((a, b) => b.id - a.id);
}

function deliveryIn(call: Call): Delivery {
  const id = numberIn(call.path, 'delivery_id');
  const found = ownDeliveries(call).find((one) => one.id === id);
  if (!found) throw notFound();
  return found;
}

function showDelivery(one: Delivery): shapes.Json {
  return {
    id: one.id,
    guid: one.guid,
    delivered_at: new Date(one.deliveredAt).toISOString(),
    redelivery: one.redelivery,
    duration: one.duration,
    status: one.status,
    status_code: one.statusCode,
    event: one.event,
    action: one.action,
    installation_id: one.installation,
    repository_id: one.repository,
    throttled_at: null,
  };
}

/** GitHub's log page: newest first, `cursor` is opaque (here: the last id of the page before), `status` success or failure. */
function deliveries(call: Call) {
  const { query, world } = call;
  const wanted = ownDeliveries(call)
    .filter((one) => query['status'] === undefined || (one.statusCode >= 400 ? 'failure' : 'success') === query['status'])
    .filter((one) => query['cursor'] === undefined || one.id < Number(query['cursor']));
  const size = Math.min(Number(query['per_page'] ?? 30), 100);
  const page = wanted.slice(0, size);
  const next = `${shapes.apiUrl(world.state)}/app/hook/deliveries?per_page=${size}&cursor=${page.at(-1)?.id}`;
  const headers: Record<string, string> = wanted.length > size ? { link: `<${next}>; rel="next"` } : {};
  return { status: 200, body: page.map(showDelivery), headers };
}

function visible(call: Call): Repository[] {
  const { actor, world } = call;
  if (actor.kind !== 'installation') throw notFound();
  const { token, installation } = actor;
  return [...world.state.repositories.values()].filter(
    (one) => covers(installation, one) && (token.repositories === 'all' || token.repositories.has(one.id)),
  );
}

function newToken(call: Call) {
  const { state } = call.world;
  const token = issueToken(state, installationIn(call), call.body);
  const scoped = call.body['repositories'] !== undefined || call.body['repository_ids'] !== undefined;
  const ids = token.repositories;
  const repositories = ids === 'all' ? [] : [...state.repositories.values()].filter((one) => ids.has(one.id));
  return made({
    token: token.value,
    expires_at: shapes.stamp(token.expiresAt),
    permissions: token.permissions,
    repository_selection: token.repositories === 'all' ? 'all' : 'selected',
    ...(scoped ? { repositories: repositories.map((one) => shapes.repository(state, one)) } : {}),
  });
}

export const APPS: Routes = {
  'GET /app': (call) => {
    const app = appOf(call);
    const count = [...call.world.state.installations.values()].filter((one) => one.app === app).length;
    return ok({ ...shapes.app(call.world.state, app), installations_count: count });
  },
  'GET /app/installations': (call) =>
    list(
      [...call.world.state.installations.values()].filter((one) => one.app === appOf(call)),
      (one) => shapes.installation(call.world.state, one),
    ),
  'GET /app/installations/{installation_id}': (call) => ok(shapes.installation(call.world.state, installationIn(call))),
  'POST /app/installations/{installation_id}/access_tokens': newToken,
  'GET /app/hook/deliveries': deliveries,
  'GET /app/hook/deliveries/{delivery_id}': (call) => {
    const one = deliveryIn(call);
    return ok({ ...showDelivery(one), url: one.url, request: one.request, response: one.response });
  },
  'POST /app/hook/deliveries/{delivery_id}/attempts': (call) => {
    call.world.webhooks.redeliver(deliveryIn(call));
    return { status: 202, body: {} };
  },
  'GET /repos/{owner}/{repo}/installation': (call) => {
    const { installations } = call.world.state;
    const found = [...installations.values()].find((one) => one.app === appOf(call) && covers(one, repositoryOf(call)));
    if (!found) throw notFound();
    return ok(shapes.installation(call.world.state, found));
  },
  'GET /installation/repositories': (call) =>
    list(
      visible(call),
      (one) => shapes.repository(call.world.state, one),
      (repositories, total_count) => ({ total_count, repositories }),
    ),
  'DELETE /installation/token': (call) => {
    if (call.actor.kind !== 'installation') throw notFound();
    call.world.state.tokens.delete(call.actor.token.value);
    return { status: 204 };
  },
  'GET /rate_limit': (call) => ok({ resources: { core: call.rateLimit, search: call.rateLimit }, rate: call.rateLimit }),
};
