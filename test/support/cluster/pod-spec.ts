/** What the process node reads of a pod, and what it makes of it: arguments, environment and volumes of real processes. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { KubeMetadata } from '../../../src/object.ts';
import { type Api, ApiError } from './api.ts';
import { until } from './until.ts';

type KeyRef = { name: string; key: string; optional?: boolean };
type SetRef = { name: string; optional?: boolean };
type EnvVar = {
  name: string;
  value?: string;
  valueFrom?: { fieldRef?: { fieldPath: string }; secretKeyRef?: KeyRef; configMapKeyRef?: KeyRef };
};
type EnvFrom = { prefix?: string; secretRef?: SetRef; configMapRef?: SetRef };
type Mount = { name: string; mountPath: string; subPath?: string };
export type Container = {
  name: string;
  image: string;
  command?: string[];
  args?: string[];
  workingDir?: string;
  env?: EnvVar[];
  envFrom?: EnvFrom[];
  volumeMounts?: Mount[];
  restartPolicy?: 'Always';
  startupProbe?: { exec?: { command: string[] }; periodSeconds?: number; failureThreshold?: number };
  securityContext?: { readOnlyRootFilesystem?: boolean };
};
type Item = { key: string; path: string };
type Source = {
  serviceAccountToken?: { path: string; expirationSeconds?: number; audience?: string };
  configMap?: SetRef & { items?: Item[] };
  secret?: SetRef & { items?: Item[] };
  downwardAPI?: { items: { path: string; fieldRef?: { fieldPath: string } }[] };
};
type Volume = {
  name: string;
  emptyDir?: object;
  projected?: { sources: Source[] };
  configMap?: SetRef & { items?: Item[] };
  secret?: { secretName: string; optional?: boolean; items?: Item[] };
};
export type Pod = {
  metadata: KubeMetadata;
  spec: {
    nodeName?: string;
    serviceAccountName?: string;
    restartPolicy?: 'Always' | 'OnFailure' | 'Never';
    terminationGracePeriodSeconds?: number;
    activeDeadlineSeconds?: number;
    containers: Container[];
    initContainers?: Container[];
    volumes?: Volume[];
  };
  status?: { phase?: string };
};

/** Something in the pod that keeps it from starting; `reason` is what a kubelet calls it. */
export class PodFault extends Error {
  override readonly name = 'PodFault';
  readonly reason: string;
  constructor(reason: string, message: string) {
    super(message);
    this.reason = reason;
  }
}

export type Launch = { program: string; args: string[]; cwd: string; env: Record<string, string> };
export type Place = {
  /** As the node, which may read what its pods name and nothing else. */
  api: Api;
  server: { url: string; ca: string };
  /** What the image has at `/app`. */
  app: string;
  /** Of this pod. */
  folder: string;
};

/** Makes the volumes on disk; their folders by name. */
export async function prepareVolumes(pod: Pod, place: Place): Promise<Map<string, string>> {
  const folders = new Map<string, string>();
  for (const volume of pod.spec.volumes ?? []) {
    const folder = join(place.folder, volume.name);
    mkdirSync(folder, { recursive: true });
    folders.set(volume.name, folder);
    for (const [path, content] of await filesOf(volume, pod, place)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), content, { mode: 0o600 });
    }
  }
  return folders;
}

async function filesOf(volume: Volume, pod: Pod, place: Place): Promise<[path: string, content: string | Buffer][]> {
  if (volume.emptyDir) return [];
  if (volume.configMap) return dataFiles(pod, place, 'configmaps', volume.configMap);
  if (volume.secret) return dataFiles(pod, place, 'secrets', { ...volume.secret, name: volume.secret.secretName });
  if (!volume.projected)
    throw new PodFault('FailedMount', `volume ${volume.name}: the process node knows emptyDir, projected, configMap and secret`);
  const files: [string, string | Buffer][] = [];
  for (const source of volume.projected.sources) {
    if (source.configMap) files.push(...(await dataFiles(pod, place, 'configmaps', source.configMap)));
    if (source.secret) files.push(...(await dataFiles(pod, place, 'secrets', source.secret)));
    for (const item of source.downwardAPI?.items ?? []) files.push([item.path, fieldOf(pod, item.fieldRef?.fieldPath ?? '')]);
    if (source.serviceAccountToken) files.push([source.serviceAccountToken.path, await tokenFor(pod, place, source.serviceAccountToken)]);
  }
  return files;
}

async function dataFiles(pod: Pod, place: Place, kind: 'configmaps' | 'secrets', ref: SetRef & { items?: Item[] }) {
  const data = await dataOf(pod, place, kind, ref);
  const items = ref.items ?? [...data.keys()].map((key) => ({ key, path: key }));
  return items.flatMap(({ key, path }): [string, Buffer][] => {
    const value = data.get(key);
    if (value === undefined && !ref.optional) throw new PodFault('FailedMount', `${kind} ${ref.name} has no key ${key}`);
    return value === undefined ? [] : [[path, value]];
  });
}

async function tokenFor(pod: Pod, place: Place, wanted: NonNullable<Source['serviceAccountToken']>): Promise<string> {
  const { name, namespace, uid } = pod.metadata;
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${pod.spec.serviceAccountName ?? 'default'}/token`;
  const spec = {
    expirationSeconds: wanted.expirationSeconds ?? 3600,
    audiences: wanted.audience === undefined ? [] : [wanted.audience],
    boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid },
  };
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec };
  const made = await asNode(() => place.api.ok<{ status: { token: string } }>('POST', path, { body }));
  return made.status.token;
}

/** The node authorizer learns of a new pod a moment after the node does: until then it says no to what the pod names. */
async function asNode<T>(ask: () => Promise<T>): Promise<T> {
  const end = Date.now() + 5000;
  return until('the node authorizer knows the pod', 10_000, async () => {
    try {
      return await ask();
    } catch (error) {
      if (error instanceof ApiError && error.status === 403 && Date.now() < end) return undefined;
      throw error;
    }
  });
}

/** Empty for an optional one that is not there. */
async function dataOf(pod: Pod, place: Place, kind: 'configmaps' | 'secrets', ref: SetRef): Promise<Map<string, Buffer>> {
  const path = `/api/v1/namespaces/${pod.metadata.namespace}/${kind}/${ref.name}`;
  type Data = { data?: Record<string, string>; binaryData?: Record<string, string> };
  try {
    const object = await asNode(() => place.api.ok<Data>('GET', path));
    const encoding = kind === 'secrets' ? 'base64' : 'utf8';
    const plain = Object.entries(object.data ?? {}).map(([key, value]): [string, Buffer] => [key, Buffer.from(value, encoding)]);
    const binary = Object.entries(object.binaryData ?? {}).map(([key, value]): [string, Buffer] => [key, Buffer.from(value, 'base64')]);
    return new Map([...plain, ...binary]);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404 && ref.optional) return new Map();
    throw new PodFault('CreateContainerConfigError', error instanceof Error ? error.message : String(error));
  }
}

function fieldOf(pod: Pod, path: string): string {
  const keyed = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
  if (keyed) return pod.metadata[keyed[1] === 'labels' ? 'labels' : 'annotations']?.[keyed[2] ?? ''] ?? '';
  switch (path) {
    case 'metadata.name':
      return pod.metadata.name;
    case 'metadata.namespace':
      return pod.metadata.namespace ?? '';
    case 'metadata.uid':
      return pod.metadata.uid ?? '';
    case 'spec.nodeName':
      return pod.spec.nodeName ?? '';
    case 'spec.serviceAccountName':
      return pod.spec.serviceAccountName ?? 'default';
    default:
      throw new PodFault('CreateContainerConfigError', `the process node does not know the field ${path}`);
  }
}

/** What to run for this container. Paths of the image and of its mounts become paths of this machine. */
export async function launchOf(container: Container, pod: Pod, place: Place, volumes: Map<string, string>): Promise<Launch> {
  const mounts = (container.volumeMounts ?? []).map(({ name, mountPath, subPath }): [string, string] => [
    mountPath,
    join(volumes.get(name) ?? '', subPath ?? ''),
  ]);
  const onMachine = pathMapper([...mounts, ['/app', place.app]]);
  const env = { ...baseEnvironment(container, pod, place, onMachine), ...(await environmentOf(container, pod, place, onMachine)) };
  const kubeconfig = writeKubeconfig(container, pod, place, volumes);
  if (kubeconfig !== undefined) env['KUBECONFIG'] = kubeconfig;
  const [program = '', ...args] = [...(container.command ?? []), ...(container.args ?? [])].map((word) => onMachine(expand(word, env)));
  if (program === '')
    throw new PodFault('CreateContainerError', `container ${container.name} names no command, and the process node has no image to ask`);
  return { program: program === 'node' ? process.execPath : program, args, cwd: onMachine(container.workingDir ?? '/app'), env };
}

function pathMapper(places: [inContainer: string, onMachine: string][]): (text: string) => string {
  const longestFirst = places.toSorted(([a], [b]) => b.length - a.length);
  return (text) => {
    for (const [from, to] of longestFirst) {
      if (text === from) return to;
      if (text.startsWith(`${from}/`)) return join(to, text.slice(from.length));
    }
    return text;
  };
}

function baseEnvironment(container: Container, pod: Pod, place: Place, onMachine: (path: string) => string): Record<string, string> {
  const own = join(place.folder, `.${container.name}`);
  mkdirSync(own, { recursive: true });
  const mounted = onMachine('/tmp');
  // Nothing can be written to a read-only root: a temporary folder that is not there fails in the same way.
  const temporary = mounted !== '/tmp' ? mounted : join(own, container.securityContext?.readOnlyRootFilesystem ? 'read-only' : '');
  const path = `${dirname(process.execPath)}:${process.env['PATH'] ?? '/usr/bin:/bin'}`;
  return { PATH: path, HOME: own, TMPDIR: temporary, HOSTNAME: pod.metadata.name };
}

async function environmentOf(container: Container, pod: Pod, place: Place, onMachine: (path: string) => string) {
  const env: Record<string, string> = {};
  for (const { prefix = '', secretRef, configMapRef } of container.envFrom ?? []) {
    if (secretRef) for (const [key, value] of await dataOf(pod, place, 'secrets', secretRef)) env[prefix + key] = value.toString('utf8');
    if (configMapRef)
      for (const [key, value] of await dataOf(pod, place, 'configmaps', configMapRef)) env[prefix + key] = value.toString('utf8');
  }
  for (const { name, value, valueFrom } of container.env ?? []) {
    if (valueFrom === undefined) env[name] = onMachine(expand(value ?? '', env));
    else if (valueFrom.fieldRef) env[name] = fieldOf(pod, valueFrom.fieldRef.fieldPath);
    else {
      const found = await keyOf(pod, place, valueFrom);
      if (found !== undefined) env[name] = found;
    }
  }
  return env;
}

async function keyOf(pod: Pod, place: Place, from: NonNullable<EnvVar['valueFrom']>): Promise<string | undefined> {
  const ref = from.secretKeyRef ?? from.configMapKeyRef;
  if (ref === undefined)
    throw new PodFault(
      'CreateContainerConfigError',
      `the process node knows fieldRef, secretKeyRef and configMapKeyRef, not ${Object.keys(from)}`,
    );
  const kind = from.secretKeyRef ? 'secrets' : 'configmaps';
  const value = (await dataOf(pod, place, kind, ref)).get(ref.key);
  if (value === undefined && !ref.optional)
    throw new PodFault('CreateContainerConfigError', `couldn't find key ${ref.key} in ${kind} ${pod.metadata.namespace}/${ref.name}`);
  return value?.toString('utf8');
}

/** `$(NAME)`, as Kubernetes expands it: unknown names stay as they are. */
function expand(text: string, env: Record<string, string>): string {
  return text.replace(/\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)/g, (whole, name: string) => env[name] ?? whole);
}

/**
 * In a cluster a client finds the token under a fixed path and the server in its environment. A process has no file system of its
 * own, so the same token file is named by a kubeconfig, for a container that mounts it and for no other.
 */
function writeKubeconfig(container: Container, pod: Pod, place: Place, volumes: Map<string, string>): string | undefined {
  for (const mount of container.volumeMounts ?? []) {
    const sources = pod.spec.volumes?.find((volume) => volume.name === mount.name)?.projected?.sources ?? [];
    const token = sources.find((source) => source.serviceAccountToken && source.serviceAccountToken.audience === undefined);
    if (token?.serviceAccountToken === undefined) continue;
    const name = 'in-cluster';
    const tokenFile = join(volumes.get(mount.name) ?? '', token.serviceAccountToken.path);
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        { name, cluster: { server: place.server.url, 'certificate-authority-data': Buffer.from(place.server.ca).toString('base64') } },
      ],
      // client-node reads the file's name only from its own in-cluster configuration, never from a kubeconfig.
      users: [{ name, user: { tokenFile, token: readFileSync(tokenFile, 'utf8') } }],
      contexts: [{ name, context: { cluster: name, user: name, namespace: pod.metadata.namespace } }],
      'current-context': name,
    };
    const path = join(place.folder, `.${container.name}`, 'kubeconfig');
    writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
    return path;
  }
  return undefined;
}
