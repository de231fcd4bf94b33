/**
 * Reading the manifests of a tree out of Git's objects: a handful of requests for any number of files (notes: platform 27), and
 * nothing outside the tree, since nothing is ever written to a disk.
 */
import { PlumblineError } from './error.ts';
import type { Git } from './git.ts';
import type { TreeFile, Unread } from './render/render.ts';

/** Our limits (notes: faults 8). */
export const treeLimits = { files: 5_000, fileBytes: 1024 * 1024, bytes: 20 * 1024 * 1024 } as const;

type Entry = { mode: string; type: string; oid: string; path: string };

export async function readTree(git: Git, treeish: string, folder: string, recurse: boolean): Promise<TreeFile[]> {
  const root = cleanFolder(folder);
  const entries = (await listEntries(git, treeish, root, recurse)).filter((entry) => entry.path === root || isManifest(entry));
  if (entries.length > treeLimits.files) {
    throw new PlumblineError(
      'TREE_TOO_LARGE',
      `${root || '/'} holds ${entries.length} YAML and JSON files; at most ${treeLimits.files} are read`,
      {
        hint: 'set spec.source.path to a smaller folder',
      },
    );
  }
  const blobs = entries.filter((entry) => unreadMode(entry) === undefined);
  await fetchMissing(git, treeish, root, blobs);
  const contents = await readBlobs(git, blobs, root);
  return entries.map((entry) => fileOf(entry, contents.get(entry.oid))).sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

/** `./k8s/`, `/k8s` and `k8s` are one folder; the root is empty. */
export function cleanFolder(folder: string): string {
  const parts = folder.split('/').filter((part) => part !== '' && part !== '.');
  if (!parts.includes('..') && !folder.includes('\0')) return parts.join('/');
  throw new PlumblineError(
    'PATH_OUTSIDE',
    `the path ${JSON.stringify(folder)} leads out of the repository: a folder inside it was expected`,
  );
}

async function listEntries(git: Git, treeish: string, root: string, recurse: boolean): Promise<Entry[]> {
  const depth = recurse ? ['-r'] : [];
  if (root === '') return entriesOf((await git(['ls-tree', '-z', '--full-tree', ...depth, treeish])).stdout, '');
  const [itself] = entriesOf((await git(['ls-tree', '-z', '--full-tree', treeish, '--', root])).stdout, '');
  if (itself?.type !== 'tree') return itself ? [itself] : [];
  return entriesOf((await git(['ls-tree', '-z', ...depth, itself.oid])).stdout, `${root}/`);
}

/** `100644 blob OID<tab>path`, NUL-terminated, so that any file name is read as it is. */
function entriesOf(listing: Buffer, prefix: string): Entry[] {
  const entries: Entry[] = [];
  for (const line of listing.toString('utf8').split('\0')) {
    const tab = line.indexOf('\t');
    if (tab < 0) continue;
    const [mode = '', type = '', oid = ''] = line.slice(0, tab).split(' ');
    entries.push({ mode, type, oid, path: prefix + line.slice(tab + 1) });
  }
  return entries;
}

/** A link without an ending may lead to a folder of manifests: it is not followed, and that is said. */
function isManifest({ path, type, mode }: Entry): boolean {
  if (type === 'tree') return false;
  const isLinkToFolder = mode === '120000' && !/\.[^/.]+$/.test(path);
  return /\.(ya?ml|json)$/i.test(path) || /(^|\/)kustomization$/i.test(path) || type === 'commit' || isLinkToFolder;
}

function unreadMode({ mode }: Entry): Unread | undefined {
  if (mode === '120000') return 'symlink';
  return mode === '160000' ? 'submodule' : undefined;
}

/**
 * All missing contents in one fetch. Asking `cat-file` for a missing blob would make git fetch it alone: 600 requests for 300 files.
 */
async function fetchMissing(git: Git, treeish: string, root: string, blobs: readonly Entry[]): Promise<void> {
  if (blobs.length === 0) return;
  const promisor = await git(['config', '--get', 'remote.origin.promisor'], { statuses: [0, 1] });
  if (promisor.status !== 0) return;
  const tree = root === '' || blobs[0]?.path === root ? `${treeish}^{tree}` : `${treeish}:${root}`;
  const listed = await git(['rev-list', '--objects', '--no-object-names', '--missing=print', tree]);
  const missing = new Set(
    listed.stdout
      .toString('utf8')
      .split('\n')
      .flatMap((line) => (line.startsWith('?') ? [line.slice(1)] : [])),
  );
  const wanted = [...new Set(blobs.map(({ oid }) => oid))].filter((oid) => missing.has(oid));
  if (wanted.length === 0) return;
  // The settings are those of git's own batch prefetch: no negotiation, since blobs have no history.
  const quiet = ['--quiet', '--no-tags', '--no-write-fetch-head', '--no-recurse-submodules', '--filter=blob:none'];
  await git(['-c', 'fetch.negotiationAlgorithm=noop', 'fetch', ...quiet, '--stdin', 'origin'], { input: `${wanted.join('\n')}\n` });
}

async function readBlobs(git: Git, blobs: readonly Entry[], root: string): Promise<Map<string, Buffer | 'too large'>> {
  const contents = new Map<string, Buffer | 'too large'>();
  const oids = [...new Set(blobs.map(({ oid }) => oid))];
  if (oids.length === 0) return contents;
  const small: string[] = [];
  let total = 0;
  const sizes = await git(['cat-file', '--batch-check=%(objectname) %(objectsize)'], { input: `${oids.join('\n')}\n` });
  for (const line of sizes.stdout.toString('utf8').split('\n')) {
    const [oid, size] = line.split(' ');
    if (!oid) continue;
    if (!/^\d+$/.test(size ?? ''))
      throw new PlumblineError('GIT_FAILED', `the content ${oid} is missing from this clone`, { retry: 'later' });
    if (Number(size) > treeLimits.fileBytes) contents.set(oid, 'too large');
    else {
      total += Number(size);
      small.push(oid);
    }
  }
  if (total > treeLimits.bytes) {
    throw new PlumblineError(
      'TREE_TOO_LARGE',
      `${root || '/'} holds ${total} bytes of YAML and JSON; at most ${treeLimits.bytes} are read`,
      {
        hint: 'set spec.source.path to a smaller folder',
      },
    );
  }
  if (small.length === 0) return contents;
  const batch = await git(['cat-file', '--batch'], { input: `${small.join('\n')}\n`, outputBytes: treeLimits.bytes + small.length * 200 });
  for (let at = 0; at < batch.stdout.length; ) {
    const end = batch.stdout.indexOf(10, at);
    const [oid = '', , size = '0'] = batch.stdout.subarray(at, end).toString('latin1').split(' ');
    contents.set(oid, batch.stdout.subarray(end + 1, end + 1 + Number(size)));
    at = end + 1 + Number(size) + 1;
  }
  return contents;
}

function fileOf(entry: Entry, content: Buffer | 'too large' | undefined): TreeFile {
  const { path } = entry;
  const mode = unreadMode(entry);
  if (mode !== undefined) return { path, text: '', unread: mode };
  if (content === 'too large' || content === undefined) return { path, text: '', unread: 'too large' };
  try {
    return { path, text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content) };
  } catch {
    return { path, text: '', unread: 'not UTF-8' };
  }
}
