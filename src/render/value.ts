/**
 * A parsed YAML document to the JSON value that Kubernetes would get, with the line of every field. What would arrive as something
 * else than what is written (a doubled key, a foreign tag, a number too long) is a fault with its place.
 */
import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type LineCounter,
  type Node,
  type Scalar,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import type { ErrorCode } from '../error-codes.ts';
import { isWhole, readPlain, readTagged, type ScalarReading } from './scalar.ts';

export type Built = {
  value: unknown;
  lines: Record<string, number>;
  fails: { offset: number; code: ErrorCode; message: string; hint?: string }[];
};

/** All that aliases may multiply a document into. */
const mostNodes = 200_000;
const mostDepth = 64;
const foreignEscape = /(^|[^\\])(\\\\)*\\(\/|u[dD][89a-fA-F])/;
const ownTags = new Set(['str', 'int', 'float', 'bool', 'null', 'map', 'seq'].map((name) => `tag:yaml.org,2002:${name}`));

type Walk = {
  built: Built;
  counter: LineCounter;
  /** The whole text; undefined for JSON, where every escape of JSON is fine. */
  yaml: string | undefined;
  anchors: Map<string, Node>;
  open: Set<Node>;
  nodes: number;
};

/** `yaml`: the text of the file; undefined for JSON, which has escapes that YAML 1.1 has not. */
export function buildValue(document: Document.Parsed, counter: LineCounter, yaml: string | undefined): Built {
  const built: Built = { value: undefined, lines: Object.create(null) as Record<string, number>, fails: [] };
  const walk: Walk = { built, counter, yaml, anchors: new Map(), open: new Set(), nodes: 0 };
  built.value = document.contents === null ? null : jsonOf(walk, document.contents, '', 0);
  return built;
}

function fail(walk: Walk, node: Node, code: ErrorCode, message: string, hint?: string): undefined {
  const offset = node.range?.[0] ?? 0;
  walk.built.fails.push(hint === undefined ? { offset, code, message } : { offset, code, message, hint });
  return undefined;
}

function jsonOf(walk: Walk, node: Node, pointer: string, depth: number): unknown {
  walk.nodes += 1;
  if (walk.nodes > mostNodes) {
    return walk.nodes > mostNodes + 1
      ? undefined
      : fail(walk, node, 'YAML_TOO_COMPLEX', `a document holds more than ${mostNodes} values, aliases written out`);
  }
  if (depth > mostDepth) return fail(walk, node, 'YAML_TOO_COMPLEX', `aliases nest this deeper than ${mostDepth} levels`);
  if (isAlias(node)) return aliased(walk, node, pointer, depth);
  if (node.anchor && !/^[A-Za-z0-9_-]+$/.test(node.anchor)) {
    return fail(walk, node, 'YAML_UNPARSABLE', `&${node.anchor} is not an anchor: letters, digits, - and _ were expected`);
  }
  if (isScalar(node) && node.anchor) walk.anchors.set(node.anchor, node);
  if (isScalar(node)) return scalarOf(walk, node);
  if (!isMap(node) && !isSeq(node)) return fail(walk, node, 'YAML_UNPARSABLE', 'a mapping, a list or a value was expected');
  if (node.anchor) walk.anchors.set(node.anchor, node);
  if (node.tag && !ownTags.has(node.tag)) return foreignTag(walk, node, node.tag);
  walk.open.add(node);
  const value = isMap(node) ? mapOf(walk, node, pointer, depth) : listOf(walk, node, pointer, depth);
  walk.open.delete(node);
  return value;
}

function aliased(walk: Walk, alias: Alias, pointer: string, depth: number): unknown {
  const target = walk.anchors.get(alias.source);
  if (!target) return fail(walk, alias, 'YAML_UNPARSABLE', `there is no anchor &${alias.source} before this alias`);
  if (walk.open.has(target)) return fail(walk, alias, 'YAML_UNPARSABLE', `the anchor &${alias.source} contains itself`);
  return jsonOf(walk, target, pointer, depth);
}

function listOf(walk: Walk, list: YAMLSeq, pointer: string, depth: number): unknown[] {
  return list.items.map((item, index) => {
    const place = `${pointer}/${index}`;
    note(walk, place, item as Node);
    return jsonOf(walk, item as Node, place, depth + 1);
  });
}

function mapOf(walk: Walk, map: YAMLMap, pointer: string, depth: number): Record<string, unknown> {
  const value: Record<string, unknown> = {};
  const written = new Set<string>();
  for (const { key, value: inner } of map.items as { key: Node | null; value: Node | null }[]) {
    if (isMergeKey(key)) {
      merge(walk, value, inner, pointer, depth);
      continue;
    }
    const name = keyOf(walk, key, map);
    if (name === undefined) continue;
    if (written.has(name)) fail(walk, key ?? map, 'YAML_DUPLICATE_KEY', `the key ${JSON.stringify(name)} stands twice in one mapping`);
    written.add(name);
    const place = `${pointer}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    note(walk, place, key ?? map);
    value[name] = inner === null ? null : jsonOf(walk, inner, place, depth + 1);
  }
  return value;
}

/** `<<: *defaults` or a list of such. In the order in which they stand, as Kubernetes' reader has it; of a list the first wins. */
function merge(walk: Walk, into: Record<string, unknown>, node: Node | null, pointer: string, depth: number): void {
  const sources = isSeq(node) ? [...(node.items as Node[])].reverse() : [node];
  for (const source of sources) {
    const value = source === null ? null : jsonOf(walk, source, pointer, depth + 1);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) Object.assign(into, value);
    else if (source === null || value !== undefined) {
      walk.built.fails.push({ offset: source?.range?.[0] ?? 0, code: 'YAML_UNPARSABLE', message: 'what `<<` merges must be a mapping' });
    }
  }
}

function isMergeKey(key: Node | null): boolean {
  return isScalar(key) && key.type === 'PLAIN' && key.value === '<<' && !key.tag;
}

function keyOf(walk: Walk, key: Node | null, map: YAMLMap): string | undefined {
  const value = key === null ? null : jsonOf(walk, key, '', 0);
  if (value === undefined) return undefined;
  if (value === '__proto__') return fail(walk, key ?? map, 'YAML_VALUE_AMBIGUOUS', 'the key __proto__ is not read');
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean' || (typeof value === 'number' && isScalar(key) && isWhole(key.source ?? ''))) return String(value);
  return fail(walk, key ?? map, 'YAML_VALUE_AMBIGUOUS', 'a key must be text, a whole number, true or false', 'quote the key');
}

function scalarOf(walk: Walk, node: Scalar): unknown {
  const text = String(node.value ?? '');
  if (node.tag && !ownTags.has(node.tag)) return foreignTag(walk, node, node.tag);
  if (node.type === 'QUOTE_DOUBLE' && foreignEscape.test(walk.yaml?.slice(node.range?.[0], node.range?.[1]) ?? '')) {
    return fail(walk, node, 'YAML_UNPARSABLE', 'YAML 1.1 has no escape \\/ and no halves of surrogate pairs', 'write the character itself');
  }
  const reading: ScalarReading = node.tag ? readTagged(node.tag, text) : node.type === 'PLAIN' ? readPlain(text) : { value: text };
  return 'problem' in reading ? fail(walk, node, 'YAML_VALUE_AMBIGUOUS', reading.problem) : reading.value;
}

function foreignTag(walk: Walk, node: Node, tag: string): undefined {
  return fail(walk, node, 'YAML_VALUE_AMBIGUOUS', `the tag ${tag} means nothing to Kubernetes`, 'remove the tag, or quote the value');
}

/** The first place that sets a field is its line; what a merge brings later does not move it. */
function note(walk: Walk, pointer: string, node: Node): void {
  const start = node.range?.[0];
  if (start !== undefined) walk.built.lines[pointer] ??= walk.counter.linePos(start).line;
}
