/**
 * GitHub's published description as something that says yes or no: does this request fit, does this answer, does this payload?
 * `contract.json` is cut by `scripts/github-contract.ts`; what the description leaves out or has wrong stands in `rules.ts` and
 * `errata.ts`.
 */
import { readFileSync } from 'node:fs';
import { Ajv, type ValidateFunction } from 'ajv';
import { ERRATA } from './errata.ts';
import { OPERATIONS, type Operation } from './operations.ts';

export type Schema = { [keyword: string]: unknown };
type Described = { id: string; path: Schema; query: Schema; body?: Schema; bodyRequired?: boolean; answers: Record<string, Schema | null> };
type Contract = {
  from: Record<string, string>;
  operations: Record<string, Described>;
  webhooks: Record<string, Schema>;
  schemas: Record<string, Schema>;
  webhookSchemas: Record<string, Schema>;
};

/** An operation with the values of its path: `{ owner: 'acme', repo: 'api' }`. */
export type Match = Operation & { key: string; id: string; values: Record<string, string> };

export const contract: Contract = JSON.parse(readFileSync(new URL('contract.json', import.meta.url), 'utf8'));
for (const { change } of ERRATA) change(contract);

const DATE_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;
const FREE_FORMATS = ['uri', 'uri-template', 'email', 'int64', 'int32', 'date', 'ssh-url', 'repo.nwo', 'timestamp', 'float', 'double'];

function validator(coerceTypes: boolean): Ajv {
  const made = new Ajv({ strict: false, allErrors: true, validateSchema: false, coerceTypes, useDefaults: coerceTypes, logger: false });
  made.addFormat('date-time', DATE_TIME);
  for (const format of FREE_FORMATS) made.addFormat(format, true);
  return made.addSchema(contract, 'contract');
}

// Two: a query's values are text and are made into what the description says; a body must already be that.
const strict = validator(false);
const texts = validator(true);
const compiled = new Map<string, ValidateFunction>();

function faults(checker: Ajv, place: string[], value: unknown): string[] {
  const reference = `contract#/${place.map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/')}`;
  const validate = compiled.get(reference) ?? checker.compile({ $ref: reference });
  compiled.set(reference, validate);
  if (validate(value)) return [];
  return (validate.errors ?? []).map((error) => {
    const extra = 'additionalProperty' in error.params ? ` "${error.params['additionalProperty']}"` : '';
    return `${place.at(-1)}${error.instancePath} ${error.message}${extra}`;
  });
}

const patterns = OPERATIONS.map((operation) => {
  const names = [...operation.path.matchAll(/\{(\w+)\}/g)].map((found) => found[1] ?? '');
  // `contents/{path}` and branch names hold slashes; everything else ends at one.
  const source = operation.path.replaceAll(/\{(\w+)\}/g, (_, name) =>
    ['path', 'branch', 'ref', 'basehead'].includes(name) ? '(.*?)' : '([^/]+)',
  );
  // A repository's root folder is asked for without the last slash.
  return { operation, names, pattern: new RegExp(`^${source.replace('/contents/(.*?)', '/contents(?:/(.*?))?')}$`) };
}).sort((a, b) => a.names.length - b.names.length || b.operation.path.length - a.operation.path.length);

/** The operation that answers `method path`, fixed paths before those with parameters; undefined when there is none. */
export function match(method: string, path: string): Match | undefined {
  for (const { operation, names, pattern } of patterns) {
    const found = operation.method === method ? pattern.exec(path) : null;
    if (!found) continue;
    const key = `${operation.method} ${operation.path}`;
    const values = Object.fromEntries(names.map((name, index) => [name, decodeURIComponent(found[index + 1] ?? '')]));
    return { ...operation, key, id: contract.operations[key]?.id ?? key, values };
  }
  return undefined;
}

/** What is wrong with a request. `query` is changed: text becomes numbers and booleans, defaults are put in. */
export function requestFaults(key: string, query: Record<string, unknown>, body: unknown): string[] {
  const described = contract.operations[key];
  const found = faults(texts, ['operations', key, 'query'], query);
  if (!described?.body) return body === undefined || isEmpty(body) ? found : [...found, 'body: none is expected'];
  if (body === undefined) return described.bodyRequired ? [...found, 'body: one is expected'] : found;
  return [...found, ...faults(strict, ['operations', key, 'body'], body)];
}

/** What is wrong with an answer. Statuses that the description does not know carry `basic-error` or nothing. */
export function answerFaults(key: string, status: number, body: unknown): string[] {
  const declared = contract.operations[key]?.answers[String(status)];
  if (declared) return faults(strict, ['operations', key, 'answers', String(status)], body);
  if (declared === null) return isEmpty(body) || body === undefined ? [] : [`${key} answers ${status} without a body`];
  if (status < 300) return [`${key} never answers ${status}`];
  return body === undefined ? [] : faults(strict, ['schemas', 'basic-error'], body);
}

/** `name` is `push` or `pull_request.opened`. */
export function webhookFaults(name: string, payload: unknown): string[] {
  return contract.webhooks[name] ? faults(strict, ['webhooks', name], payload) : [`${name} is not in the contract`];
}

const isEmpty = (body: unknown) => typeof body === 'object' && body !== null && Object.keys(body).length === 0;
