import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { answerFaults, contract, match, requestFaults, webhookFaults } from '../support/github/contract.ts';
import { ERRATA, EXAMPLES } from '../support/github/errata.ts';
import { OPERATIONS, WEBHOOKS } from '../support/github/operations.ts';
import { brokenRules, RULES } from '../support/github/rules.ts';

const read = (path: string) => JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'));
const REPO = '/repos/{owner}/{repo}';
const sha = 'a'.repeat(40);
const annotation = { path: 'a.yaml', start_line: 2, end_line: 2, annotation_level: 'failure', message: 'wrong' };
const withAnnotation = (change: object) => ({
  name: 'plumbline',
  head_sha: sha,
  output: { title: 't', summary: 's', annotations: [{ ...annotation, ...change }] },
});

describe('the committed contract', () => {
  const committed = read('../support/github/contract.json');

  test('is what the script cut: its content has the recorded hash', () => {
    const { from, ...rest } = committed;
    expect(createHash('sha256').update(JSON.stringify(rest)).digest('hex')).toBe(from.sha256);
  });

  test('holds the operations and webhooks of the list, no more and no fewer', () => {
    expect(Object.keys(committed.operations)).toEqual(OPERATIONS.map(({ method, path }) => `${method} ${path}`));
    expect(Object.keys(committed.webhooks)).toEqual(WEBHOOKS);
  });
});

test("GitHub's own examples fit GitHub's own description, but for those listed in the errata", () => {
  const { examples } = read('../fixtures/github/examples.json');
  const failing = examples.filter(({ operation, where, value }: { operation: string; where: string; value: unknown }) =>
    where === 'request'
      ? requestFaults(operation, {}, value).some((fault) => fault.startsWith('body'))
      : answerFaults(operation, Number(where), value).length > 0,
  );
  expect(examples.length).toBeGreaterThan(80);
  expect(failing.map((one: Record<string, string>) => `${one['operation']} · ${one['where']} · ${one['title']}`).sort()).toEqual(
    Object.keys(EXAMPLES).sort(),
  );
});

describe('errata', () => {
  test.each(ERRATA.map((row) => [row.what, row] as const))(
    '%s: the description alone still refuses it, so the row is still needed',
    (_, row) => {
      const untouched = read('../support/github/contract.json');
      expect(() => row.change(untouched)).not.toThrow();
      expect(() => row.change(untouched)).toThrow('the row can go');
    },
  );

  test('a pull request whose fork is deleted fits', () => {
    const { examples } = read('../fixtures/github/examples.json');
    const [example] = examples.find(
      (one: Record<string, string>) => one['operation'] === `GET ${REPO}/commits/{commit_sha}/pulls` && one['where'] === '200',
    ).value;
    const fixed = { ...example, requested_teams: [], head: { ...example.head, repo: null } };
    expect(answerFaults(`GET ${REPO}/pulls`, 200, [fixed])).toEqual([]);
    expect(answerFaults(`GET ${REPO}/pulls`, 200, [{ ...fixed, base: { ...example.base, repo: null } }])).not.toEqual([]);
  });
});

describe('requests that the description refuses', () => {
  const create = `POST ${REPO}/check-runs`;
  const check = { name: 'plumbline', head_sha: sha };
  const many = Array.from({ length: 51 }, () => annotation);
  test.each([
    ['a misspelt parameter', create, { ...check, detail_url: 'https://example.com' }, 'detail_url'],
    ['51 annotations', create, { ...check, output: { title: 't', summary: 's', annotations: many } }, '50 items'],
    ['a summary of 65,536', create, { ...check, output: { title: 't', summary: 'x'.repeat(65_536) } }, '65535'],
    [
      'a fourth button',
      create,
      { ...check, actions: Array.from({ length: 4 }, () => ({ label: 'a', identifier: 'b', description: 'c' })) },
      '3 items',
    ],
    ['a label of 21', create, { ...check, actions: [{ label: 'x'.repeat(21), identifier: 'b', description: 'c' }] }, '20 char'],
    ['an unknown conclusion', create, { ...check, conclusion: 'fine' }, 'allowed values'],
    ['a missing head_sha', create, { name: 'plumbline' }, 'head_sha'],
    ['an unknown reaction', `POST ${REPO}/issues/comments/{comment_id}/reactions`, { content: 'wow' }, 'allowed values'],
    ['an unknown state', `PATCH ${REPO}/issues/{issue_number}`, { state: 'gone' }, 'allowed values'],
    ['no body', `POST ${REPO}/issues/{issue_number}/comments`, undefined, 'expected'],
    ['a body where none is wanted', `GET ${REPO}/pulls`, { state: 'open' }, 'none is expected'],
  ])('%s', (_, operation, body, says) => {
    expect(requestFaults(operation, {}, body).join('\n')).toContain(says);
  });

  test('an unknown query parameter, a state that does not exist; numbers are read from text and defaults put in', () => {
    expect(requestFaults(`GET ${REPO}/pulls`, { sate: 'all' }, undefined).join()).toContain('"sate"');
    expect(requestFaults(`GET ${REPO}/pulls`, { state: 'merged' }, undefined).join()).toContain('allowed values');
    const query = { per_page: '100' };
    expect(requestFaults(`GET ${REPO}/pulls`, query, undefined)).toEqual([]);
    expect(query).toMatchObject({ per_page: 100, page: 1, state: 'open' });
  });
});

describe('rules: what GitHub refuses and the description accepts', () => {
  const check = { name: 'plumbline', head_sha: sha };
  const long = { body: 'x'.repeat(65_537) };
  const title = { title: 'x'.repeat(257) };
  const description = { ref: 'main', state: 'success', description: 'x'.repeat(141) };
  const checkWrites = (says: string, body: object) =>
    [`POST ${REPO}/check-runs`, `PATCH ${REPO}/check-runs/{check_run_id}`].map((operation) => [operation, says, body] as const);
  const tokens = 'POST /app/installations/{installation_id}/access_tokens';
  const cases: (readonly [string, string, object])[] = [
    [`POST ${REPO}/issues/{issue_number}/comments`, 'Body is too long', long],
    [`PATCH ${REPO}/issues/comments/{comment_id}`, 'Body is too long', long],
    [`POST ${REPO}/issues/{issue_number}/comments`, "can't be blank", { body: ' \n' }],
    [`PATCH ${REPO}/issues/comments/{comment_id}`, "can't be blank", { body: '' }],
    ...[`POST ${REPO}/pulls`, `PATCH ${REPO}/pulls/{pull_number}`, `POST ${REPO}/issues`, `PATCH ${REPO}/issues/{issue_number}`].flatMap(
      (operation) => [[operation, 'body is too long', long] as const, [operation, 'title is too long', title] as const],
    ),
    ...checkWrites('conclusion is required', { ...check, status: 'completed' }),
    ...checkWrites('stale', { ...check, conclusion: 'stale' }),
    ...checkWrites('one line', withAnnotation({ end_line: 3, start_column: 1 })),
    ...checkWrites('start at 1', withAnnotation({ start_line: 0 })),
    ...checkWrites('64 KB', withAnnotation({ title: 'x'.repeat(256) })),
    ...checkWrites('too long', { ...check, output: { title: 't', summary: 'ä'.repeat(40_000) } }),
    [`POST ${REPO}/check-runs`, '40 hexadecimal', { ...check, head_sha: 'abc1234' }],
    [`POST ${REPO}/deployments`, '140', description],
    [`POST ${REPO}/deployments/{deployment_id}/statuses`, '140', description],
    [`POST ${REPO}/statuses/{sha}`, '140', description],
    [tokens, 'does not know', { permissions: { check: 'write' } }],
    [tokens, '500', { repository_ids: Array.from({ length: 501 }, (_, id) => id) }],
  ];

  test.each(cases)('%s: %s', (operation, says, body) => {
    expect(brokenRules(operation, body).join('\n')).toContain(says);
  });

  test('every rule has a case above, a source, and lets a good request pass', () => {
    const covered = cases.flatMap(([operation, , body]) => brokenRules(operation, body).map((says) => `${operation} ${says}`));
    expect(RULES.filter(({ operation, says }) => !covered.includes(`${operation} ${says}`))).toEqual([]);
    expect(RULES.filter(({ source }) => source.length < 10)).toEqual([]);
    const good = {
      title: 't',
      body: 'b',
      head_sha: sha,
      status: 'completed',
      conclusion: 'success',
      description: 'd',
      permissions: { checks: 'write' },
    };
    expect([
      ...new Set(RULES.flatMap(({ operation }) => brokenRules(operation, { ...withAnnotation({ start_column: 1 }), ...good }))),
    ]).toEqual([]);
  });
});

test('answers: an undeclared status carries basic-error or nothing, an undeclared success is refused', () => {
  const list = `GET ${REPO}/commits/{ref}/check-runs`;
  expect(answerFaults(list, 503, { message: 'down', documentation_url: 'x' })).toEqual([]);
  expect(answerFaults(list, 429, undefined)).toEqual([]);
  expect(answerFaults(list, 503, { message: 7 })).not.toEqual([]);
  expect(answerFaults(list, 204, undefined)).not.toEqual([]);
  expect(answerFaults(list, 200, { check_runs: [] })).not.toEqual([]);
});

test('webhooks that are not in the list, or not in shape, are refused', () => {
  expect(webhookFaults('pull_request.assigned', {})).toEqual(['pull_request.assigned is not in the contract']);
  expect(webhookFaults('pull_request.opened', { action: 'opened' })).not.toEqual([]);
});

describe('finding the operation of a path', () => {
  test.each([
    ['GET', '/repos/acme/api/issues/comments', `GET ${REPO}/issues/comments`, {}],
    ['GET', '/repos/acme/api/issues/7', `GET ${REPO}/issues/{issue_number}`, { issue_number: '7' }],
    ['GET', '/repos/acme/api/commits/feature/x/status', `GET ${REPO}/commits/{ref}/status`, { ref: 'feature/x' }],
    ['GET', '/repos/acme/api/commits/feature%2Fx', `GET ${REPO}/commits/{ref}`, { ref: 'feature/x' }],
    ['GET', '/repos/acme/api/contents/k8s/web.yaml', `GET ${REPO}/contents/{path}`, { path: 'k8s/web.yaml' }],
    ['GET', '/repos/acme/api/contents/', `GET ${REPO}/contents/{path}`, { path: '' }],
  ])('%s %s', (method, path, key, values) => {
    const found = match(method, path);
    expect(found?.key).toBe(key);
    expect(found?.values).toEqual({ owner: 'acme', repo: 'api', ...values });
    expect(contract.operations[key]).toBeDefined();
  });

  test('what is not in the list is not found', () => {
    expect(match('DELETE', '/repos/acme/api')).toBeUndefined();
    expect(match('POST', '/graphql')).toBeUndefined();
  });
});
