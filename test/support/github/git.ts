/**
 * Bare repositories on disk, through the real git. Everything is asynchronous: git's requests to this GitHub are answered by the
 * same process, which a synchronous child would block for ever.
 */
import { spawn } from 'node:child_process';
import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';

export type Person = { name: string; email: string };
/** Text or bytes; null deletes; a link is written as one. */
export type FileChange = string | Uint8Array | null | { symlink: string };
export type CommitData = {
  sha: string;
  tree: string;
  parents: string[];
  author: Person & { date: string };
  committer: Person & { date: string };
  message: string;
};
export type FileDiff = {
  path: string;
  previous: string | undefined;
  status: string;
  additions: number;
  deletions: number;
  patch: string | undefined;
};

export const NO_COMMIT = '0'.repeat(40);

/** Nothing of the machine's or the user's git settings reaches these repositories. */
export const GIT_ENVIRONMENT = {
  PATH: process.env['PATH'] ?? '',
  HOME: '/nonexistent',
  LC_ALL: 'C',
  TZ: 'UTC',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_AUTHOR_NAME: 'GitHub',
  GIT_AUTHOR_EMAIL: 'noreply@github.com',
  GIT_COMMITTER_NAME: 'GitHub',
  GIT_COMMITTER_EMAIL: 'noreply@github.com',
};

type Run = { input?: string | Buffer; environment?: Record<string, string>; allow?: number[] };
type Output = { code: number; text: string; bytes: Buffer };

export function git(directory: string, args: string[], run: Run = {}): Promise<Output> {
  return new Promise((resolve, reject) => {
    const child = spawn('git', ['-C', directory, ...args], { env: { ...GIT_ENVIRONMENT, ...run.environment } });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    child.stdin.on('error', () => undefined); // git may end before it has read everything; its exit code tells
    child.on('error', reject);
    child.on('close', (code) => {
      const bytes = Buffer.concat(out);
      if (code === 0 || run.allow?.includes(code ?? -1)) resolve({ code: code ?? -1, text: bytes.toString('utf8'), bytes });
      else reject(new Error(`git ${args[0]} ended with ${code}: ${Buffer.concat(err).toString('utf8').trim()}`));
    });
    child.stdin.end(run.input);
  });
}

/** Pushes to `refs/pull/*` fail in GitHub's own words: "deny updating a hidden ref". */
const SETTINGS = `
[uploadpack]
\tallowFilter = true
\tallowAnySHA1InWant = true
[receive]
\thideRefs = refs/pull
\tautogc = false
[http]
\treceivepack = true
[gc]
\tauto = 0
`;

export async function createBare(directory: string, defaultBranch: string): Promise<void> {
  await git('/', ['init', '--quiet', '--bare', '--template=', `--initial-branch=${defaultBranch}`, directory]);
  await appendFile(join(directory, 'config'), SETTINGS);
}

/** The commit that a ref, a branch or a SHA names; undefined when there is none. */
export async function commitOf(directory: string, name: string): Promise<string | undefined> {
  for (const candidate of [`refs/heads/${name}`, name, `refs/tags/${name}`]) {
    const found = await git(directory, ['rev-parse', '--verify', '--quiet', '--end-of-options', `${candidate}^{commit}`], {
      allow: [1, 128],
    });
    if (found.code === 0) return found.text.trim();
  }
  return undefined;
}

/** `refs/heads/main` -> sha, the pull requests' left out unless asked for. */
export async function refsOf(directory: string, prefix = 'refs/heads'): Promise<Map<string, string>> {
  const { text } = await git(directory, ['for-each-ref', '--format=%(refname) %(objectname)', prefix]);
  return new Map(
    text
      .split('\n')
      .filter(Boolean)
      .map((line) => line.split(' ') as [string, string]),
  );
}

export async function setRef(directory: string, ref: string, sha: string | undefined): Promise<void> {
  await git(directory, sha === undefined ? ['update-ref', '-d', ref] : ['update-ref', ref, sha]);
}

type NewCommit = {
  branch: string;
  from: string | undefined;
  files: Record<string, FileChange>;
  message: string;
  author: Person;
  at: number;
};

/** One commit by fast-import: one process however many files. Answers its SHA; the branch is moved, also when it is no descendant. */
export async function writeCommit(directory: string, commit: NewCommit): Promise<string> {
  const parts: Buffer[] = [];
  const line = (text: string) => parts.push(Buffer.from(`${text}\n`));
  const data = (content: Uint8Array) => parts.push(Buffer.from(`data ${content.length}\n`), Buffer.from(content), Buffer.from('\n'));
  const stamp = `${commit.author.name} <${commit.author.email}> ${Math.floor(commit.at / 1000)} +0000`;
  line(`commit refs/heads/${commit.branch}`);
  line(`author ${stamp}`);
  line(`committer ${stamp}`);
  data(Buffer.from(commit.message));
  if (commit.from !== undefined) line(`from ${commit.from}`);
  for (const [path, change] of Object.entries(commit.files)) {
    const quoted = JSON.stringify(path);
    if (change === null) line(`D ${quoted}`);
    else if (typeof change === 'string' || change instanceof Uint8Array) {
      line(`M 100644 inline ${quoted}`);
      data(Buffer.from(change));
    } else {
      line(`M 120000 inline ${quoted}`);
      data(Buffer.from(change.symlink));
    }
  }
  line('done');
  await git(directory, ['fast-import', '--quiet', '--force', '--done'], { input: Buffer.concat(parts) });
  return (await git(directory, ['rev-parse', `refs/heads/${commit.branch}`])).text.trim();
}

export async function commitTree(
  directory: string,
  tree: string,
  parents: string[],
  message: string,
  author: Person,
  at: number,
): Promise<string> {
  const environment = {
    GIT_AUTHOR_NAME: author.name,
    GIT_AUTHOR_EMAIL: author.email,
    GIT_AUTHOR_DATE: `${Math.floor(at / 1000)} +0000`,
    GIT_COMMITTER_DATE: `${Math.floor(at / 1000)} +0000`,
  };
  const args = ['commit-tree', tree, ...parents.flatMap((parent) => ['-p', parent])];
  return (await git(directory, args, { input: message, environment })).text.trim();
}

/** The tree of the merge, or undefined on a conflict. */
export async function mergedTree(directory: string, base: string, head: string): Promise<string | undefined> {
  const merged = await git(directory, ['merge-tree', '--write-tree', base, head], { allow: [1] });
  return merged.code === 0 ? merged.text.trim() : undefined;
}

/** The commits of `head` that `base` lacks, on top of `base`; undefined on a conflict. Needs a work tree: removed afterwards. */
export async function rebased(directory: string, base: string, head: string): Promise<string | undefined> {
  const folder = await mkdtemp(join(directory, '..', 'rebase-'));
  try {
    await git(directory, ['worktree', 'add', '--quiet', '--detach', folder, base]);
    const picked = await git(folder, ['cherry-pick', '--allow-empty', `${base}..${head}`], { allow: [1, 128] });
    return picked.code === 0 ? (await git(folder, ['rev-parse', 'HEAD'])).text.trim() : undefined;
  } finally {
    await rm(folder, { recursive: true, force: true });
    await git(directory, ['worktree', 'prune']);
  }
}

/** Brings a commit of another repository on this machine here, as a fork network shares its objects. */
export async function bring(directory: string, from: string, sha: string): Promise<void> {
  if (directory !== from) await git(directory, ['fetch', '--quiet', '--no-tags', from, sha]);
}

export async function isAncestor(directory: string, old: string, recent: string): Promise<boolean> {
  return (await git(directory, ['merge-base', '--is-ancestor', old, recent], { allow: [1, 128] })).code === 0;
}

export async function mergeBase(directory: string, one: string, other: string): Promise<string | undefined> {
  const found = await git(directory, ['merge-base', one, other], { allow: [1] });
  return found.code === 0 ? found.text.trim() : undefined;
}

const FORMAT = '%H%x00%T%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%B%x1e';

/** Newest first. `range` is a commit, or `A..B`. */
export async function logOf(directory: string, range: string, paths: string[] = []): Promise<CommitData[]> {
  const { text } = await git(directory, ['log', `--format=${FORMAT}`, range, '--', ...paths]);
  return text
    .split('\x1e')
    .map((entry) => entry.replace(/^\n/, ''))
    .filter(Boolean)
    .map((entry) => {
      const [sha = '', tree = '', parents = '', an = '', ae = '', ad = '', cn = '', ce = '', cd = '', message = ''] = entry.split('\0');
      return {
        sha,
        tree,
        parents: parents.split(' ').filter(Boolean),
        author: { name: an, email: ae, date: utc(ad) },
        committer: { name: cn, email: ce, date: utc(cd) },
        message: message.trimEnd(),
      };
    });
}

const utc = (date: string) => date.replace('+00:00', 'Z');

const STATUS: Record<string, string> = { A: 'added', D: 'removed', M: 'modified', R: 'renamed', T: 'changed', C: 'copied' };

/** Files that differ, in path order, with their unified diff (without git's header, as GitHub shows it). */
export async function diffOf(directory: string, from: string, to: string): Promise<FileDiff[]> {
  const raw = (await git(directory, ['diff', '--raw', '--numstat', '-z', '--find-renames', from, to])).text.split('\0');
  const found = new Map<string, FileDiff>();
  for (let index = 0; index < raw.length; index += 1) {
    const entry = raw[index] ?? '';
    if (entry.startsWith(':')) {
      const letter = entry.split(' ')[4]?.[0] ?? 'M';
      const first = raw[++index] ?? '';
      const path = letter === 'R' || letter === 'C' ? (raw[++index] ?? '') : first;
      found.set(path, {
        path,
        previous: path === first ? undefined : first,
        status: STATUS[letter] ?? 'changed',
        additions: 0,
        deletions: 0,
        patch: undefined,
      });
    } else if (entry) {
      const [added = '', removed = '', path = ''] = entry.split('\t');
      if (path === '') index += 2;
      const file = found.get(path === '' ? (raw[index] ?? '') : path);
      if (file) Object.assign(file, { additions: Number(added) || 0, deletions: Number(removed) || 0 });
    }
  }
  const files = [...found.values()];
  const { text } = await git(directory, ['diff', '--find-renames', from, to]);
  const patches = text.split(/^diff --git .*$/m).slice(1);
  for (const [index, file] of files.entries()) {
    const hunks = patches[index]?.indexOf('\n@@') ?? -1;
    if (hunks >= 0) file.patch = patches[index]?.slice(hunks + 1).trimEnd();
  }
  return files;
}

export type TreeEntry = { mode: string; type: 'blob' | 'tree' | 'commit'; sha: string; size: number; path: string };

/** What lies at a path of a commit: the entry itself, and for a folder what it holds. Undefined when nothing does. */
export async function entriesAt(
  directory: string,
  commit: string,
  path: string,
): Promise<{ entry: TreeEntry | undefined; within: TreeEntry[] } | undefined> {
  const list = async (...args: string[]) =>
    (await git(directory, ['ls-tree', '-z', '--long', commit, '--', ...args])).text
      .split('\0')
      .filter(Boolean)
      .map((line): TreeEntry => {
        const [meta = '', name = ''] = line.split('\t');
        const [mode = '', type = '', sha = '', size = ''] = meta.split(/ +/);
        return { mode, type: type as TreeEntry['type'], sha, size: Number(size) || 0, path: name };
      });
  if (path === '') return { entry: undefined, within: await list() };
  const [entry] = await list(path);
  if (!entry) return undefined;
  return { entry, within: entry.type === 'tree' ? await list(`${path}/`) : [] };
}

export async function blobOf(directory: string, sha: string): Promise<Buffer> {
  return (await git(directory, ['cat-file', 'blob', sha])).bytes;
}
