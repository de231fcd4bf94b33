/** The App asks for what it calls and what is promised, and for nothing else. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { Octokit } from '@octokit/rest';
import { parse } from 'yaml';
import { OPERATIONS } from '../support/github/operations.ts';

type Manifest = { public: boolean; default_permissions: Record<string, string>; default_events: string[] };

const root = join(import.meta.dirname, '../..');
const text = readFileSync(join(root, 'app.yml'), 'utf8');
const manifest = parse(text) as Manifest;

/** `pulls.list` for every call of REST in our sources. */
function calls(): string[] {
  const files = ['src', 'app'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((file) => join(root, folder, file)),
  );
  const found = files
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) => [...readFileSync(file, 'utf8').matchAll(/\brest\.(\w+\.\w+)\(/g)]);
  return [...new Set(found.map((match) => match[1] ?? ''))].sort();
}

/** What each call needs, by GitHub's page "Permissions required for GitHub Apps". */
function neededByCalls(): string[] {
  const rest = new Octokit().rest as unknown as Record<string, Record<string, { endpoint: { DEFAULTS: { method: string; url: string } } }>>;
  return calls().flatMap((call) => {
    const [area = '', name = ''] = call.split('.');
    const route = rest[area]?.[name]?.endpoint.DEFAULTS;
    const same = (path: string) => path.replace(/\{\w+\}/g, '{}');
    const operation = OPERATIONS.find((one) => one.method === route?.method && same(one.path) === same(route.url));
    if (!operation) throw new Error(`${call} is no operation of the loopback GitHub`);
    return operation.rights;
  });
}

/** GitHub's page "Webhook events and payloads". */
const neededByEvents: Record<string, string> = {
  issue_comment: 'issues:read',
  merge_group: 'merge_queues:read',
  pull_request: 'pull_requests:read',
  push: 'contents:read',
};

/** What SPEC promises beyond what is called today; a row goes when its call is there. */
const promised = ['pull_requests:write', 'issues:write', 'deployments:write', 'statuses:read'];

test('permissions are the union of what calls, events and promises need, at the higher level', () => {
  const needs = ['metadata:read', ...neededByCalls(), ...Object.values(neededByEvents), ...promised].filter((right) => right !== 'app');
  const union: Record<string, string> = {};
  for (const need of needs) {
    const [name = '', level = ''] = need.split(':');
    if (union[name] !== 'write') union[name] = level;
  }
  expect(manifest.default_permissions).toEqual(union);
});

test('events are those that start something, and not the noise of other Apps', () => {
  expect([...manifest.default_events].sort()).toEqual(Object.keys(neededByEvents).sort());
});

test('nobody else can install it, and every permission says what it is for', () => {
  expect(manifest.public).toBe(false);
  for (const name of Object.keys(manifest.default_permissions)) expect(text).toMatch(new RegExp(`^ {2}${name}: \\w+ # .{10,}`, 'm'));
});

test('the calls are really found, so that the first test cannot pass by finding none', () => {
  expect(calls()).toEqual(expect.arrayContaining(['apps.createInstallationAccessToken', 'checks.create', 'pulls.list', 'repos.get']));
  expect(neededByCalls()).toEqual(expect.arrayContaining(['app', 'checks:write', 'pull_requests:read', 'issues:read', 'metadata:read']));
});
