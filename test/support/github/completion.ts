/**
 * Fills what GitHub always sends and this GitHub does not model (hundreds of links, counters and flags) from the contract, so that
 * an answer has GitHub's full shape. What is modelled is never touched; the rest is neutral: null where allowed, false, 0, empty,
 * a link under the object's own `url`.
 */
import { contract, type Schema } from './contract.ts';

type Value = Record<string, unknown>;

function follow(schema: Schema): Schema {
  let here = schema;
  while (typeof here['$ref'] === 'string') {
    const [, home, name] = here['$ref'].split('/');
    here = (home === 'schemas' ? contract.schemas : contract.webhookSchemas)[name ?? ''] ?? {};
  }
  return here;
}

/** Alternatives may nest: an account is null or (a user or an enterprise). */
function alternatives(schema: Schema): Schema[] {
  const own = ((schema['anyOf'] ?? schema['oneOf'] ?? []) as Schema[]).map(follow);
  return own.flatMap((one) => (one['properties'] || one['items'] || one['type'] ? [one] : [one, ...alternatives(one)]));
}

const parts = (schema: Schema, keyword: 'allOf' | 'anyOf' | 'oneOf') => ((schema[keyword] ?? []) as Schema[]).map(follow);

/** What describes an object's properties: the schema itself, all of `allOf`, and of alternatives the first that holds any. */
function objectShapes(schema: Schema): Schema[] {
  const here = follow(schema);
  const all = parts(here, 'allOf').flatMap(objectShapes);
  if (here['properties']) return [here, ...all];
  const either = [...parts(here, 'anyOf'), ...parts(here, 'oneOf')].map(objectShapes).find((shapes) => shapes.length > 0);
  return [...all, ...(either ?? [])];
}

function itemsOf(schema: Schema): Schema | undefined {
  const here = follow(schema);
  return (here['items'] as Schema | undefined) ?? [...parts(here, 'anyOf'), ...parts(here, 'oneOf')].map(itemsOf).find(Boolean);
}

function typeOf(schema: Schema): string[] {
  const type = schema['type'];
  if (Array.isArray(type)) return type as string[];
  if (typeof type === 'string') return [type];
  return schema['properties'] ? ['object'] : [];
}

/** `value` with all that `schema` requires. Nested objects and lists are completed too. */
export function complete(schema: Schema, value: unknown): unknown {
  if (Array.isArray(value)) {
    const items = itemsOf(schema);
    return items ? value.map((one) => complete(items, one)) : value;
  }
  if (typeof value !== 'object' || value === null) return value;
  const given = value as Value;
  const made: Value = { ...given };
  for (const shape of objectShapes(schema)) {
    const properties = (shape['properties'] ?? {}) as Record<string, Schema>;
    for (const [name, inner] of Object.entries(properties)) if (name in given) made[name] = complete(inner, made[name]);
    for (const name of (shape['required'] ?? []) as string[])
      if (made[name] === undefined) made[name] = neutral(properties[name] ?? {}, name, given);
  }
  return made;
}

const DEFAULTS: Record<string, (name: string, owner: Value) => unknown> = {
  null: () => null,
  string: (name, owner) => textOf(name, owner),
  boolean: () => false,
  integer: () => 0,
  number: () => 0,
  array: () => [],
  object: () => ({}),
};

function neutral(schema: Schema, name: string, owner: Value): unknown {
  const here = follow(schema);
  const types = [here, ...alternatives(here)].flatMap(typeOf);
  if (types.includes('null')) return null;
  if (Array.isArray(here['enum'])) return here['default'] ?? here['enum'][0];
  const type = types[0] ?? 'object';
  if (type === 'object') return complete(here, {});
  if (here['format'] === 'date-time') return owner['created_at'] ?? '2020-01-01T00:00:00Z';
  return DEFAULTS[type]?.(name, owner);
}

function textOf(name: string, owner: Value): string {
  if (name === 'node_id') return Buffer.from(`${owner['id'] ?? owner['sha'] ?? ''}`).toString('base64');
  if (name === 'url') return 'http://127.0.0.1/';
  if (name.endsWith('_url')) return `${owner['url'] ?? 'http://127.0.0.1'}/${name.slice(0, -'_url'.length)}`;
  return '';
}
