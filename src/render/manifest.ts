/**
 * Documents to Kubernetes objects: what every object must have, lists unrolled, and the few normalisations of SPEC 2. The rest
 * stays as it is written. Everything that is wrong with a document is found at once.
 */
import { type Finding, finding } from '../error.ts';
import type { ErrorCode } from '../error-codes.ts';
import { groupOf, type KubeMetadata, type KubeObject, nameOf, refOf, type SourcedObject } from '../object.ts';
import type { ReadDocument } from './document.ts';

type Fields = Record<string, unknown>;

/** One document or one item of a list, with the pointer under which its lines are noted. */
type Part = { value: unknown; file: string; line: number; lines: Record<string, number>; under: string };

export type ReadObjects = { objects: SourcedObject[]; findings: Finding[] };

const label = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const serverOwned = ['managedFields', 'creationTimestamp', 'uid', 'resourceVersion', 'generation', 'selfLink'] as const;

export function readObjects(file: string, document: ReadDocument): ReadObjects {
  const read: ReadObjects = { objects: [], findings: [] };
  for (const part of partsOf({ ...document, file, under: '' })) {
    const findings = faultsOf(part);
    read.findings.push(...findings);
    if (findings.length === 0) read.objects.push(sourced(part));
  }
  return read;
}

/** `kind: List` (and `ConfigMapList` and the like) is what it holds. */
function* partsOf(part: Part): Generator<Part> {
  const { value, under, lines } = part;
  const items = isFields(value) && typeof value['kind'] === 'string' && value['kind'].endsWith('List') ? value['items'] : undefined;
  if (!Array.isArray(items)) {
    yield part;
    return;
  }
  for (const [index, item] of items.entries()) {
    const place = `${under}/items/${index}`;
    yield* partsOf({ ...part, value: item, under: place, line: lines[place] ?? part.line });
  }
}

function faultsOf(part: Part): Finding[] {
  const { value } = part;
  const found: Finding[] = [];
  const add = (code: ErrorCode, field: string, message: string, hint?: string): void => {
    const line = part.lines[`${part.under}${field}`] ?? part.line;
    found.push(
      finding('error', code, message, {
        at: { file: part.file, line, ...(field ? { field } : {}) },
        ...(hint === undefined ? {} : { hint }),
      }),
    );
  };
  if (!isFields(value)) {
    add('MANIFEST_INVALID', '', `a Kubernetes object was expected, found ${kindOfValue(value)}`);
    return found;
  }
  typeFaults(value, add);
  const metadata = value['metadata'];
  if (!isFields(metadata))
    add(
      'MANIFEST_INVALID',
      metadata === undefined ? '' : '/metadata',
      `metadata must be a mapping with a name, found ${kindOfValue(metadata)}`,
    );
  else nameFaults(value, metadata, add);
  if (value['kind'] === 'Secret' && value['apiVersion'] === 'v1') secretFaults(value, add);
  return found;
}

type Add = (code: ErrorCode, field: string, message: string, hint?: string) => void;

function typeFaults(value: Fields, add: Add): void {
  const { apiVersion, kind } = value;
  if (typeof apiVersion !== 'string')
    add('MANIFEST_INVALID', '/apiVersion', `apiVersion must be text such as apps/v1, found ${kindOfValue(apiVersion)}`);
  else if (/^(pipeops\.io|kustomize\.config\.k8s\.io)\//.test(apiVersion)) {
    add('TYPE_NOT_SUPPORTED', '/apiVersion', `${apiVersion} is not rendered by this version; plain Kubernetes manifests are`);
  } else if (!/^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?v[0-9][a-z0-9]*$/.test(apiVersion) || apiVersion.length > 300) {
    add('MANIFEST_INVALID', '/apiVersion', `the apiVersion ${show(apiVersion)} is not a version such as v1 or apps/v1`);
  }
  if (typeof kind !== 'string') add('MANIFEST_INVALID', '/kind', `kind must be text such as Deployment, found ${kindOfValue(kind)}`);
  else if (!/^[A-Z][A-Za-z0-9]{0,62}$/.test(kind)) {
    const upper = /^[a-z][A-Za-z0-9]*$/.test(kind) ? `write ${kind.charAt(0).toUpperCase()}${kind.slice(1, 60)}` : undefined;
    add('MANIFEST_INVALID', '/kind', `the kind ${show(kind)} does not begin with a capital letter or holds other signs`, upper);
  }
}

function nameFaults(value: Fields, metadata: Fields, add: Add): void {
  const { name, namespace } = metadata;
  if (name === undefined && metadata['generateName'] !== undefined) {
    add('MANIFEST_INVALID', '/metadata/generateName', 'generateName makes a new object at every sync; give metadata.name');
  } else if (typeof name !== 'string' || name === '') {
    add(
      'MANIFEST_INVALID',
      name === undefined ? '/metadata' : '/metadata/name',
      `metadata.name must be text, found ${kindOfValue(name)}`,
      quoteHint(name),
    );
  } else if (!isName(value, name)) {
    add('OBJECT_NAME_INVALID', '/metadata/name', `the name ${show(name)} is not valid: ${expectedName(value)} was expected`);
  }
  if (namespace !== undefined && namespace !== null && namespace !== '' && (typeof namespace !== 'string' || !label.test(namespace))) {
    add(
      'OBJECT_NAME_INVALID',
      '/metadata/namespace',
      `the namespace ${show(namespace)} is not valid: lower case letters, digits and - were expected`,
    );
  }
  for (const field of ['labels', 'annotations']) {
    const entries = metadata[field];
    if (entries === undefined || entries === null) continue;
    if (!isFields(entries)) {
      add('MANIFEST_INVALID', `/metadata/${field}`, `metadata.${field} must be a mapping, found ${kindOfValue(entries)}`);
      continue;
    }
    for (const [key, entry] of Object.entries(entries)) {
      if (typeof entry === 'string') continue;
      const place = `/metadata/${field}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
      add('MANIFEST_INVALID', place, `metadata.${field} ${show(key)} must be text, found ${kindOfValue(entry)}`, quoteHint(entry));
    }
  }
}

/** Values of Secrets are never quoted in a message. */
function secretFaults(value: Fields, add: Add): void {
  for (const field of ['data', 'stringData']) {
    const entries = value[field];
    if (entries === undefined || entries === null) continue;
    if (!isFields(entries)) add('MANIFEST_INVALID', `/${field}`, `${field} must be a mapping, found ${kindOfValue(entries)}`);
    else {
      for (const [key, entry] of Object.entries(entries)) {
        const text = typeof entry === 'string' || (entry === null && field === 'data');
        if (!text)
          add('MANIFEST_INVALID', `/${field}/${key}`, `${field} ${show(key)} must be text, found ${kindOfValue(entry)}`, quoteHint(entry));
        else if (field === 'data' && !isBase64(String(entry ?? '')))
          add('MANIFEST_INVALID', `/${field}/${key}`, `${field} ${show(key)} is not base64`, 'write plain text under stringData');
      }
    }
  }
}

/** As the API server reads it, line breaks left out. What other tools fill in later (`<path>`, `${NAME}`, `ENC[…]`) is theirs to judge. */
function isBase64(text: string): boolean {
  return /[<[$]/.test(text) || /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text.replace(/[\r\n]/g, ''));
}

function isName(value: Fields, name: string): boolean {
  if (usesPathNames(value)) return name.length <= 253 && !/[/%]/.test(name) && name !== '.' && name !== '..';
  if (value['kind'] === 'Namespace') return label.test(name);
  return name.length <= 253 && name.split('.').every((part) => /^[a-z0-9]$|^[a-z0-9][-a-z0-9]*[a-z0-9]$/.test(part));
}

function expectedName(value: Fields): string {
  return usesPathNames(value) ? 'a name without / and %' : 'lower case letters, digits, - and . that begin and end with a letter or digit';
}

/** Roles and bindings may be called `system:reader`. */
function usesPathNames(value: Fields): boolean {
  return typeof value['apiVersion'] === 'string' && groupOf(value['apiVersion']) === 'rbac.authorization.k8s.io';
}

function sourced({ value, file, line, lines, under }: Part): SourcedObject {
  const own: Record<string, number> = {};
  for (const [pointer, at] of Object.entries(lines)) {
    if (pointer.startsWith(`${under}/`)) own[pointer.slice(under.length)] = at;
  }
  const object = normalise(value as KubeObject, own);
  return { object, file, line, lines: own };
}

/** SPEC 2: what the server owns is dropped, a Secret's stringData becomes data; everything else stays as written. */
function normalise(written: KubeObject, lines: Record<string, number>): KubeObject {
  const { status: _, ...object } = written;
  const metadata: KubeMetadata = { ...written.metadata };
  for (const field of serverOwned) delete metadata[field];
  if (!metadata.namespace) delete metadata.namespace;
  object.metadata = metadata;
  if (object.kind !== 'Secret' || object.apiVersion !== 'v1' || !isFields(object['stringData'])) return object as KubeObject;
  const data: Fields = isFields(object['data']) ? { ...object['data'] } : {};
  for (const [key, text] of Object.entries(object['stringData'])) {
    data[key] = Buffer.from(String(text), 'utf8').toString('base64');
    const line = lines[`/stringData/${key}`];
    if (line !== undefined) lines[`/data/${key}`] = line;
  }
  delete object['stringData'];
  return { ...object, data } as KubeObject;
}

/** The second of two documents with one identity, each with the place of the first. */
export function duplicatesOf(objects: readonly SourcedObject[], keyOf: (object: SourcedObject) => string): Finding[] {
  const first = new Map<string, SourcedObject>();
  const found: Finding[] = [];
  for (const one of objects) {
    const earlier = first.get(keyOf(one));
    if (!earlier) first.set(keyOf(one), one);
    else {
      const name = nameOf(refOf(one.object));
      const message = `${name} is already described at ${earlier.file}:${earlier.line}`;
      found.push(finding('error', 'OBJECT_DUPLICATE', message, { at: { file: one.file, line: one.line, object: name } }));
    }
  }
  return found;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function kindOfValue(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  if (value === '') return 'empty text';
  return typeof value === 'string' ? 'text' : typeof value === 'boolean' ? 'true or false' : 'a number';
}

function quoteHint(value: unknown): string | undefined {
  return typeof value === 'number' || typeof value === 'boolean' ? 'put it in quotes' : undefined;
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
