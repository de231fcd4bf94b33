import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { type Cluster, connectCluster } from '../../src/cluster.ts';
import type { Clock } from '../../src/flow/lease.ts';
import type { KubeObject } from '../../src/object.ts';
import { startApiProxy } from '../support/cluster/api-proxy.ts';
import { configMap, openWorld, runnerAccount } from '../support/project-world.ts';
import { installedPlane, openTenant, type Tenant } from '../support/tenant.ts';

beforeAll(async () => {
  await installedPlane();
}, 90_000);

const maps = (all: Record<string, string>) =>
  Object.fromEntries(Object.entries(all).map(([name, value]) => [`k8s/${name}.yaml`, configMap(name, { value })]));
const secret = (value: string) => ({
  'k8s/token.yaml': `apiVersion: v1\nkind: Secret\nmetadata: {name: token}\nstringData: {value: ${value}}\n`,
});
const before = { ...maps({ kept: '1', updated: '1', dropped: '1' }), ...secret('one') };
const after = { ...maps({ kept: '1', updated: '2', made: '1', another: '1' }), ...secret('two') };
/** Without what `after` creates: whoever loses track of that leaves it behind. */
const without = { ...maps({ kept: '1', updated: '3' }), ...secret('two') };

/** A clock on which waiting takes no time, so that the Lease of a dead process runs out at once. */
function fastClock(): Clock {
  let ahead = 0;
  return {
    now: () => new Date(),
    monotonic: () => performance.now() + ahead,
    pause: async (milliseconds) => {
      ahead += milliseconds;
    },
  };
}

type Death = { at: number; when: 'before' | 'after' };
type Mortal = { cluster: Cluster; died: () => boolean; deletes: string[] };

/** The door of a process that is killed at its N-th write: nothing is asked, and nothing heard, from then on. */
function mortal(real: Cluster, death: Death): Mortal {
  let writes = 0;
  let dead = false;
  const deletes: string[] = [];
  const alive = () => {
    if (dead) throw new Error('this process is dead');
  };
  const writing = async <T>(work: () => Promise<T>): Promise<T> => {
    alive();
    const fatal = ++writes === death.at;
    if (fatal && death.when === 'before') dead = true;
    alive();
    const result = await work();
    if (fatal) dead = true;
    alive();
    return result;
  };
  const reading = async <T>(work: () => Promise<T>): Promise<T> => {
    alive();
    const result = await work();
    alive();
    return result;
  };
  const over = (door: Cluster): Cluster => ({
    ...door,
    as: (account) => over(door.as(account)),
    resource: (kind) => reading(() => door.resource(kind)),
    read: (ref) => reading(() => door.read(ref)),
    list: (kind, options) => reading(() => door.list(kind, options)),
    listMetadata: (kind, options) => reading(() => door.listMetadata(kind, options)),
    apply: (object, options) => (options.dryRun ? reading : writing)(() => door.apply(object, options)),
    create: (object) => writing(() => door.create(object)),
    replace: (object, subresource) => writing(() => door.replace(object, subresource)),
    patch: (ref, change, subresource) => writing(() => door.patch(ref, change, subresource)),
    async delete(ref, options) {
      if (options.dryRun) return reading(() => door.delete(ref, options));
      return writing(async () => {
        const done = await door.delete(ref, options);
        if (done) deletes.push(ref.name);
        return done;
      });
    },
  });
  return { cluster: over(real), died: () => dead, deletes };
}

/** Objects, inventory and status without what differs from run to run. */
async function stateOf(tenant: Tenant) {
  const shown = async (kind: string) => {
    const objects = await Promise.all((await tenant.names(kind)).sort().map((name) => tenant.get(kind, name)));
    return objects.map((object) => [
      object?.metadata.name,
      object?.['data'],
      (object?.metadata.managedFields ?? []).map((one) => one.manager),
    ]);
  };
  const uids = new Map<string, string | undefined>();
  for (const kind of ['ConfigMap', 'Secret'])
    for (const name of await tenant.names(kind))
      uids.set(`/${kind}/${tenant.namespace}/${name}`, (await tenant.get(kind, name))?.metadata.uid);
  const entries = [...(await tenant.inventory()).values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  const { sync, health, objects, drift, pending } = await tenant.status();
  return JSON.parse(
    JSON.stringify({
      maps: await shown('ConfigMap'),
      secrets: await shown('Secret'),
      inventory: entries.map(({ id, owned, health: one, uid, desired }) => [id, owned, one, uid === uids.get(id), desired !== undefined]),
      status: { sync, health, objects, drift, pending },
    }).replaceAll(tenant.namespace, 'NS'),
  ) as object;
}

async function started(): Promise<Tenant> {
  const tenant = await openTenant();
  await tenant.project({ syncPolicy: { prune: true, maxDeletions: '50' } });
  tenant.commit(before);
  await tenant.sync({ clock: fastClock() });
  return tenant;
}

/** What an undisturbed run makes of it. */
async function undisturbed(last: Record<string, string>): Promise<object> {
  const tenant = await started();
  tenant.commit(after);
  await tenant.sync({ clock: fastClock() });
  if (last !== after) {
    tenant.commit(last);
    await tenant.sync({ clock: fastClock() });
  }
  return stateOf(tenant);
}

describe('a runner that is killed at its N-th write', () => {
  test.each<[string, Death['when'], Record<string, string>]>([
    ['just before it, and the next run completes the same commit', 'before', after],
    ['just after it, and the next run completes the same commit', 'after', after],
    ['just after it, and the next run finds a commit without what was being made', 'after', without],
  ])('%s', async (_, when, last) => {
    const expected = await undisturbed(last);
    let at = 1;
    for (; ; at++) {
      const tenant = await started();
      tenant.commit(after);
      const first = mortal(tenant.cluster, { at, when });
      await tenant.sync({ cluster: first.cluster, clock: fastClock(), holder: 'first' }).catch(() => undefined);
      if (!first.died()) break;
      if (last !== after) tenant.commit(last);
      const second = mortal(tenant.cluster, { at: Number.POSITIVE_INFINITY, when });
      await tenant.sync({ cluster: second.cluster, clock: fastClock(), holder: 'second' });
      expect({ at, state: await stateOf(tenant) }).toEqual({ at, state: expected });
      const deletes = [...first.deletes, ...second.deletes];
      expect({ at, deletes: deletes.filter((name) => name === 'dropped') }).toEqual({ at, deletes: ['dropped'] });
      expect(new Set(deletes).size).toBe(deletes.length);
    }
    // Lease, status, inventory, four applies and more, a delete, inventory, status, Lease.
    expect(at).toBeGreaterThanOrEqual(11);
  });
});

describe('kill -9 of a real process', () => {
  test.each<[string, number, (line: string) => boolean]>([
    ['between two applies', 1, (line) => /^PATCH .*\/configmaps\/made\?/.test(line) && !line.includes('dryRun')],
    ['while the inventory is written after the prune', 2, (line) => /^PUT .*\/inventories\//.test(line)],
  ])('%s: the next run completes it', async (_, nth, deadly) => {
    const world = await openWorld(await installedPlane());
    const scratch = await mkdtemp(join(tmpdir(), 'plumbline-killed-'));
    const proxy = await startApiProxy(world.plane, await world.plane.kubeconfigFor({ serviceAccount: runnerAccount }));
    try {
      await world.commit(before);
      await world.project({ syncPolicy: { prune: true } });
      await world.sync({ clock: fastClock() });
      const left = Object.fromEntries(
        Object.keys(before)
          .filter((path) => !(path in after))
          .map((path) => [path, undefined]),
      );
      const revision = await world.commit({ ...after, ...left });
      const program = join(import.meta.dirname, '../support/reconcile-process.ts');
      const child = spawn(process.execPath, [program, proxy.kubeconfig, world.namespace, world.server.url, scratch], { stdio: 'ignore' });
      const ended = new Promise<string | null>((resolve) => child.once('exit', (__, signal) => resolve(signal)));
      let due = nth;
      proxy.fault = (method, path) => {
        if (deadly(`${method} ${path}`) && --due === 0) child.kill('SIGKILL');
        return undefined;
      };
      expect(await ended).toBe('SIGKILL');
      proxy.fault = () => undefined;
      expect(await world.sync({ clock: fastClock() })).toMatchObject({ sync: 'Synced', revision, objects: 5 });
      const { items } = JSON.parse(await world.plane.kubectl(['get', 'configmaps', '-o', 'json'], { namespace: world.namespace })) as {
        items: KubeObject[];
      };
      expect(items.map((one) => one.metadata.name).sort()).toEqual(['another', 'kept', 'kube-root-ca.crt', 'made', 'updated']);
      expect((await world.status()).objects).toBe(5);
    } finally {
      await proxy.close();
      await world.close();
      await rm(scratch, { recursive: true, force: true });
    }
  });
});

test('the API server is killed in the middle of a sync and comes back: the next run completes it', async () => {
  const tenant = await started();
  tenant.commit(after);
  const account = tenant.cluster;
  let restarted: Promise<void> | undefined;
  await tenant
    .sync({
      cluster: {
        ...account,
        as: (who) => {
          const inner = account.as(who);
          return {
            ...inner,
            apply(object, options) {
              if (!options.dryRun) restarted ??= tenant.plane.apiServer.restart();
              return inner.apply(object, options);
            },
          };
        },
      },
    })
    .catch(() => undefined);
  expect(restarted).toBeDefined();
  await restarted;
  expect(await tenant.sync({ clock: fastClock(), holder: 'second' })).toMatchObject({ sync: 'Synced' });
  expect((await tenant.names('ConfigMap')).sort()).toEqual(['another', 'kept', 'made', 'updated']);
  expect((await tenant.get('ConfigMap', 'updated'))?.['data']).toEqual({ value: '2' });
});

test('an API server that freezes in the middle: no write is sent after that, and the next run completes it', async () => {
  const tenant = await started();
  tenant.commit(after);
  const hasty = connectCluster({ kubeconfig: await tenant.plane.kubeconfigFor({ serviceAccount: runnerAccount }), timeoutMs: 500 });
  const frozen = await tenant
    .sync({
      cluster: hasty,
      render: async (request) => {
        const rendered = await tenant.doors.render(request);
        tenant.plane.apiServer.freeze();
        return rendered;
      },
    })
    .then(
      () => undefined,
      (error: unknown) => error,
    )
    .finally(() => tenant.plane.apiServer.thaw());
  expect(frozen).toMatchObject({ code: expect.stringMatching(/^(CLUSTER_UNREACHABLE|LEASE_LOST)$/), retry: 'later' });
  expect((await tenant.names('ConfigMap')).sort()).toEqual(['dropped', 'kept', 'updated']);
  expect(await tenant.sync({ clock: fastClock(), holder: 'second' })).toMatchObject({ sync: 'Synced' });
  expect((await tenant.names('ConfigMap')).sort()).toEqual(['another', 'kept', 'made', 'updated']);
});
