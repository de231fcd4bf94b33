/**
 * Which fields a manager holds, read from `metadata.managedFields` (KEP-555, fieldsV1). Pure.
 *
 * Paths are written as the API server writes them in a conflict: `.spec.containers[name="web"].image`.
 */
import { createHash } from 'node:crypto';
import { canonicalJson, type KubeObject } from '../object.ts';

type FieldSet = { [key: string]: FieldSet };
type Leaf = { path: string; value: unknown };

/** What one manager applied, in short: a digest of six hex digits for each path, and one over the values there. */
export type OwnedFields = { paths: string; values: string };

const DIGITS = 6;

export function ownedFields(object: KubeObject, manager: string): OwnedFields {
  const leaves = ownedLeaves(object, manager);
  return {
    paths: leaves.map((leaf) => pathDigest(leaf.path)).join(''),
    values: createHash('sha256')
      .update(canonicalJson(leaves.map((leaf) => [leaf.path, leaf.value ?? null])))
      .digest('hex')
      .slice(0, 16),
  };
}

/** Whether we held that path when `paths` was recorded. */
export function heldBefore(paths: string, path: string): boolean {
  const wanted = pathDigest(path);
  for (let at = 0; at < paths.length; at += DIGITS) if (paths.slice(at, at + DIGITS) === wanted) return true;
  return false;
}

export type Difference = { path: string; git: unknown; live: unknown; who: { manager: string; time: string | undefined } | undefined };

/**
 * Where the live object differs from what an apply by `manager` would make of it, field by field of those that it would own. `who` is
 * the other client whose latest write covers the field: an upper bound, and nobody when the field was removed.
 */
export function differences(live: KubeObject, result: KubeObject, manager: string): Difference[] {
  const entry = applyEntry(result, manager);
  const fields = entry?.fieldsV1 as FieldSet | undefined;
  const there = new Map(leavesOf(fields, live, '').map((leaf) => [leaf.path, leaf.value]));
  return leavesOf(fields, result, '')
    .filter((leaf) => canonicalJson(leaf.value ?? null) !== canonicalJson(there.get(leaf.path) ?? null))
    .map((leaf) => ({ path: leaf.path, git: leaf.value, live: there.get(leaf.path), who: holderOf(live, leaf.path, manager) }));
}

function holderOf(object: KubeObject, path: string, us: string): Difference['who'] {
  const holders = (object.metadata.managedFields ?? [])
    .filter(
      (entry) => entry.manager !== us && leavesOf(entry.fieldsV1 as FieldSet | undefined, object, '').some((leaf) => leaf.path === path),
    )
    .sort((a, b) => ((a.time ?? '') < (b.time ?? '') ? 1 : -1));
  return holders[0] && { manager: holders[0].manager, time: holders[0].time };
}

function applyEntry(object: KubeObject, manager: string) {
  return (object.metadata.managedFields ?? []).find((one) => one.manager === manager && one.operation === 'Apply' && !one.subresource);
}

function ownedLeaves(object: KubeObject, manager: string): Leaf[] {
  const entry = (object.metadata.managedFields ?? []).find(
    (one) => one.manager === manager && one.operation === 'Apply' && !one.subresource,
  );
  return leavesOf(entry?.fieldsV1 as FieldSet | undefined, object, '').sort((a, b) => (a.path < b.path ? -1 : 1));
}

function leavesOf(fields: FieldSet | undefined, value: unknown, path: string): Leaf[] {
  const leaves: Leaf[] = [];
  for (const [key, inner] of Object.entries(fields ?? {})) {
    if (key === '.') continue;
    const { step, found } = follow(key, value);
    const here = `${path}${step}`;
    const isLeaf = Object.keys(inner).filter((one) => one !== '.').length === 0;
    if (isLeaf) leaves.push({ path: here, value: found });
    else leaves.push(...leavesOf(inner, found, here));
  }
  return leaves;
}

/** `f:name` a field, `k:{…}` the list item with those keys, `v:…` the set's member, `i:N` an index. */
function follow(key: string, value: unknown): { step: string; found: unknown } {
  const rest = key.slice(2);
  if (key.startsWith('f:')) {
    const isMap = typeof value === 'object' && value !== null && !Array.isArray(value);
    return { step: `.${rest}`, found: isMap ? (value as Record<string, unknown>)[rest] : undefined };
  }
  const items = Array.isArray(value) ? value : [];
  if (key.startsWith('i:')) return { step: `[${rest}]`, found: items[Number(rest)] };
  if (key.startsWith('v:')) {
    const member = JSON.parse(rest) as unknown;
    return { step: `[=${rest}]`, found: items.find((item) => canonicalJson(item) === canonicalJson(member)) };
  }
  const keys = JSON.parse(rest) as Record<string, unknown>;
  const step = Object.entries(keys)
    .map(([name, one]) => `${name}=${JSON.stringify(one)}`)
    .join(',');
  const matches = (item: unknown) =>
    typeof item === 'object' &&
    item !== null &&
    Object.entries(keys).every(([name, one]) => (item as Record<string, unknown>)[name] === one);
  return { step: `[${step}]`, found: items.find(matches) };
}

function pathDigest(path: string): string {
  return createHash('sha256').update(path).digest('hex').slice(0, DIGITS);
}
