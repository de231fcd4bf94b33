import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { isNameOf, knownRepository } from '../../src/flow/known-repository.ts';
import type { Memory } from '../../src/flow/memory.ts';
import { connectGitHub, type GitHub as Door } from '../../src/github.ts';
import { type GitHub, startGitHub } from '../support/github/github.ts';

let github: GitHub;
let appId: number;
let door: Door;
const now = () => new Date();

beforeAll(async () => {
  github = await startGitHub();
  const app = await github.owners.registerApp({
    permissions: { metadata: 'read', contents: 'read', pull_requests: 'read', issues: 'read', checks: 'write' },
    events: [],
  });
  appId = app.appId;
  door = connectGitHub({ apiUrl: github.apiUrl, appId, privateKey: app.privateKey });
});
afterAll(() => github.stop());

const empty = (): Memory => ({ tokens: {}, repositories: {} });

test('an App that was removed and installed again is found under its new installation', async () => {
  await github.people.createRepository({ owner: 'acme', name: 'api', files: { 'a.yaml': 'a' } });
  const first = github.owners.installApp(appId, ['acme/api']);
  const memory = empty();
  expect((await knownRepository('acme/api', memory, door, now())).installationId).toBe(first.installationId);
  github.owners.uninstall(first.installationId);
  const second = github.owners.installApp(appId, ['acme/api']);
  // An hour on the remembered token is at its end, and its installation gives no other.
  memory.tokens = {};
  const again = await knownRepository('acme/api', memory, door, now());
  expect(again.installationId).toBe(second.installationId);
  expect(await again.openPullRequests()).toEqual([]);
});

test('a renamed repository is still the one that a Project names', async () => {
  await github.people.createRepository({ owner: 'bits', name: 'old', files: { 'a.yaml': 'a' } });
  await github.people.createRepository({ owner: 'bits', name: 'other', files: { 'a.yaml': 'a' } });
  const { installationId } = github.owners.installApp(appId, ['bits/old', 'bits/other']);
  const memory = empty();
  const before = await knownRepository('bits/old', memory, door, now());
  github.owners.renameRepository('bits/old', 'new');
  const renamed = await door.repositoryById(installationId, before.id);
  expect(renamed.fullName).toBe('bits/new');
  expect(['bits/old', 'Bits/OLD', 'bits/new'].map((name) => isNameOf(name, renamed, memory))).toEqual([true, true, true]);
  const other = await knownRepository('bits/other', memory, door, now());
  expect(isNameOf('bits/old', other, memory)).toBe(false);
});

test('where the App is not installed, the message says what to do', async () => {
  await github.people.createRepository({ owner: 'else', name: 'hidden', files: { 'a.yaml': 'a' } });
  await expect(knownRepository('else/hidden', empty(), door, now())).rejects.toMatchObject({
    code: 'GITHUB_NOT_FOUND',
    message: 'the App is not installed on else/hidden, or there is no such repository',
    hint: 'install the App on else/hidden, or correct spec.source.repository',
  });
});
