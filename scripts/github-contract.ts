/**
 * Cuts the contract of the loopback GitHub out of GitHub's published descriptions.
 *
 *     node scripts/github-contract.ts [FOLDER]
 *
 * FOLDER holds `@octokit/openapi` and `@octokit/openapi-webhooks` under `node_modules`; without it they are fetched into a
 * temporary folder. Neither is a dependency: together they weigh 420 MB. Only `generated/api.github.com.json` is read, never a
 * package's index, which loads ten such files.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OPERATIONS, WEBHOOKS } from '../test/support/github/operations.ts';

const PACKAGES = { '@octokit/openapi': '23.0.2', '@octokit/openapi-webhooks': '12.1.0' };
const CONTRACT = new URL('../test/support/github/contract.json', import.meta.url);
const EXAMPLES = new URL('../test/fixtures/github/examples.json', import.meta.url);

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type Mapping = { [key: string]: Json };

const PROSE = new Set(['description', 'example', 'examples', 'title', 'externalDocs', 'readOnly', 'deprecated', 'summary']);

const isMapping = (value: Json | undefined): value is Mapping => typeof value === 'object' && value !== null && !Array.isArray(value);
const mapping = (value: Json | undefined): Mapping => (isMapping(value) ? value : {});
const list = (value: Json | undefined): Json[] => (Array.isArray(value) ? value : []);

/** One description, with the schemas that were reached from what was cut out of it. */
class Source {
  readonly document: Mapping;
  readonly home: string;
  readonly schemas: Mapping = {};

  constructor(document: Mapping, home: string) {
    this.document = document;
    this.home = home;
  }

  follow(value: Json | undefined): Mapping {
    let here = value;
    while (isMapping(here) && typeof here['$ref'] === 'string') here = this.at(here['$ref']);
    return mapping(here);
  }

  at(reference: string): Json | undefined {
    let here: Json | undefined = this.document;
    for (const part of reference.slice(2).split('/')) here = mapping(here)[part.replaceAll('~1', '/').replaceAll('~0', '~')];
    return here;
  }

  /** A schema without prose, `nullable` as JSON Schema says it, its references moved to `home`. Keys inside `properties` are names. */
  schema(value: Json | undefined): Json {
    if (Array.isArray(value)) return value.map((inner) => this.schema(inner));
    if (!isMapping(value)) return value ?? null;
    if (typeof value['$ref'] === 'string') return { $ref: this.keep(value['$ref']) };
    const made: Mapping = {};
    for (const [key, inner] of Object.entries(value)) {
      if (PROSE.has(key) || key.startsWith('x-') || key === 'nullable') continue;
      if (key === 'properties') made[key] = Object.fromEntries(Object.entries(mapping(inner)).map(([name, of]) => [name, this.schema(of)]));
      else if (key === 'enum' || key === 'default' || key === 'required') made[key] = inner;
      else made[key] = this.schema(inner);
    }
    return value['nullable'] === true ? orNull(made) : made;
  }

  keep(reference: string): string {
    const name = reference.slice('#/components/schemas/'.length);
    if (!(name in this.schemas)) {
      this.schemas[name] = true;
      this.schemas[name] = this.schema(this.at(reference));
    }
    return `#/${this.home}/${name}`;
  }
}

/** OpenAPI 3.0's `nullable`, also where it stands beside `allOf`, `oneOf`, `anyOf`. */
function orNull(schema: Mapping): Mapping {
  if (Array.isArray(schema['enum']) && !schema['enum'].includes(null)) schema['enum'] = [...schema['enum'], null];
  if (typeof schema['type'] === 'string') return { ...schema, type: [schema['type'], 'null'] };
  return Object.keys(schema).length ? { anyOf: [schema, { type: 'null' }] } : schema;
}

/** The description lets every unknown parameter pass; a misspelt one must fail, so objects are closed at the top level. */
function closed(schema: Json): Json {
  if (!isMapping(schema)) return schema;
  if (isMapping(schema['properties'])) return { ...schema, additionalProperties: false };
  if (schema['oneOf']) return { ...schema, oneOf: list(schema['oneOf']).map(closed) };
  return schema;
}

function jsonOf(source: Source, content: Json | undefined): Mapping | undefined {
  const types = mapping(content);
  const type = 'application/json' in types ? 'application/json' : Object.keys(types).find((name) => name.includes('json'));
  return type === undefined ? undefined : source.follow(types[type]);
}

function parameters(source: Source, operation: Mapping, place: 'path' | 'query'): Json {
  const found = list(operation['parameters'])
    .map((one) => source.follow(one))
    .filter((one) => one['in'] === place);
  return {
    type: 'object',
    properties: Object.fromEntries(found.map((one) => [String(one['name']), source.schema(one['schema'])])),
    required: found.filter((one) => one['required'] === true).map((one) => String(one['name'])),
    additionalProperties: false,
  };
}

type Cut = { operation: Mapping; examples: Mapping[] };

function cutOperation(source: Source, name: string): Cut {
  const [method = '', path = ''] = name.split(' ');
  const operation = mapping(mapping(mapping(source.document['paths'])[path])[method.toLowerCase()]);
  if (!operation['operationId']) throw new Error(`the description has no operation ${name}`);
  const cut: Mapping = {
    id: String(operation['operationId']),
    path: parameters(source, operation, 'path'),
    query: parameters(source, operation, 'query'),
  };
  const examples: Mapping[] = [];
  const keepExamples = (where: string, media: Mapping) => {
    for (const [title, example] of Object.entries(mapping(media['examples'])))
      examples.push({ operation: name, where, title, value: source.follow(example)['value'] ?? null });
  };
  const body = source.follow(operation['requestBody']);
  const media = jsonOf(source, body['content']);
  if (media) {
    cut['body'] = closed(source.schema(media['schema']));
    cut['bodyRequired'] = body['required'] === true;
    keepExamples('request', media);
  }
  const answers: Mapping = {};
  for (const [status, answer] of Object.entries(mapping(operation['responses']))) {
    const content = jsonOf(source, source.follow(answer)['content']);
    answers[status] = content ? source.schema(content['schema']) : null;
    if (content) keepExamples(status, content);
  }
  return { operation: { ...cut, answers }, examples };
}

function cutWebhook(source: Source, name: string): Json {
  const key = name.replace('.', '-').replaceAll('_', '-');
  const described = mapping(mapping(mapping(source.document['webhooks'])[key])['post']);
  const media = jsonOf(source, source.follow(described['requestBody'])['content']);
  if (!media) throw new Error(`the description has no webhook ${name}`);
  return source.schema(media['schema']);
}

function read(folder: string, name: string): Mapping {
  return mapping(JSON.parse(readFileSync(join(folder, 'node_modules', name, 'generated/api.github.com.json'), 'utf8')));
}

function cut(folder: string): void {
  const rest = new Source(read(folder, '@octokit/openapi'), 'schemas');
  const hooks = new Source(read(folder, '@octokit/openapi-webhooks'), 'webhookSchemas');
  const operations: Mapping = {};
  const examples: Mapping[] = [];
  for (const { method, path } of OPERATIONS) {
    const made = cutOperation(rest, `${method} ${path}`);
    operations[`${method} ${path}`] = made.operation;
    examples.push(...made.examples);
  }
  rest.keep('#/components/schemas/basic-error');
  const webhooks = Object.fromEntries(WEBHOOKS.map((name) => [name, cutWebhook(hooks, name)]));
  const cutOut = { operations, webhooks, schemas: rest.schemas, webhookSchemas: hooks.schemas };
  const sha256 = createHash('sha256').update(JSON.stringify(cutOut)).digest('hex');
  const from = { ...PACKAGES, licence: 'MIT', by: 'scripts/github-contract.ts', sha256 };
  const contract = { from, ...cutOut };
  writeFileSync(CONTRACT, `${JSON.stringify(contract)}\n`);
  writeFileSync(EXAMPLES, `${JSON.stringify({ from, examples })}\n`);
  console.log(`${Object.keys(operations).length} operations, ${WEBHOOKS.length} webhooks, ${examples.length} examples of GitHub's`);
}

function fetchPackages(folder: string): void {
  const wanted = Object.entries(PACKAGES).map(([name, version]) => `${name}@${version}`);
  execFileSync('npm', ['install', '--prefix', folder, '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', ...wanted], {
    stdio: 'inherit',
  });
}

const given = process.argv[2];
const folder = given ?? mkdtempSync(join(tmpdir(), 'github-contract-'));
try {
  if (given === undefined) fetchPackages(folder);
  cut(folder);
} finally {
  if (given === undefined) rmSync(folder, { recursive: true, force: true });
}
