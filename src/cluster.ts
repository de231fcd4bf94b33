/**
 * The door to a Kubernetes API server. client-node brings configuration, authentication and transport; the calls are raw JSON,
 * because its generated models drop every field that they do not know, in both directions, and open a connection for each call.
 *
 * Every answer is complete or an error: a list is never short, `undefined` means the API server said that the object is not there.
 */
import type { HttpMethod } from '@kubernetes/client-node';
import { type ApiStatus, apiError, isObjectMissing } from './cluster-error.ts';
import { type Account, type Answer, type Call, type ConnectOptions, connectTransport, type Transport } from './cluster-transport.ts';
import { isPlumblineError, PlumblineError } from './error.ts';
import { type KubeObject, nameOf, type ObjectRef, refOf } from './object.ts';

/** One served kind. `plural` is the path segment (`deployments`). */
export type Resource = { apiVersion: string; kind: string; plural: string; namespaced: boolean; verbs: string[] };
export type KindRef = { apiVersion: string; kind: string };
export type { Account } from './cluster-transport.ts';

/** `force` takes fields from other managers; `dryRun` asks the server to do all but the write. */
export type ApplyOptions = { manager: string; force: boolean; dryRun?: boolean };
/** A delete always names the object it means. Default propagation Background: without it the pods of a Job stay behind. */
export type DeleteOptions = {
  uid: string;
  resourceVersion?: string;
  propagation?: 'Background' | 'Foreground' | 'Orphan';
  dryRun?: boolean;
};
export type ListOptions = { namespace?: string; labels?: string };
/** `warnings`: the server's `Warning` headers (deprecations, Pod Security), as text. */
export type Applied = { object: KubeObject; warnings: string[] };

export type Cluster = {
  /** Host and port, for messages. */
  readonly server: string;
  /** The same connection acting as a service account, by its name; whether it exists is not checked by the API server. */
  as(account: Account): Cluster;
  /** Discovery, remembered; asked again when a kind is not known. Undefined: this cluster does not serve the kind. */
  resource(kind: KindRef): Promise<Resource | undefined>;
  read(ref: ObjectRef): Promise<KubeObject | undefined>;
  list(kind: KindRef, options?: ListOptions): Promise<KubeObject[]>;
  /** As {@link Cluster.list}, without spec and status: `PartialObjectMetadata`. */
  listMetadata(kind: KindRef, options?: ListOptions): Promise<KubeObject[]>;
  /** Server-side apply (KEP-555). */
  apply(object: KubeObject, options: ApplyOptions): Promise<Applied>;
  create(object: KubeObject): Promise<KubeObject>;
  /** PUT; with `metadata.resourceVersion` a compare-and-swap. `status` writes the status subresource. */
  replace(object: KubeObject, subresource?: 'status'): Promise<KubeObject>;
  /** JSON merge patch (RFC 7386). */
  patch(ref: ObjectRef, change: object, subresource?: 'status'): Promise<KubeObject>;
  /** False: it was gone already. Another object under the same name, or another version of it, is API_CONFLICT. */
  delete(ref: ObjectRef, options: DeleteOptions): Promise<boolean>;
};

const PAGE = '500';

/** `resources`: what discovery has told, shared by all who act over this connection. */
type Door = Transport & { resources: Map<string, Promise<Resource[]>> };

/**
 * From KUBECONFIG, else the pod's service account, else the person's kubeconfig; `context` picks another context of it.
 * `timeoutMs`: how long one request may take.
 */
export function connectCluster(options: ConnectOptions = {}): Cluster {
  return clusterOver({ ...connectTransport(options), resources: new Map() });
}

function clusterOver(door: Door, account?: Account): Cluster {
  const ask = async (call: Call): Promise<Answer> => {
    const answer = await door.send(call, account);
    if (answer.status >= 200 && answer.status < 300) return answer;
    throw apiError(answer.status, answer.body as ApiStatus | string, call.about);
  };
  const resource = (kind: KindRef) => discover(door, kind);
  const pathOf = async (ref: ObjectRef, collection = false) => {
    const served = await resource(ref);
    if (!served) {
      throw new PlumblineError('KIND_NOT_SERVED', `this cluster does not serve ${ref.kind} of ${ref.apiVersion}`, {
        at: { object: nameOf(ref) },
        hint: 'install its CustomResourceDefinition first, or correct apiVersion and kind',
      });
    }
    const folder = collectionPath(served, ref.namespace);
    return collection ? folder : `${folder}/${encodeURIComponent(ref.name)}`;
  };
  const objectCall = async (method: HttpMethod, ref: ObjectRef, rest: Partial<Call> & { subresource?: string | undefined } = {}) => {
    const { subresource, ...call } = rest;
    const path = `${await pathOf(ref, method === 'POST')}${subresource ? `/${subresource}` : ''}`;
    return (await ask({ method, path, about: ref, ...call })).body as KubeObject;
  };

  return {
    server: door.server,
    as: (other) => clusterOver(door, other),
    resource,
    async read(ref) {
      try {
        return await objectCall('GET', ref);
      } catch (error) {
        if (isObjectMissing(error)) return undefined;
        throw error;
      }
    },
    list: (kind, options) => listAll(ask, resource, kind, options, 'application/json'),
    listMetadata: (kind, options) =>
      listAll(ask, resource, kind, options, 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json'),
    async apply(object, { manager, force, dryRun }) {
      const ref = refOf(object);
      const query = { fieldManager: manager, force: String(force), fieldValidation: 'Strict', ...(dryRun ? { dryRun: 'All' } : {}) };
      const answer = await ask({
        method: 'PATCH',
        path: await pathOf(ref),
        about: ref,
        query,
        body: object,
        type: 'application/apply-patch+yaml',
      });
      return { object: answer.body as KubeObject, warnings: warningsOf(answer.headers['warning']) };
    },
    create: (object) => objectCall('POST', refOf(object), { body: object, query: { fieldManager: 'plumbline' } }),
    replace: (object, subresource) => objectCall('PUT', refOf(object), { body: object, subresource, query: { fieldManager: 'plumbline' } }),
    patch: (ref, change, subresource) =>
      objectCall('PATCH', ref, { body: change, subresource, type: 'application/merge-patch+json', query: { fieldManager: 'plumbline' } }),
    async delete(ref, { uid, resourceVersion, propagation = 'Background', dryRun }) {
      // Everything stands in the body: beside a body the server ignores the query, and a "dry run" would delete.
      const body = {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        preconditions: { uid, ...(resourceVersion ? { resourceVersion } : {}) },
        propagationPolicy: propagation,
        ...(dryRun ? { dryRun: ['All'] } : {}),
      };
      try {
        await objectCall('DELETE', ref, { body });
        return true;
      } catch (error) {
        if (isObjectMissing(error)) return false;
        throw error;
      }
    },
  };
}

function collectionPath(resource: Resource, namespace: string | undefined): string {
  const root = resource.apiVersion.includes('/') ? `/apis/${resource.apiVersion}` : `/api/${resource.apiVersion}`;
  return `${root}${resource.namespaced && namespace ? `/namespaces/${encodeURIComponent(namespace)}` : ''}/${resource.plural}`;
}

async function discover(door: Door, kind: KindRef): Promise<Resource | undefined> {
  const known = door.resources.get(kind.apiVersion);
  const find = (all: Resource[]) => all.find((one) => one.kind === kind.kind);
  if (known) {
    const found = find(await known);
    if (found) return found;
  }
  const asked = servedBy(door, kind.apiVersion);
  door.resources.set(kind.apiVersion, asked);
  // A failed question is not an answer to keep.
  asked.catch(() => door.resources.delete(kind.apiVersion));
  return find(await asked);
}

async function servedBy(door: Door, apiVersion: string): Promise<Resource[]> {
  const path = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const answer = await door.send({ method: 'GET', path: encodeURI(path) }, undefined);
  if (answer.status === 404) return [];
  if (answer.status !== 200) throw apiError(answer.status, answer.body as ApiStatus | string);
  const { resources } = answer.body as { resources: { name: string; kind: string; namespaced: boolean; verbs: string[] }[] };
  return resources
    .filter((one) => !one.name.includes('/'))
    .map((one) => ({ apiVersion, kind: one.kind, plural: one.name, namespaced: one.namespaced, verbs: one.verbs }));
}

type Page = { kind: string; metadata?: { continue?: string }; items: KubeObject[] | null };

async function listAll(
  ask: (call: Call) => Promise<Answer>,
  resource: Cluster['resource'],
  kind: KindRef,
  options: ListOptions = {},
  accept: string,
): Promise<KubeObject[]> {
  const served = await resource(kind);
  if (!served) throw new PlumblineError('KIND_NOT_SERVED', `this cluster does not serve ${kind.kind} of ${kind.apiVersion}`);
  const path = collectionPath(served, options.namespace);
  for (let restarts = 0; ; restarts++) {
    try {
      return await allPages(ask, { method: 'GET', path, accept }, kind, options.labels);
    } catch (error) {
      // The continue token outlived etcd's history (410): what was read so far is no list, begin again.
      const expired = isPlumblineError(error) && error.code === 'API_EXPIRED';
      if (!expired || restarts === 2) throw error;
    }
  }
}

async function allPages(
  ask: (call: Call) => Promise<Answer>,
  call: Call,
  kind: KindRef,
  labels: string | undefined,
): Promise<KubeObject[]> {
  const items: KubeObject[] = [];
  let next = '';
  do {
    const query = { limit: PAGE, ...(labels ? { labelSelector: labels } : {}), ...(next ? { continue: next } : {}) };
    const page = (await ask({ ...call, query })).body as Page;
    // An empty metadata list is `"items": null`. Items of a list carry no type of their own.
    for (const item of page.items ?? []) items.push({ ...item, apiVersion: kind.apiVersion, kind: kind.kind });
    next = page.metadata?.continue ?? '';
  } while (next);
  return items;
}

/** `299 - "text", 299 - "text"` (RFC 7234 5.5, as Kubernetes writes it). */
function warningsOf(header: string | undefined): string[] {
  return [...(header ?? '').matchAll(/299 \S+ "((?:[^"\\]|\\.)*)"/g)].map((match) => (match[1] ?? '').replaceAll('\\"', '"'));
}
