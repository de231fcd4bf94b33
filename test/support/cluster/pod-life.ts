/** The life of one pod on the process node, told to the API server as a kubelet tells it. */
import { mkdirSync, rmSync } from 'node:fs';
import { ApiError } from './api.ts';
import { type ContainerProcess, now, startProcess, type Terminated } from './pod-process.ts';
import { type Container, launchOf, type Place, type Pod, PodFault, prepareVolumes } from './pod-spec.ts';

type State =
  | { waiting: { reason: string; message?: string } }
  | { running: { startedAt: string } }
  | { terminated: Terminated & { containerID: string } };
type Slot = {
  container: Container;
  sidecar: boolean;
  state: State;
  restarts: number;
  /** Its start-up probe has passed. */
  started: boolean;
  process?: ContainerProcess | undefined;
};

export type PodWorld = { place: Place; planeFolder: string; output(container: string, text: string): void };

export class PodLife {
  /** Fulfilled when every process has ended and the API server knows, or the pod is gone. */
  readonly done: Promise<void>;
  readonly #pod: Pod;
  readonly #world: PodWorld;
  readonly #init: Slot[];
  readonly #main: Slot[];
  readonly #startTime = now();
  readonly #stopping = new AbortController();
  readonly #ending = new AbortController();
  #phase = 'Pending';
  #why: { reason: string; message: string } | undefined;
  #killAt = Number.POSITIVE_INFINITY;
  #volumes = new Map<string, string>();
  #wanted = 0;
  #sending: Promise<void> | undefined;

  constructor(pod: Pod, world: PodWorld) {
    this.#pod = pod;
    this.#world = world;
    this.#init = (pod.spec.initContainers ?? []).map((container) => slotOf(container, container.restartPolicy === 'Always'));
    this.#main = pod.spec.containers.map((container) => slotOf(container, false));
    this.done = this.#live();
  }

  /** SIGTERM to all but the sidecars, which come last, and SIGKILL to all `grace` seconds later. A shorter grace overrules a longer. */
  stop(grace: number, reason?: { reason: string; message: string }): void {
    const at = Date.now() + grace * 1000;
    if (this.#killAt <= at) return;
    this.#why ??= reason;
    this.#killAt = at;
    this.#stopping.abort();
    this.#kill([...this.#main, ...this.#init.filter((slot) => !slot.sidecar || grace === 0)]);
  }

  signal(signal: NodeJS.Signals, container?: string): void {
    for (const slot of [...this.#init, ...this.#main])
      if (container === undefined || slot.container.name === container) slot.process?.signal(signal);
  }

  get #stopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  async #live(): Promise<void> {
    const { activeDeadlineSeconds, terminationGracePeriodSeconds: grace = 30, restartPolicy = 'Always' } = this.#pod.spec;
    const late = { reason: 'DeadlineExceeded', message: 'Pod was active on the node longer than the specified deadline' };
    const timer = activeDeadlineSeconds === undefined ? undefined : setTimeout(() => this.stop(grace, late), activeDeadlineSeconds * 1000);
    const sidecars: Promise<void>[] = [];
    const ready = (await this.#prepare()) && (await this.#initialize(sidecars));
    if (ready) {
      this.#phase = 'Running';
      const again = (ended: Terminated) => restartPolicy === 'Always' || (restartPolicy === 'OnFailure' && ended.exitCode !== 0);
      await Promise.all(this.#main.map((slot) => this.#keep(slot, again)));
    }
    clearTimeout(timer);
    this.#killAt = Math.min(this.#killAt, Date.now() + grace * 1000);
    this.#stopping.abort();
    this.#kill(this.#init.filter((slot) => slot.sidecar));
    await Promise.all(sidecars);
    this.#ending.abort();
    this.#phase = ready && this.#why === undefined && this.#main.every(succeeded) ? 'Succeeded' : 'Failed';
    this.#report();
    await this.#sending;
    rmSync(this.#world.place.folder, { recursive: true, force: true });
  }

  async #prepare(): Promise<boolean> {
    mkdirSync(this.#world.place.folder, { recursive: true, mode: 0o700 });
    while (!this.#stopped) {
      try {
        for (const { container } of [...this.#init, ...this.#main]) requireOurs(container);
        this.#volumes = await prepareVolumes(this.#pod, this.#world.place);
        return true;
      } catch (error) {
        await this.#wait([...this.#init, ...this.#main], error);
      }
    }
    return false;
  }

  async #initialize(sidecars: Promise<void>[]): Promise<boolean> {
    for (const slot of this.#init) {
      if (this.#stopped) return false;
      if (slot.sidecar) {
        sidecars.push(this.#keep(slot, () => true));
        if (!(await this.#started(slot))) return false;
      } else {
        await this.#keep(slot, (ended) => this.#pod.spec.restartPolicy !== 'Never' && ended.exitCode !== 0);
        if (!succeeded(slot)) return false;
      }
    }
    return !this.#stopped;
  }

  /** Runs it again as long as `again` says so and nobody stops the pod, waiting longer each time. */
  async #keep(slot: Slot, again: (ended: Terminated) => boolean): Promise<void> {
    for (let pause = 1000; ; pause = Math.min(pause * 2, 30_000)) {
      const ended = await this.#run(slot);
      if (ended === undefined || this.#stopped || !again(ended)) return;
      await rest(pause, this.#stopping.signal);
      if (this.#stopped) return;
      slot.restarts += 1;
    }
  }

  /** One run, undefined when the pod was stopped before it began. The pod's own mistakes are told, and it is tried again. */
  async #run(slot: Slot): Promise<Terminated | undefined> {
    const process = await this.#begin(slot);
    if (process === undefined) return undefined;
    slot.process = process;
    slot.state = { running: { startedAt: process.startedAt } };
    slot.started = slot.container.startupProbe === undefined;
    this.#report();
    const terminated = await process.ended;
    slot.process = undefined;
    slot.state = { terminated: { ...terminated, containerID: process.containerId } };
    this.#report();
    return terminated;
  }

  async #begin(slot: Slot): Promise<ContainerProcess | undefined> {
    while (!this.#stopped) {
      try {
        const launch = await launchOf(slot.container, this.#pod, this.#world.place, this.#volumes);
        if (this.#stopped) return undefined;
        return startProcess(launch, this.#world.planeFolder, (text) => this.#world.output(slot.container.name, text));
      } catch (error) {
        await this.#wait([slot], error);
      }
    }
    return undefined;
  }

  async #started(slot: Slot): Promise<boolean> {
    const probe = slot.container.startupProbe;
    if (probe === undefined) return true;
    for (let failures = 0; failures < (probe.failureThreshold ?? 3) && !this.#stopped; failures += 1) {
      const command = { ...slot.container, command: probe.exec?.command ?? [], args: [] };
      const launch = await launchOf(command, this.#pod, this.#world.place, this.#volumes);
      const { exitCode } = await startProcess(launch, this.#world.planeFolder, () => {}).ended;
      if (exitCode === 0) {
        slot.started = true;
        this.#report();
        return true;
      }
      await rest((probe.periodSeconds ?? 10) * 1000, this.#stopping.signal);
    }
    return false;
  }

  #kill(slots: Slot[]): void {
    for (const slot of slots) slot.process?.signal('SIGTERM');
    // A frozen process hears SIGTERM when it is thawed, SIGKILL always.
    const left = Math.max(0, this.#killAt - Date.now());
    const finish = () => {
      for (const slot of slots) slot.process?.signal('SIGKILL');
    };
    if (left === 0) finish();
    else setTimeout(finish, left).unref();
  }

  async #wait(slots: Slot[], error: unknown): Promise<void> {
    const reason = error instanceof PodFault ? error.reason : 'ContainerCreating';
    const message = error instanceof Error ? error.message : String(error);
    for (const slot of slots) slot.state = { waiting: { reason, message } };
    this.#report();
    await rest(500, this.#stopping.signal);
  }

  #status() {
    const ready = this.#phase === 'Running' && this.#main.every((slot) => 'running' in slot.state);
    const flag = (type: string, is: boolean) => ({ type, status: is ? 'True' : 'False', lastTransitionTime: this.#startTime });
    return {
      phase: this.#phase,
      ...(this.#why ?? {}),
      startTime: this.#startTime,
      conditions: [flag('Initialized', this.#phase !== 'Pending'), flag('ContainersReady', ready), flag('Ready', ready)],
      containerStatuses: this.#main.map(containerStatus),
      ...(this.#init.length === 0 ? {} : { initContainerStatuses: this.#init.map(containerStatus) }),
    };
  }

  /** Sends the newest status, one request at a time, until the server has it or the pod is gone. */
  #report(): void {
    this.#wanted += 1;
    this.#sending ??= this.#send().finally(() => {
      this.#sending = undefined;
    });
  }

  async #send(): Promise<void> {
    const { namespace, name, uid } = this.#pod.metadata;
    const path = `/api/v1/namespaces/${namespace}/pods/${name}/status`;
    for (let sent = 0; sent < this.#wanted; ) {
      const version = this.#wanted;
      try {
        const body = { metadata: { uid }, status: this.#status() };
        await this.#world.place.api.ok('PATCH', path, { patch: 'strategic-merge-patch+json', body, timeout: 10_000 });
        sent = version;
      } catch (error) {
        // Gone, or another pod of that name: nobody is left to tell. Everything else is the server's trouble, and passes.
        if (error instanceof ApiError && (error.status === 404 || error.status === 409)) return;
        await rest(300, this.#ending.signal);
      }
    }
  }
}

function rest(milliseconds: number, until: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    // Already over: a short breath all the same, since whoever asks does so in a loop.
    const timer = setTimeout(resolve, until.aborted ? Math.min(milliseconds, 100) : milliseconds);
    until.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function slotOf(container: Container, sidecar: boolean): Slot {
  return { container, sidecar, state: { waiting: { reason: 'PodInitializing' } }, restarts: 0, started: false };
}

function succeeded(slot: Slot): boolean {
  return 'terminated' in slot.state && slot.state.terminated.exitCode === 0;
}

function containerStatus(slot: Slot) {
  const running = 'running' in slot.state;
  return {
    name: slot.container.name,
    image: slot.container.image,
    imageID: '',
    restartCount: slot.restarts,
    ready: running,
    started: running && slot.started,
    state: slot.state,
    ...(slot.process ? { containerID: slot.process.containerId } : {}),
  };
}

function requireOurs(container: Container): void {
  if (!/(^|\/)plumbline([:@]|$)/.test(container.image))
    throw new PodFault('ErrImageNeverPull', `the process node runs Plumbline's own pods only, not image ${container.image}`);
  if (container.startupProbe && !container.startupProbe.exec)
    throw new PodFault('CreateContainerError', `container ${container.name}: the process node knows startup probes of type exec only`);
}
