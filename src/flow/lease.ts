/**
 * One writer per project and per pull request: a `coordination.k8s.io/v1` Lease in the product's namespace.
 *
 * A Lease is no fence: a request that is on the wire when a process freezes is carried out later. So every write also carries uid and
 * resourceVersion, and before each one the holder compares the monotonic clock with its last renewal. Whether a holder is gone is
 * judged by renewals seen here, never by comparing clocks of two machines.
 */
import type { Cluster } from '../cluster.ts';
import { isPlumblineError, PlumblineError } from '../error.ts';
import type { KubeObject } from '../object.ts';
import { productNamespace } from '../work.ts';

/** `monotonic` in milliseconds, not moved by clock changes; `now` only for what people read. */
export type Clock = { now(): Date; monotonic(): number; pause(milliseconds: number): Promise<void> };
export type Held = { mayWrite(): void; release(): Promise<void> };

const leaseKind = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' };
const DURATION_MS = 15_000;
const RENEW_MS = 5_000;
/** Writing stops when a third of the lease is left. */
const SAFE_MS = (DURATION_MS * 2) / 3;

type LeaseSpec = { holderIdentity?: string; renewTime?: string; leaseDurationSeconds?: number; leaseTransitions?: number };
const specOf = (lease: KubeObject) => (lease['spec'] as LeaseSpec | undefined) ?? {};

/** Whether somebody renewed it in the last minute, by their clock: good enough to decide not to disturb, never to write. */
export async function isHeld(cluster: Cluster, name: string, now: Date): Promise<boolean> {
  const lease = await cluster.read({ ...leaseKind, namespace: productNamespace, name });
  const { holderIdentity, renewTime = '' } = lease ? specOf(lease) : {};
  return holderIdentity !== undefined && now.getTime() - Date.parse(renewTime) < 60_000;
}

/** Waits for the lease at most `waitMs`; throws LEASE_HELD when another holder keeps renewing it. */
export async function acquireLease(cluster: Cluster, name: string, holder: string, clock: Clock, waitMs: number): Promise<Held> {
  const deadline = clock.monotonic() + waitMs;
  let seen: { renewal: string; at: number } | undefined;
  for (;;) {
    const asked = clock.monotonic();
    const lease = await cluster.read({ ...leaseKind, namespace: productNamespace, name });
    const { holderIdentity, renewTime = '' } = lease ? specOf(lease) : {};
    const renewal = `${holderIdentity} ${renewTime}`;
    if (seen?.renewal !== renewal) seen = { renewal, at: asked };
    const isFree = !lease || !holderIdentity || holderIdentity === holder || asked - seen.at > DURATION_MS;
    if (isFree) {
      const taken = await takeLease(cluster, name, holder, clock, lease);
      if (taken) return keepLease(cluster, name, holder, clock, taken, asked);
    } else if (asked > deadline) {
      throw new PlumblineError('LEASE_HELD', `${name} is being worked on by ${holderIdentity}`, { retry: 'later' });
    }
    await clock.pause(1000);
  }
}

/** A compare-and-swap: undefined when somebody else was quicker. */
async function takeLease(
  cluster: Cluster,
  name: string,
  holder: string,
  clock: Clock,
  old: KubeObject | undefined,
): Promise<KubeObject | undefined> {
  const at = micro(clock.now());
  const transitions = old ? (specOf(old).leaseTransitions ?? 0) + 1 : 0;
  const spec = {
    holderIdentity: holder,
    leaseDurationSeconds: DURATION_MS / 1000,
    acquireTime: at,
    renewTime: at,
    leaseTransitions: transitions,
  };
  try {
    if (old) return await cluster.replace({ ...old, spec });
    return await cluster.create({ ...leaseKind, metadata: { name, namespace: productNamespace }, spec });
  } catch (error) {
    if (isPlumblineError(error) && (error.code === 'API_CONFLICT' || error.code === 'API_NOT_FOUND')) return undefined;
    throw error;
  }
}

function keepLease(cluster: Cluster, name: string, holder: string, clock: Clock, taken: KubeObject, asked: number): Held {
  let lease = taken;
  let renewedAt = asked;
  let lost = false;
  let renewing: Promise<void> = Promise.resolve();
  const renew = async () => {
    const sent = clock.monotonic();
    try {
      lease = await cluster.replace({ ...lease, spec: { ...specOf(lease), renewTime: micro(clock.now()) } });
      renewedAt = sent;
    } catch (error) {
      // Somebody else has it, or nobody answers: the check before each write decides by the clock.
      if (isPlumblineError(error) && error.code === 'API_CONFLICT') lost = true;
    }
  };
  const timer = setInterval(() => {
    renewing = renewing.then(renew);
  }, RENEW_MS);
  timer.unref();
  return {
    mayWrite() {
      if (!lost && clock.monotonic() - renewedAt < SAFE_MS) return;
      throw new PlumblineError('LEASE_LOST', `${holder} can no longer prove that it alone writes ${name}`, { retry: 'later' });
    },
    async release() {
      clearInterval(timer);
      await renewing;
      if (lost) return;
      const { holderIdentity: _, ...spec } = specOf(lease);
      try {
        await cluster.replace({ ...lease, spec });
      } catch (error) {
        // Not released, it runs out by itself.
        if (!isPlumblineError(error)) throw error;
      }
    },
  };
}

/** MicroTime, as Leases have it. */
function micro(date: Date): string {
  return date.toISOString().replace('Z', '000Z');
}
