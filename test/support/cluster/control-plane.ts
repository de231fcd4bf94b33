/**
 * A real Kubernetes control plane for tests and the demo: etcd, kube-apiserver, kube-controller-manager and kube-scheduler as
 * processes of this machine, on loopback, ready in seconds. It ends with whoever asked for it, however that one ends.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Api, openApi } from './api.ts';
import { findBinaries } from './binaries.mjs';
import { kubeconfigText } from './components.ts';
import { identityOf, isAlive, signalTo } from './identity.mjs';
import { type KubectlOptions, type KubectlResult, kubectl, tryKubectl } from './kubectl.ts';
import { type Component, type PlaneRecord, planesFolder, readRecord, removePlane, sweep, writeRecord } from './state.ts';
import { until } from './until.ts';

/** Whom a kubeconfig is for: a service account (a token of an hour is made) or a token that there is. */
export type Identity = { serviceAccount: { namespace: string; name: string } } | { token: string };
export type Typed = Omit<KubectlOptions, 'kubeconfig' | 'context'> & { kubeconfig?: string };
export type AuditedRequest = { user: string; verb: string; uri: string; code: number };

/** What a control plane of ours and a cluster that somebody has (open-cluster.ts) have in common. */
export type Cluster = {
  url: string;
  /** Path; of an administrator. */
  kubeconfig: string;
  /** Path of a new file. `namespace` becomes the context's. */
  kubeconfigFor(who: Identity, namespace?: string): Promise<string>;
  /** Standard output; throws when it ends with anything but 0. */
  kubectl(args: readonly string[], options?: Typed): Promise<string>;
  tryKubectl(args: readonly string[], options?: Typed): Promise<KubectlResult>;
  /** A namespace with its default account; it goes with `stop`, so nobody has to remove it. Returns its name. */
  freshNamespace(prefix?: string): Promise<string>;
  stop(): Promise<void>;
};

export type ControlPlane = Cluster & {
  /** PEM. */
  ca: string;
  /** As the administrator. */
  api: Api;
  /** A client of its own for somebody else: by token, or as that user by impersonation. */
  apiFor(who: Identity | { user: string; groups: string[] }): Promise<Api>;
  /** What `user` (all when left out) asked the API server for so far, oldest first, as its audit log has it. */
  requests(user?: string): AuditedRequest[];
  apiServer: {
    /** The server keeps its connections and answers nothing, until `thaw`. */
    freeze(): void;
    thaw(): void;
    /** Killed and started again on the same port with the same data; resolves when it answers. */
    restart(): Promise<void>;
  };
  /** Where it keeps its state and logs. */
  folder: string;
};

/** `owners`: processes (identity.mjs) with whose end the plane ends; this one when left out. */
export type StartOptions = { owners?: string[]; folder?: string };

export async function startControlPlane(options: StartOptions = {}): Promise<ControlPlane> {
  const binaries = findBinaries();
  if (!binaries.ready) throw new Error('the programs of the test cluster are not built yet: run `node scripts/setup.mjs cluster` once');
  sweep();
  const folder = options.folder ?? join(planesFolder(), `plane-${randomBytes(6).toString('hex')}`);
  mkdirSync(folder, { mode: 0o700 });
  writeRecord(folder, 'owners', options.owners ?? [identityOf(process.pid)]);
  const log = openSync(join(folder, 'supervisor.log'), 'a');
  const script = join(import.meta.dirname, 'supervisor.ts');
  const child = spawn(process.execPath, [script, folder, binaries.folder], { detached: true, stdio: ['ignore', log, log] });
  closeSync(log);
  child.unref();
  try {
    return await until('the control plane answers', 60_000, async () => {
      const plane = await attach(folder);
      if (plane === undefined && child.exitCode !== null) throw new Error(readFileSync(join(folder, 'supervisor.log'), 'utf8'));
      return plane;
    });
  } catch (error) {
    child.kill('SIGKILL');
    removePlane(folder);
    throw error;
  }
}

/** The plane whose state is in that folder; undefined when none lives there (any more), or it does not answer yet. */
export async function attach(folder: string): Promise<ControlPlane | undefined> {
  const record = readRecord<PlaneRecord>(folder, 'plane');
  const supervisor = readRecord<string>(folder, 'supervisor');
  if (record === undefined || supervisor === undefined || !isAlive(supervisor)) return undefined;
  return handle(folder, record, supervisor);
}

function handle(folder: string, record: PlaneRecord, supervisor: string): ControlPlane {
  const { url, ca, kubeconfig } = record;
  const api = openApi(record);
  const component = (name: Component) => readRecord<PlaneRecord>(folder, 'plane')?.components[name] ?? '';
  const tokenOf = async (who: Identity) => ('token' in who ? who.token : await requestToken(api, who.serviceAccount));
  return {
    url,
    ca,
    kubeconfig,
    api,
    folder,
    apiFor: async (who) => openApi('user' in who ? { ...record, as: who } : { ...record, token: await tokenOf(who) }),
    async kubeconfigFor(who, namespace) {
      const path = join(folder, `${randomBytes(6).toString('hex')}.kubeconfig`);
      writeFileSync(path, kubeconfigText(url, ca, await tokenOf(who), namespace), { mode: 0o600 });
      return path;
    },
    kubectl: (args, options) => kubectl(args, { kubeconfig, ...options }),
    tryKubectl: (args, options) => tryKubectl(args, { kubeconfig, ...options }),
    freshNamespace: (prefix) => freshNamespace(api, prefix),
    requests: (user) => auditLog(join(folder, 'audit.log')).filter((entry) => user === undefined || entry.user === user),
    apiServer: {
      freeze: () => {
        signalTo(component('kube-apiserver'), 'SIGSTOP');
      },
      thaw: () => {
        signalTo(component('kube-apiserver'), 'SIGCONT');
      },
      restart: async () => {
        const before = component('kube-apiserver');
        signalTo(before, 'SIGKILL');
        await until('the API server is back', 60_000, async () => component('kube-apiserver') !== before && (await isReady(api)));
      },
    },
    async stop() {
      api.close();
      signalTo(supervisor, 'SIGTERM');
      await until('the control plane is gone', 20_000, async () => !isAlive(supervisor));
    },
  };
}

export async function isReady(api: Api): Promise<boolean> {
  return api.request('GET', '/readyz', { timeout: 2000 }).then(
    (answer) => answer.status === 200,
    () => false,
  );
}

async function requestToken(api: Api, account: { namespace: string; name: string }): Promise<string> {
  const path = `/api/v1/namespaces/${account.namespace}/serviceaccounts/${account.name}/token`;
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 3600 } };
  const made = await api.ok<{ status: { token: string } }>('POST', path, { body });
  return made.status.token;
}

async function freshNamespace(api: Api, prefix = 'test'): Promise<string> {
  const name = `${prefix}-${randomBytes(4).toString('hex')}`;
  await api.ok('POST', '/api/v1/namespaces', { body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name } } });
  // No pod is admitted before its account is there.
  const account = `/api/v1/namespaces/${name}/serviceaccounts/default`;
  await until(`namespace ${name} has its default account`, 20_000, async () => (await api.request('GET', account)).status === 200);
  return name;
}

type AuditEvent = { user?: { username?: string }; verb: string; requestURI: string; responseStatus?: { code?: number } };

function auditLog(path: string): AuditedRequest[] {
  // The last line may still be on its way.
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => {
    const event = JSON.parse(line) as AuditEvent;
    return { user: event.user?.username ?? '', verb: event.verb, uri: event.requestURI, code: event.responseStatus?.code ?? 0 };
  });
}
