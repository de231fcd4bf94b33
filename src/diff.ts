/**
 * What changes between two sets of objects: a value that can be printed, counted and judged. List items are matched by their key
 * (a container by its name), so that another order is no change. Values of Secrets never enter it.
 */
import type { Finding } from './error.ts';
import { canonicalJson, type KubeObject, keyOf, type ObjectRef, refOf, type SourcedObject } from './object.ts';
import { maskPair } from './secrets.ts';

/**
 * `pointer` leads to the field in the newer object (in the older one when it is gone), `path` is for people:
 * `spec.template.spec.containers[web].image`. A missing `was` or `is`: the field is not set there.
 */
export type FieldChange = { pointer: string; path: string; was?: unknown; is?: unknown };

/** `before` and `after` are masked, and `before` is in the order of `after`. `source` is that of `after`, or of a removed object. */
export type ObjectChange = {
  kind: 'added' | 'removed' | 'changed';
  ref: ObjectRef;
  before: KubeObject | undefined;
  after: KubeObject | undefined;
  fields: FieldChange[];
  source: Omit<SourcedObject, 'object'>;
};

export type ImageChange = { ref: ObjectRef; pointer: string; was: string; is: string };

/** Removed, changed, added, each in the order of their keys; `unchanged` counts the rest. */
export type ChangeSet = { changes: ObjectChange[]; unchanged: number; images: ImageChange[] };

type Fields = Record<string, unknown>;
type Keyed = { keys: string[]; items: Map<string, { item: unknown; index: number }> };

/** What names an item in lists of Kubernetes, the more particular first. */
const listKeys: readonly (readonly [field: string, ...more: string[]])[] = [
  ['containerPort', 'protocol'],
  ['mountPath'],
  ['name'],
  ['port', 'protocol'],
  ['key', 'operator', 'effect'],
  ['devicePath'],
  ['ip'],
  ['host'],
  ['type'],
  ['topologyKey'],
  ['path'],
];

const kinds = ['removed', 'changed', 'added'] as const;

/** `findings` of the head: what a file held that cannot be read there is unknown, and not called removed. */
export function diffObjects(base: readonly SourcedObject[], head: readonly SourcedObject[], findings: readonly Finding[] = []): ChangeSet {
  const unread = new Set(findings.flatMap(({ severity, at }) => (severity === 'error' && at?.file ? [at.file] : [])));
  const before = new Map(base.map((one) => [keyOf(refOf(one.object)), one]));
  const after = new Map(head.map((one) => [keyOf(refOf(one.object)), one]));
  const changes: ObjectChange[] = [];
  let unchanged = 0;
  for (const key of [...new Set([...before.keys(), ...after.keys()])].sort()) {
    const change = changeOf(before.get(key), after.get(key));
    if (!change) unchanged += 1;
    else if (change.kind !== 'removed' || !unread.has(change.source.file)) changes.push(change);
  }
  changes.sort((a, b) => kinds.indexOf(a.kind) - kinds.indexOf(b.kind));
  return { changes, unchanged, images: changes.flatMap(imagesOf) };
}

function changeOf(was: SourcedObject | undefined, is: SourcedObject | undefined): ObjectChange | undefined {
  const one = is ?? was;
  if (!one) return undefined;
  const { before, after } = maskPair(was?.object, is?.object);
  const { object, ...source } = one;
  const ref = refOf(object);
  if (!before || !after) return { kind: after ? 'added' : 'removed', ref, before, after, fields: [], source };
  const fields: FieldChange[] = [];
  compare(before, after, { pointer: '', path: '' }, fields);
  if (fields.length === 0) return undefined;
  return { kind: 'changed', ref, before: inOrderOf(before, after, '') as KubeObject, after, fields, source };
}

type Place = { pointer: string; path: string };

function compare(was: unknown, is: unknown, place: Place, found: FieldChange[]): void {
  if (isFields(was) && isFields(is)) {
    for (const key of new Set([...Object.keys(is), ...Object.keys(was)])) {
      compare(own(was, key), own(is, key), below(place, key), found);
    }
  } else if (Array.isArray(was) && Array.isArray(is)) compareLists(was, is, place, found);
  else if (was === undefined || is === undefined || canonicalJson(was) !== canonicalJson(is)) {
    if (was === undefined && is === undefined) return;
    found.push({ ...place, ...(was === undefined ? {} : { was }), ...(is === undefined ? {} : { is }) });
  }
}

function compareLists(was: unknown[], is: unknown[], place: Place, found: FieldChange[]): void {
  const keyed = keyedPair(was, is);
  if (keyed) {
    const [before, after] = keyed;
    for (const key of new Set([...after.keys, ...before.keys])) {
      const index = (after.items.get(key) ?? before.items.get(key))?.index ?? 0;
      const here = { pointer: `${place.pointer}/${index}`, path: `${place.path}[${key}]` };
      compare(before.items.get(key)?.item, after.items.get(key)?.item, here, found);
    }
    if (isOrdered(place.pointer)) compareOrder(before.keys, after.keys, place, found);
  } else if (canonicalJson(was) !== canonicalJson(is)) {
    if (![...was, ...is].every(isFields) || was.length !== is.length) found.push({ ...place, was, is });
    else
      for (const [index, item] of is.entries())
        compare(was[index], item, { pointer: `${place.pointer}/${index}`, path: `${place.path}[${index}]` }, found);
  }
}

function compareOrder(was: string[], is: string[], place: Place, found: FieldChange[]): void {
  const common = (keys: string[], others: string[]): string[] => keys.filter((key) => others.includes(key));
  const [before, after] = [common(was, is), common(is, was)];
  if (before.join('\0') !== after.join('\0')) found.push({ ...place, path: `${place.path} (order)`, was: before, is: after });
}

/** Init containers run one after the other: their order is a setting. */
function isOrdered(pointer: string): boolean {
  return pointer.endsWith('/initContainers');
}

/** Both lists by the first key that every item of both has and that no two items of one share. */
function keyedPair(was: unknown[], is: unknown[]): [Keyed, Keyed] | undefined {
  if (was.length + is.length === 0 || ![...was, ...is].every(isFields)) return undefined;
  for (const names of listKeys) {
    const [before, after] = [keyed(was as Fields[], names), keyed(is as Fields[], names)];
    if (before && after) return [before, after];
  }
  return undefined;
}

function keyed(list: Fields[], [field, ...more]: readonly [string, ...string[]]): Keyed | undefined {
  const items = new Map<string, { item: unknown; index: number }>();
  for (const [index, item] of list.entries()) {
    if (typeof item[field] !== 'string' && typeof item[field] !== 'number') return undefined;
    const parts = [field, ...more].map((name) => (name === 'protocol' && item[name] === 'TCP' ? undefined : own(item, name)));
    const key = parts.filter((part) => part !== undefined).join('/');
    if (items.has(key)) return undefined;
    items.set(key, { item, index });
  }
  return { keys: [...items.keys()], items };
}

/** The older value with keys and keyed items in the order of the newer, so that a line diff shows changes only. */
function inOrderOf(was: unknown, is: unknown, pointer: string): unknown {
  if (isFields(was) && isFields(is)) {
    const keys = [
      ...Object.keys(is).filter((key) => Object.hasOwn(was, key)),
      ...Object.keys(was).filter((key) => !Object.hasOwn(is, key)),
    ];
    return Object.fromEntries(keys.map((key) => [key, inOrderOf(was[key], own(is, key), `${pointer}/${key}`)]));
  }
  if (!Array.isArray(was) || !Array.isArray(is)) return was;
  const pair = isOrdered(pointer) ? undefined : keyedPair(was, is);
  if (!pair) return was;
  const [before, after] = pair;
  const keys = [...after.keys.filter((key) => before.items.has(key)), ...before.keys.filter((key) => !after.items.has(key))];
  return keys.map((key) => inOrderOf(before.items.get(key)?.item, after.items.get(key)?.item, `${pointer}/${key}`));
}

function imagesOf({ kind, ref, fields }: ObjectChange): ImageChange[] {
  if (kind !== 'changed') return [];
  return fields.flatMap(({ pointer, was, is }) =>
    /\/(containers|initContainers)\/\d+\/image$/.test(pointer) && typeof was === 'string' && typeof is === 'string'
      ? [{ ref, pointer, was, is }]
      : [],
  );
}

function below(place: Place, key: string): Place {
  const plain = /^[A-Za-z0-9_-]+$/.test(key);
  const path = plain ? `${place.path}${place.path ? '.' : ''}${key}` : `${place.path}[${JSON.stringify(key)}]`;
  return { pointer: `${place.pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`, path };
}

function own(fields: Fields, key: string): unknown {
  return Object.hasOwn(fields, key) ? fields[key] : undefined;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
