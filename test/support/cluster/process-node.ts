/**
 * A node without a kubelet: pods of Plumbline's own image that the scheduler binds to it run as processes of this machine, from the
 * sources as they are. It acts as `system:node:NAME`, so the API server holds it to what a kubelet may do.
 */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Api, WatchEvent } from './api.ts';
import type { ControlPlane } from './control-plane.ts';
import { serveLogs } from './node-logs.ts';
import { beat, isUntainted, register } from './node-object.ts';
import { PodLife } from './pod-life.ts';
import type { Pod } from './pod-spec.ts';
import { until } from './until.ts';

/** `app`: what the image has at `/app`, the repository when left out; `echo` is told each line of output. */
export type NodeOptions = { name?: string; app?: string; echo?: (line: string) => void };
export type ProcessNode = {
  name: string;
  /** All that the container (all, when left out) of the last pod of that name wrote; kept when the pod is gone. */
  logs(namespace: string, pod: string, container?: string): string;
  /** Names of the pods of that namespace that came to this node, oldest first; kept when they are gone. */
  pods(namespace: string): string[];
  /** To all processes of the pod, or of that container; throws when no such pod runs here. */
  killPod(namespace: string, pod: string, signal?: NodeJS.Signals, container?: string): void;
  freezePod(namespace: string, pod: string): void;
  thawPod(namespace: string, pod: string): void;
  /** Ends its pods at once and takes itself off the cluster. */
  stop(): Promise<void>;
};

/** Resolves when the scheduler can use it. */
export async function startProcessNode(plane: ControlPlane, options: NodeOptions = {}): Promise<ProcessNode> {
  const name = options.name ?? `process-node-${randomBytes(3).toString('hex')}`;
  const api = await plane.apiFor({ user: `system:node:${name}`, groups: ['system:nodes'] });
  const house = new House(plane, api, options);
  const logServer = await serveLogs(plane.folder, house);
  await register(api, name, logServer.port);
  const beating = setInterval(() => void beat(api, name).catch(() => {}), 10_000);
  beating.unref();
  const following = house.follow(name);
  await until(`node ${name} takes pods`, 30_000, () => isUntainted(api, name));
  return {
    name,
    logs: (namespace, pod, container) => house.logs(namespace, pod, container),
    pods: (namespace) => house.pods(namespace),
    killPod: (namespace, pod, signal = 'SIGKILL', container) => house.find(namespace, pod).signal(signal, container),
    freezePod: (namespace, pod) => house.find(namespace, pod).signal('SIGSTOP'),
    thawPod: (namespace, pod) => house.find(namespace, pod).signal('SIGCONT'),
    async stop() {
      clearInterval(beating);
      logServer.close();
      await house.close();
      await following;
      await plane.api.request('DELETE', `/api/v1/nodes/${name}`);
      api.close();
    },
  };
}

type Resident = { pod: Pod; life: PodLife | undefined; ended: boolean; removal: Promise<void> | undefined };
type Output = { namespace: string; pod: string; uid: string; container: string; text: string };

/** The pods of the node. */
class House {
  readonly #plane: ControlPlane;
  readonly #api: Api;
  readonly #options: NodeOptions;
  readonly #closing = new AbortController();
  readonly #residents = new Map<string, Resident>();
  readonly #names: { namespace: string; pod: string }[] = [];
  readonly #written: Output[] = [];

  constructor(plane: ControlPlane, api: Api, options: NodeOptions) {
    this.#plane = plane;
    this.#api = api;
    this.#options = options;
  }

  /** Lists and watches the pods bound to the node, until it is closed or the plane is gone. */
  async follow(node: string): Promise<void> {
    const path = `/api/v1/pods?fieldSelector=${encodeURIComponent(`spec.nodeName=${node}`)}`;
    while (!this.#closing.signal.aborted && existsSync(this.#plane.folder)) {
      try {
        const list = await this.#api.ok<{ metadata: { resourceVersion: string }; items: Pod[] }>('GET', path);
        const there = new Set(list.items.map((pod) => pod.metadata.uid ?? ''));
        for (const [uid, { pod }] of this.#residents) if (!there.has(uid)) this.#gone(pod);
        for (const pod of list.items) this.#seen(pod);
        const watching = this.#api.watch<Pod>(`${path}&resourceVersion=${list.metadata.resourceVersion}`, this.#closing.signal);
        for await (const event of watching) if (!this.#take(event)) break;
      } catch {
        // A server that is away or frozen: look again from the start.
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    }
  }

  #take(event: WatchEvent<Pod>): boolean {
    if (event.type === 'DELETED') this.#gone(event.object);
    else if (event.type === 'ADDED' || event.type === 'MODIFIED') this.#seen(event.object);
    return event.type !== 'ERROR';
  }

  #seen(pod: Pod): void {
    const { uid = '', deletionTimestamp, deletionGracePeriodSeconds: grace } = pod.metadata;
    let resident = this.#residents.get(uid);
    if (resident === undefined) {
      // One that has ended before this process came: only its removal is left to do.
      const ended = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
      const fresh: Resident = { pod, life: ended ? undefined : this.#live(pod), ended, removal: undefined };
      void fresh.life?.done.then(() => {
        fresh.ended = true;
      });
      this.#residents.set(uid, fresh);
      resident = fresh;
    }
    if (deletionTimestamp === undefined) return;
    resident.life?.stop(typeof grace === 'number' ? grace : 30);
    resident.removal ??= this.#remove(resident);
  }

  #live(pod: Pod): PodLife {
    const { namespace = '', name, uid = '' } = pod.metadata;
    this.#names.push({ namespace, pod: name });
    // Short: a Unix socket in it has to fit into 107 bytes.
    const folder = join(this.#plane.folder, 'pods', createHash('sha256').update(uid).digest('hex').slice(0, 8));
    const place = { api: this.#api, server: this.#plane, app: this.#options.app ?? join(import.meta.dirname, '../../..'), folder };
    const output = (container: string, text: string) => {
      this.#written.push({ namespace, pod: name, uid, container, text });
      if (this.#options.echo) for (const line of text.trimEnd().split('\n')) this.#options.echo(`${name}/${container}: ${line}`);
    };
    return new PodLife(pod, { place, planeFolder: this.#plane.folder, output });
  }

  /** A kubelet's last word: the pod has ended here, so its object may go. */
  async #remove({ pod, life }: Resident): Promise<void> {
    await life?.done;
    await drop(this.#api, pod, this.#closing.signal);
    this.#residents.delete(pod.metadata.uid ?? '');
  }

  /** Removed by force: nobody waits for its processes any more. */
  #gone(pod: Pod): void {
    const resident = this.#residents.get(pod.metadata.uid ?? '');
    resident?.life?.stop(0);
    if (resident && !resident.removal) resident.removal = this.#remove(resident);
  }

  find(namespace: string, pod: string): PodLife {
    const its = [...this.#residents.values()].filter((one) => one.pod.metadata.namespace === namespace && one.pod.metadata.name === pod);
    const life = its.at(-1)?.life;
    if (life === undefined) throw new Error(`pod ${namespace}/${pod} does not run on this node`);
    return life;
  }

  runs(namespace: string, pod: string): boolean {
    return [...this.#residents.values()].some(
      ({ pod: one, ended }) => !ended && one.metadata.namespace === namespace && one.metadata.name === pod,
    );
  }

  logs(namespace: string, pod: string, container: string | undefined): string {
    const its = this.#written.filter((one) => one.namespace === namespace && one.pod === pod);
    const last = its.at(-1)?.uid;
    const wanted = its.filter((one) => one.uid === last && (container === undefined || one.container === container));
    return wanted.map((one) => one.text).join('');
  }

  pods(namespace: string): string[] {
    return [...new Set(this.#names.filter((one) => one.namespace === namespace).map((one) => one.pod))];
  }

  async close(): Promise<void> {
    this.#closing.abort();
    const residents = [...this.#residents.values()];
    for (const { life } of residents) life?.stop(0);
    await Promise.all(residents.map(({ life }) => life?.done));
    // As administrator: nobody else will, when the node is gone.
    for (const { pod } of residents) await drop(this.#plane.api, pod, AbortSignal.timeout(5000));
  }
}

async function drop(api: Api, pod: Pod, giveUp: AbortSignal): Promise<void> {
  const path = `/api/v1/namespaces/${pod.metadata.namespace}/pods/${pod.metadata.name}`;
  const body = { gracePeriodSeconds: 0, preconditions: { uid: pod.metadata.uid } };
  while (!giveUp.aborted) {
    const answer = await api.request('DELETE', path, { body }).catch(() => undefined);
    // 409: another pod has that name by now.
    if (answer !== undefined && (answer.status < 300 || answer.status === 404 || answer.status === 409)) return;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}
