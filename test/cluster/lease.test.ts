import { beforeAll, describe, expect, test } from '@jest/globals';
import { acquireLease, type Clock } from '../../src/flow/lease.ts';
import type { KubeObject } from '../../src/object.ts';
import { keyOfWork } from '../../src/work.ts';
import { configMap } from '../support/project-world.ts';
import { installedPlane, openTenant, type Tenant } from '../support/tenant.ts';

let tenant: Tenant;
beforeAll(async () => {
  await installedPlane();
  tenant = await openTenant();
  await tenant.project({ syncPolicy: { prune: true } });
}, 90_000);

/** A clock of its own: waiting takes no time, `ahead` is moved by hand. `onPause` runs while it waits. */
type Own = Clock & { ahead: number; onPause: () => Promise<void> };
function ownClock(skewMs = 0): Own {
  const clock: Own = {
    ahead: 0,
    onPause: async () => undefined,
    now: () => new Date(Date.now() + skewMs),
    monotonic: () => performance.now() + clock.ahead,
    async pause(milliseconds) {
      clock.ahead += milliseconds;
      await clock.onPause();
    },
  };
  return clock;
}

const leaseOf = (name: string) =>
  tenant.plane.api.ok<KubeObject & { spec: Record<string, unknown> }>(
    'GET',
    `/apis/coordination.k8s.io/v1/namespaces/plumbline-system/leases/${name}`,
  );
const nameFor = (what: string) => `${what}-${tenant.namespace}`;

describe('a Lease', () => {
  test('is given back and taken at once by the next', async () => {
    const name = nameFor('given');
    const first = await acquireLease(tenant.cluster, name, 'first', ownClock(), 0);
    expect((await leaseOf(name)).spec).toMatchObject({ holderIdentity: 'first', leaseTransitions: 0, leaseDurationSeconds: 15 });
    await first.release();
    expect((await leaseOf(name)).spec['holderIdentity']).toBeUndefined();
    const clock = ownClock();
    const second = await acquireLease(tenant.cluster, name, 'second', clock, 0);
    expect([clock.ahead, (await leaseOf(name)).spec['leaseTransitions']]).toEqual([0, 1]);
    await second.release();
  });

  test.each([-600_000, 0, 600_000])(
    'of a holder whose clock is %i ms off is not taken while it is renewed, and is once it is not',
    async (skew) => {
      const name = nameFor(`skewed${skew}`);
      const holder = await acquireLease(tenant.cluster, name, 'first', ownClock(skew), 0);
      const clock = ownClock();
      let renewals = 0;
      clock.onPause = async () => {
        const lease = await leaseOf(name);
        renewals++;
        const renewTime = new Date(Date.now() + skew + renewals).toISOString().replace('Z', '000Z');
        await tenant.cluster.replace({ ...lease, spec: { ...lease.spec, renewTime } });
      };
      await expect(acquireLease(tenant.cluster, name, 'second', clock, 60_000)).rejects.toMatchObject({
        code: 'LEASE_HELD',
        retry: 'later',
        message: `${name} is being worked on by first`,
      });
      expect(renewals).toBeGreaterThan(50);
      const later = ownClock();
      const taken = await acquireLease(tenant.cluster, name, 'second', later, 60_000);
      expect(later.ahead).toBeGreaterThanOrEqual(15_000);
      expect(later.ahead).toBeLessThan(30_000);
      await taken.release();
      await holder.release();
    },
  );

  test('that was not renewed for ten seconds forbids the next write, however the wall clock stands', async () => {
    const clock = ownClock(-3_600_000);
    const held = await acquireLease(tenant.cluster, nameFor('old'), 'first', clock, 0);
    held.mayWrite();
    clock.ahead += 10_001;
    expect(() => held.mayWrite()).toThrow(expect.objectContaining({ code: 'LEASE_LOST', retry: 'later' }));
    await held.release();
  });

  test('that somebody else has taken is not given back by the old holder', async () => {
    const name = nameFor('taken');
    const old = await acquireLease(tenant.cluster, name, 'first', ownClock(), 0);
    const now = await acquireLease(tenant.cluster, name, 'second', ownClock(), 60_000);
    await old.release();
    expect((await leaseOf(name)).spec['holderIdentity']).toBe('second');
    await now.release();
  });

  test('that two want at the same moment goes to one', async () => {
    const name = nameFor('raced');
    const asked = await Promise.allSettled(['a', 'b', 'c'].map((holder) => acquireLease(tenant.cluster, name, holder, ownClock(), 5_000)));
    const won = asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    expect(won).toHaveLength(1);
    await Promise.all(won.map((held) => held.release()));
  });
});

describe('two runners for one project', () => {
  test('one works, the other waits and finds nothing left to do', async () => {
    tenant.commit({ 'k8s/a.yaml': configMap('a', { a: '1' }), 'k8s/b.yaml': configMap('b', { a: '1' }) });
    tenant.writes();
    const outcomes = await Promise.all(['one', 'two'].map((holder) => tenant.sync({ holder })));
    expect(outcomes.map((one) => one?.sync)).toEqual(['Synced', 'Synced']);
    expect(tenant.writes().sort()).toEqual(['patch configmaps/a 201', 'patch configmaps/b 201']);
    expect((await tenant.status()).history).toHaveLength(1);
  });

  test('one that was frozen finds its Lease taken and writes nothing more, neither objects nor status', async () => {
    tenant.commit({ 'k8s/a.yaml': configMap('a', { a: 'old' }) });
    const clock = ownClock();
    let taken: Awaited<ReturnType<Tenant['sync']>>;
    const frozen = tenant.sync({
      holder: 'frozen',
      clock,
      render: async (request) => {
        const rendered = await tenant.doors.render(request);
        tenant.commit({ 'k8s/a.yaml': configMap('a', { a: 'new' }) });
        taken = await tenant.sync({ holder: 'second', clock: ownClock() });
        clock.ahead += 20_000;
        tenant.writes();
        return rendered;
      },
    });
    await expect(frozen).rejects.toMatchObject({ code: 'LEASE_LOST' });
    expect(taken).toMatchObject({ sync: 'Synced' });
    expect(tenant.writes()).toEqual([]);
    expect((await tenant.get('ConfigMap', 'a'))?.['data']).toEqual({ a: 'new' });
    expect(await tenant.status()).toMatchObject({ sync: 'Synced', revision: tenant.head });
  });

  test('one that is told to stop writes down how far it came, and frees its Lease', async () => {
    tenant.commit({
      'k8s/a.yaml': configMap('a', { a: 'stop' }),
      'k8s/z.yaml': 'apiVersion: v1\nkind: Service\nmetadata: {name: z}\nspec: {ports: [{port: 80}]}\n',
    });
    const stop = new AbortController();
    const { cluster } = tenant;
    const outcome = await tenant.sync({
      signal: stop.signal,
      cluster: {
        ...cluster,
        as: (who) => {
          const inner = cluster.as(who);
          return {
            ...inner,
            async apply(object, options) {
              const applied = await inner.apply(object, options);
              if (!options.dryRun) stop.abort();
              return applied;
            },
          };
        },
      },
    });
    expect(outcome).toMatchObject({ sync: 'Failed', reason: 'RunnerStopped', failed: { retry: 'later' } });
    expect((await tenant.get('ConfigMap', 'a'))?.['data']).toEqual({ a: 'stop' });
    expect(await tenant.get('Service', 'z')).toBeUndefined();
    const entries = await tenant.inventory();
    expect(entries.get(`/ConfigMap/${tenant.namespace}/a`)?.resourceVersion).toBe(
      (await tenant.get('ConfigMap', 'a'))?.metadata.resourceVersion,
    );
    const lease = await leaseOf(keyOfWork({ kind: 'project', namespace: tenant.namespace, name: 'api' }));
    expect(lease.spec['holderIdentity']).toBeUndefined();
    expect(await tenant.sync()).toMatchObject({ sync: 'Synced' });
    expect(await tenant.get('Service', 'z')).toBeDefined();
  });
});
