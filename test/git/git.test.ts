import { mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { listRemote, openClone } from '../../src/git.ts';
import { commitFiles, type GitServer, git, newRepository, serveGit } from '../support/git-server.ts';

jest.setTimeout(60_000);
const token = 'secret-of-the-installation-0123456789';
let origin: string;
let server: GitServer;
const folders: string[] = [];

beforeAll(async () => {
  origin = await newRepository();
  folders.push(origin);
  const many = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`k8s/many/${index}.yaml`, `number: ${index}\n`]));
  await commitFiles(origin, 'first', { 'k8s/web.yaml': 'a: 1\nb: 2\nc: 3\n', 'README.md': 'hello\n', ...many });
  server = await serveGit(origin, token);
});

afterAll(async () => {
  await server.close();
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

async function empty(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'plumbline-clone-'));
  folders.push(folder);
  return folder;
}

async function clone() {
  return await openClone({ url: server.url, token }, join(await empty(), 'clone.git'));
}

/** The code and the words of what a promise fails with. */
async function failure(promise: Promise<unknown>): Promise<{ code: string; message: string; retry: string }> {
  const thrown: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  return thrown as { code: string; message: string; retry: string };
}

describe('a remote', () => {
  test('is listed in one ls-remote, with only the refs that were asked for', async () => {
    const before = server.requests.length;
    const refs = await listRemote({ url: server.url, token }, ['refs/heads/main']);
    expect([...refs]).toEqual([['refs/heads/main', await git(origin, 'rev-parse', 'main')]]);
    expect(server.requests.length - before).toBeLessThanOrEqual(2);
  });

  test('that refuses the token is GIT_NO_ACCESS, and the token is nowhere in the error', async () => {
    const error = await failure(listRemote({ url: server.url, token: 'a-wrong-token-1234567890' }));
    expect(error).toMatchObject({ code: 'GIT_NO_ACCESS', retry: 'never' });
    expect(error.message).not.toContain('a-wrong-token');
  });

  test('that is not there is GIT_NO_ACCESS', async () => {
    expect(await failure(listRemote({ url: server.url.replace('api', 'other'), token }))).toMatchObject({ code: 'GIT_NO_ACCESS' });
  });

  test('that answers 503, or not at all, is GIT_UNREACHABLE and worth another try', async () => {
    server.fail = 503;
    const down = await failure(listRemote({ url: server.url, token }));
    server.fail = undefined;
    expect(down).toMatchObject({ code: 'GIT_UNREACHABLE', retry: 'later' });
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
    const { port } = closed.address() as AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    expect(await failure(listRemote({ url: `http://127.0.0.1:${port}/acme/api.git` }))).toMatchObject({
      code: 'GIT_UNREACHABLE',
      retry: 'later',
    });
  });

  test.each(['file:///etc', '/etc', 'ssh://git@host/a.git', 'ext::sh -c id', '--upload-pack=id', 'https://user:pass@host/a.git'])(
    'at %s is refused before git runs',
    async (url) => {
      expect(await failure(listRemote({ url }))).toMatchObject({ code: 'GIT_URL_UNSUPPORTED' });
    },
  );
});

describe('a clone', () => {
  test('reads 300 files of a commit in at most six requests', async () => {
    const before = server.requests.length;
    const fresh = await clone();
    const sha = await git(origin, 'rev-parse', 'main');
    await fresh.fetch([sha], 'none');
    const files = await fresh.readTree(sha, 'k8s', true);
    expect(files).toHaveLength(301);
    expect(files[0]).toEqual({ path: 'k8s/many/0.yaml', text: 'number: 0\n' });
    expect(server.requests.length - before).toBeLessThanOrEqual(6);
  });

  test('asks nothing of the server when it reads the same tree again', async () => {
    const fresh = await clone();
    await fresh.fetch(['refs/heads/main'], 'none');
    await fresh.readTree('refs/heads/main', '/k8s/', true);
    const before = server.requests.length;
    await fresh.readTree('refs/heads/main', './k8s', true);
    expect(server.requests.length).toBe(before);
  });

  test('has the token in no file', async () => {
    const folder = join(await empty(), 'clone.git');
    const fresh = await openClone({ url: server.url, token }, folder);
    await fresh.fetch(['refs/heads/main'], 'full');
    const encoded = Buffer.from(`x-access-token:${token}`).toString('base64');
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const text = await readFile(join(entry.parentPath, entry.name), 'latin1');
      expect(text.includes(token) || text.includes(encoded)).toBe(false);
    }
  });

  test('tells a branch that is missing from a commit that is missing', async () => {
    const fresh = await clone();
    expect(await failure(fresh.fetch(['refs/heads/gone'], 'none'))).toMatchObject({ code: 'GIT_REF_NOT_FOUND', retry: 'never' });
    expect(await failure(fresh.fetch(['1'.repeat(40)], 'none'))).toMatchObject({ code: 'GIT_COMMIT_NOT_FOUND' });
    expect(await failure(fresh.readTree('2'.repeat(40), '', true))).toMatchObject({ code: 'GIT_COMMIT_NOT_FOUND' });
  });

  test.each(['--output=/etc/passwd', '-h', 'a..b', 'main:k8s', ''])('refuses %j as a commit', async (name) => {
    const fresh = await clone();
    expect(await failure(fresh.commit(name))).toMatchObject({ code: 'GIT_REF_INVALID' });
  });

  test('reads one folder, not those below it, when not told to recurse; and one file when the path names it', async () => {
    const fresh = await clone();
    await fresh.fetch(['refs/heads/main'], 'none');
    expect((await fresh.readTree('refs/heads/main', 'k8s', false)).map(({ path }) => path)).toEqual(['k8s/web.yaml']);
    expect((await fresh.readTree('refs/heads/main', 'k8s/web.yaml', true)).map(({ path }) => path)).toEqual(['k8s/web.yaml']);
    expect(await fresh.readTree('refs/heads/main', 'nowhere', true)).toEqual([]);
  });

  test('takes a path that looks like an option for what it is: a path that is not there', async () => {
    const fresh = await clone();
    await fresh.fetch(['refs/heads/main'], 'none');
    for (const path of ['-r', '--name-only', '-d/k8s']) expect(await fresh.readTree('refs/heads/main', path, true)).toEqual([]);
  });

  test('that leads out of the repository is refused', async () => {
    const fresh = await clone();
    await fresh.fetch(['refs/heads/main'], 'none');
    expect(await failure(fresh.readTree('refs/heads/main', '../etc', true))).toMatchObject({ code: 'PATH_OUTSIDE' });
  });

  test('an existing clone is read without a remote, and a folder that is none says so', async () => {
    const local = await openClone(undefined, origin);
    expect(await local.commit('main')).toMatchObject({ author: 'Ada' });
    expect((await local.readTree('HEAD', 'k8s', false))[0]?.path).toBe('k8s/web.yaml');
    expect(await failure(openClone(undefined, await empty()))).toMatchObject({ code: 'GIT_NO_CLONE' });
  });
});

describe('a merge', () => {
  test('that is clean gives a tree, whose difference to the base is what the branch brings and nothing else', async () => {
    await git(origin, 'checkout', '--quiet', '-b', 'feature', 'main');
    const head = await commitFiles(origin, 'feature', { 'k8s/web.yaml': 'a: 1\nb: 2\nc: 4\n', 'k8s/new file "ü".yaml': 'x: 1\n' });
    await git(origin, 'checkout', '--quiet', 'main');
    const base = await commitFiles(origin, 'main moves', { 'k8s/other.yaml': 'y: 1\n' });
    const fresh = await clone();
    await fresh.fetch([base, head], 'full');
    const merged = await fresh.mergeTree(base, head);
    if (!('tree' in merged)) throw new Error(`conflicts: ${merged.conflicts}`);
    expect(await fresh.changedPaths(base, merged.tree)).toEqual(['k8s/new file "ü".yaml', 'k8s/web.yaml']);
    const paths = (await fresh.readTree(merged.tree, 'k8s', false)).map(({ path }) => path);
    expect(paths).toEqual(['k8s/new file "ü".yaml', 'k8s/other.yaml', 'k8s/web.yaml']);
    expect(await fresh.commit(head)).toEqual({
      sha: head,
      parents: [await git(origin, 'rev-parse', `${head}^`)],
      author: 'Ada',
      subject: 'feature',
    });
  });

  test('of 60 files that both sides changed asks for their contents together, not one by one', async () => {
    const file = (first: string, last: string) =>
      `first: ${first}\n${Array.from({ length: 20 }, (_, line) => `k${line}: v\n`).join('')}last: ${last}\n`;
    const all = (first: string, last: string) =>
      Object.fromEntries(Array.from({ length: 60 }, (_, index) => [`both/${index}.yaml`, file(first, `${last}${index}`)]));
    await git(origin, 'checkout', '--quiet', 'main');
    await commitFiles(origin, 'common', all('a', 'a'));
    await git(origin, 'checkout', '--quiet', '-b', 'both');
    const head = await commitFiles(origin, 'theirs', all('b', 'a'));
    await git(origin, 'checkout', '--quiet', 'main');
    const base = await commitFiles(origin, 'ours', all('a', 'b'));
    const fresh = await clone();
    const before = server.requests.length;
    await fresh.fetch([base, head], 'full');
    const merged = await fresh.mergeTree(base, head);
    if (!('tree' in merged)) throw new Error(`conflicts: ${merged.conflicts}`);
    expect((await fresh.readTree(base, 'both', true)).length + (await fresh.readTree(merged.tree, 'both', true)).length).toBe(120);
    expect(server.requests.length - before).toBeLessThanOrEqual(12);
  });

  test('in conflict names the files', async () => {
    await git(origin, 'checkout', '--quiet', '-b', 'clash', 'main~1');
    const head = await commitFiles(origin, 'clash', { 'k8s/web.yaml': 'a: 9\nb: 2\nc: 3\n' });
    await git(origin, 'checkout', '--quiet', 'main');
    const base = await commitFiles(origin, 'main', { 'k8s/web.yaml': 'a: 7\nb: 2\nc: 3\n' });
    const fresh = await clone();
    await fresh.fetch([base, head], 'full');
    expect(await fresh.mergeTree(base, head)).toEqual({ conflicts: ['k8s/web.yaml'] });
  });

  test('of commits without common history says so', async () => {
    await git(origin, 'checkout', '--quiet', '--orphan', 'island');
    const head = await commitFiles(origin, 'island', { 'island.yaml': 'a: 1\n' });
    await git(origin, 'checkout', '--quiet', '--force', 'main');
    const fresh = await clone();
    await fresh.fetch(['refs/heads/main', head], 'full');
    expect(await failure(fresh.mergeTree('refs/heads/main', head))).toMatchObject({ code: 'GIT_NO_COMMON_HISTORY' });
  });
});

describe('what cannot be read as a file', () => {
  test('a symlink, a submodule, a binary, a large file are listed as unread, never followed', async () => {
    await git(origin, 'checkout', '--quiet', '-b', 'odd', 'main');
    await symlink('/etc/passwd', join(origin, 'k8s', 'link.yaml'));
    await git(origin, 'update-index', '--add', '--cacheinfo', `160000,${'3'.repeat(40)},k8s/vendored`);
    await commitFiles(origin, 'odd', {
      'k8s/utf16.yaml': Buffer.from('\ufeffa: 1\n', 'utf16le'),
      'k8s/large.yaml': `a: ${'x'.repeat(1024 * 1024)}\n`,
    });
    await git(origin, 'update-index', '--add', '--cacheinfo', `160000,${'3'.repeat(40)},k8s/vendored`);
    await git(origin, 'commit', '--quiet', '-m', 'submodule');
    const head = await git(origin, 'rev-parse', 'HEAD');
    await git(origin, 'checkout', '--quiet', '--force', 'main');
    const fresh = await clone();
    await fresh.fetch([head], 'none');
    const unread = (await fresh.readTree(head, 'k8s', false)).flatMap(({ path, unread: why }) => (why ? [[path, why]] : []));
    expect(unread).toEqual([
      ['k8s/large.yaml', 'too large'],
      ['k8s/link.yaml', 'symlink'],
      ['k8s/utf16.yaml', 'not UTF-8'],
      ['k8s/vendored', 'submodule'],
    ]);
  });
});
