/**
 * The door to Git: partial clones, merges that Plumbline makes itself, and trees read in few requests (notes: platform 6, 27).
 *
 * A token travels by `GIT_CONFIG_COUNT` environment only: it is never in an argument, a URL or a file. Nothing is ever checked
 * out, so no symlink, device or hook of a repository can act; a tree is read as objects.
 */
import { mkdir } from 'node:fs/promises';
import { PlumblineError } from './error.ts';
import { type Ended, run } from './exec.ts';
import { faultOfGit } from './git-fault.ts';
import { readTree } from './git-tree.ts';
import type { TreeFile } from './render/render.ts';

/** `url` is https (http for a GitHub on loopback); `token` is an installation token. */
export type GitRemote = { url: string; token?: string };

/** `parents`: as the commit names them, whether or not a shallow clone holds them. */
export type CommitSummary = { sha: string; parents: string[]; author: string; subject: string };

export type Clone = {
  /**
   * Fetches commits by SHA, or refs by their full name (`refs/heads/main`, kept under that name).
   * `none`: only the commit and its trees; `full`: with all ancestors. File contents come when a tree is read.
   */
  fetch(commitsOrRefs: readonly string[], history: 'none' | 'full'): Promise<void>;
  /** The tree of the merge of two commits, or the files in conflict. */
  mergeTree(base: string, head: string): Promise<{ tree: string } | { conflicts: string[] }>;
  /** Paths that differ between two trees; a renamed file is its old and its new path. */
  changedPaths(from: string, to: string): Promise<string[]>;
  /**
   * The YAML and JSON files of a folder (or the one file that the path names), sorted by path; none when there is no such
   * path. What is there and cannot be read as a file (a symlink, a submodule, a binary) is listed with `unread`.
   */
  readTree(treeish: string, folder: string, recurse: boolean): Promise<TreeFile[]>;
  commit(treeish: string): Promise<CommitSummary>;
};

/** Runs git in a clone; throws the typed error unless the status is one of those given. */
export type Git = (
  operands: readonly string[],
  more?: { input?: string; statuses?: readonly number[]; seconds?: number; outputBytes?: number },
) => Promise<Ended>;

/** Refs of a remote in one `ls-remote`: name to SHA, `HEAD` included. `patterns` as git has them (`refs/heads/main`, `refs/pull/*`). */
export async function listRemote(remote: GitRemote, patterns: string[] = []): Promise<Map<string, string>> {
  const git = gitFor(remote, undefined);
  const { stdout } = await git(['ls-remote', '--quiet', '--', checkedUrl(remote.url), ...patterns]);
  const refs = new Map<string, string>();
  for (const line of stdout.toString('utf8').split('\n')) {
    const [sha, name] = line.split('\t');
    if (sha && name) refs.set(name, sha);
  }
  return refs;
}

/**
 * A clone to ask. With a remote: `directory` is made a bare partial clone, or is one from before. Without: `directory` is an
 * existing clone with its own remote (the Action's), of which no ref and no file is changed.
 */
export async function openClone(remote: GitRemote | undefined, directory: string): Promise<Clone> {
  const git = gitFor(remote, directory);
  if (remote === undefined) await git(['rev-parse', '--git-dir']);
  else await makeBare(git, remote, directory);
  return {
    fetch: (commitsOrRefs, history) => fetchInto(git, remote !== undefined, commitsOrRefs, history),
    mergeTree: (base, head) => mergeTree(git, base, head),
    changedPaths: (from, to) => changedPaths(git, from, to),
    readTree: (treeish, folder, recurse) => readTree(git, revision(treeish), folder, recurse),
    commit: (treeish) => summary(git, treeish),
  };
}

/** git with a bare environment, its own configuration only, and the token where no other process sees it. */
function gitFor(remote: GitRemote | undefined, directory: string | undefined): Git {
  const environment: Record<string, string> = {
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_LITERAL_PATHSPECS: '1',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_ALLOW_PROTOCOL: 'http:https',
    ...configuration(settingsFor(remote, directory)),
  };
  const secrets = remote?.token === undefined ? [] : [remote.token, basic(remote.token)];
  return async (operands, more = {}) => {
    const { statuses = [0], ...rest } = more;
    const place = directory === undefined ? {} : { directory };
    const ended = await run({ command: 'git', arguments: operands, environment, secrets, seconds: 120, ...place, ...rest });
    if (!statuses.includes(ended.status)) throw faultOfGit(operands, ended.stderr, remote?.url);
    return ended;
  };
}

function settingsFor(remote: GitRemote | undefined, directory: string | undefined): [string, string][] {
  const settings: [string, string][] = [
    ['core.hooksPath', '/dev/null'],
    ['core.quotePath', 'false'],
    ['gc.auto', '0'],
    ['maintenance.auto', 'false'],
    ['credential.helper', ''],
    ['http.lowSpeedLimit', '1'],
    ['http.lowSpeedTime', '60'],
  ];
  // In a job's container the clone belongs to another user; the caller names it, so it is trusted.
  if (directory !== undefined) settings.push(['safe.directory', '*']);
  if (remote?.token !== undefined) {
    settings.push([`http.${new URL(checkedUrl(remote.url)).origin}/.extraHeader`, `Authorization: Basic ${basic(remote.token)}`]);
  }
  return settings;
}

function basic(token: string): string {
  return Buffer.from(`x-access-token:${token}`).toString('base64');
}

function configuration(settings: readonly [string, string][]): Record<string, string> {
  const variables: Record<string, string> = { GIT_CONFIG_COUNT: String(settings.length) };
  for (const [index, [key, value]] of settings.entries()) {
    variables[`GIT_CONFIG_KEY_${index}`] = key;
    variables[`GIT_CONFIG_VALUE_${index}`] = value;
  }
  return variables;
}

async function makeBare(git: Git, remote: GitRemote, directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  await git(['init', '--quiet', '--bare', '.']);
  const settings = { url: checkedUrl(remote.url), promisor: 'true', partialclonefilter: 'blob:none' };
  for (const [key, value] of Object.entries(settings)) await git(['config', `remote.origin.${key}`, value]);
}

async function fetchInto(git: Git, own: boolean, wanted: readonly string[], history: 'none' | 'full'): Promise<void> {
  if (wanted.length === 0) return;
  const depth = history === 'none' ? ['--depth=1'] : (await isShallow(git)) ? ['--unshallow'] : [];
  // In a clone of ours a ref keeps its name, so that it can be asked for; nothing is written into anybody else's.
  const refspecs = wanted.map((name) => (own && name.startsWith('refs/') ? `+${revision(name)}:${name}` : revision(name)));
  const filter = own ? ['--filter=blob:none'] : [];
  await git([
    'fetch',
    '--quiet',
    '--no-tags',
    '--no-write-fetch-head',
    '--no-recurse-submodules',
    ...filter,
    ...depth,
    'origin',
    ...refspecs,
  ]);
}

async function isShallow(git: Git): Promise<boolean> {
  return (await git(['rev-parse', '--is-shallow-repository'])).stdout.toString('utf8').trim() === 'true';
}

async function mergeTree(git: Git, base: string, head: string): Promise<{ tree: string } | { conflicts: string[] }> {
  const operands = ['merge-tree', '--write-tree', '-z', '--name-only', '--no-messages', revision(base), revision(head)];
  const { status, stdout } = await git(operands, { statuses: [0, 1] });
  const [tree = '', ...files] = nulSeparated(stdout);
  return status === 0 ? { tree } : { conflicts: [...new Set(files)].sort() };
}

async function changedPaths(git: Git, from: string, to: string): Promise<string[]> {
  const { stdout } = await git(['diff-tree', '-r', '-z', '--name-only', '--no-renames', revision(from), revision(to)]);
  return nulSeparated(stdout);
}

/** Read from the commit itself: `log` hides the parents that a shallow clone lacks. */
async function summary(git: Git, treeish: string): Promise<CommitSummary> {
  const { stdout } = await git(['cat-file', '--batch'], { input: `${revision(treeish)}^{commit}\n` });
  const text = stdout.toString('utf8');
  const sha = /^([0-9a-f]{40,64}) commit \d+\n/.exec(text)?.[1];
  if (sha === undefined) {
    throw new PlumblineError('GIT_COMMIT_NOT_FOUND', `commit ${treeish} is not in this clone`, {
      hint: 'with actions/checkout, set fetch-depth: 2',
    });
  }
  const end = text.indexOf('\n\n');
  const header = text.slice(0, end);
  return {
    sha,
    parents: [...header.matchAll(/^parent ([0-9a-f]+)$/gm)].map(([, parent = '']) => parent),
    author: /^author (.*) <[^>]*> \d+ [-+]\d+$/m.exec(header)?.[1] ?? '',
    subject: text.slice(end + 2).split('\n', 1)[0] ?? '',
  };
}

function nulSeparated(bytes: Buffer): string[] {
  return bytes
    .toString('utf8')
    .split('\0')
    .filter((part) => part !== '');
}

/** A SHA or ref as an operand: what begins with a dash would be an option. */
function revision(name: string): string {
  if (/^[A-Za-z0-9][^\s~:?*[\\]*$/.test(name) && !name.includes('..')) return name;
  throw new PlumblineError('GIT_REF_INVALID', `${JSON.stringify(name)} is not a commit or ref: a SHA, a branch or refs/… was expected`);
}

function checkedUrl(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed && (parsed.protocol === 'https:' || parsed.protocol === 'http:') && parsed.username === '' && parsed.password === '')
    return url;
  throw new PlumblineError(
    'GIT_URL_UNSUPPORTED',
    `${JSON.stringify(url)} cannot be fetched: an https URL without user and password was expected`,
  );
}
