/** Repositories, branches, commits, contents, commit statuses, collaborators. */

import { Refusal } from '../auth.ts';
import { authorOf } from '../changes.ts';
import * as commitShapes from '../commit-shapes.ts';
import { blobOf, type CommitData, commitOf, diffOf, entriesAt, logOf, mergeBase, refsOf, type TreeEntry } from '../git.ts';
import * as shapes from '../shapes.ts';
import { type CommitStatus, fullNameOf, type Repository, roleOf } from '../state.ts';
import { type Answer, type Call, commitIn, list, made, notFound, ok, type Routes, repositoryOf } from './call.ts';

async function one(repository: Repository, sha: string): Promise<CommitData> {
  const [found] = await logOf(repository.directory, `${sha}^!`);
  if (!found) throw notFound();
  return found;
}

const EMPTY_TREE = '4b825dc642cb6eb9a060e54bf8d69288fbee4904';

async function commit(call: Call): Promise<Answer> {
  const repository = repositoryOf(call);
  const found = await one(repository, await commitIn(call, 'ref'));
  const files = await diffOf(repository.directory, found.parents[0] ?? EMPTY_TREE, found.sha);
  // 300 a page, 3,000 at most (GitHub's page "Get a commit"); what is beyond must be asked of git.
  return ok(commitShapes.commit(call.world.state, repository, found, files.slice(0, 300)));
}

async function commits(call: Call): Promise<Answer> {
  const repository = repositoryOf(call);
  const from = await commitOf(repository.directory, String(call.query['sha'] ?? repository.defaultBranch));
  if (!from) throw notFound();
  const paths = call.query['path'] === undefined ? [] : [String(call.query['path'])];
  return list(await logOf(repository.directory, from, paths), (found) => commitShapes.commit(call.world.state, repository, found));
}

/** At most 250 commits and 300 files, as GitHub's page "Compare two commits" says. */
async function compare(call: Call): Promise<Answer> {
  const repository = repositoryOf(call);
  const { directory } = repository;
  const [base, head] = await Promise.all((call.path['basehead'] ?? '').split('...').map((name) => commitOf(directory, name)));
  if (!base || !head) throw notFound();
  const fork = await mergeBase(directory, base, head);
  if (!fork) throw new Refusal(404, 'No common ancestor between the two.');
  const [ahead, behind] = [await logOf(directory, `${base}..${head}`), await logOf(directory, `${head}..${base}`)];
  const files = await diffOf(directory, fork, head);
  const status = ahead.length && behind.length ? 'diverged' : ahead.length ? 'ahead' : behind.length ? 'behind' : 'identical';
  const show = (found: CommitData) => commitShapes.commit(call.world.state, repository, found);
  return ok({
    url: `${shapes.apiUrl(call.world.state)}/repos/${fullNameOf(repository)}/compare/${base}...${head}`,
    status,
    ahead_by: ahead.length,
    behind_by: behind.length,
    total_commits: ahead.length,
    base_commit: show(await one(repository, base)),
    merge_base_commit: show(await one(repository, fork)),
    commits: ahead.reverse().slice(-250).map(show),
    files: files.slice(0, 300).map((file) => commitShapes.fileDiff(call.world.state, repository, head, file)),
  });
}

async function branch(call: Call, name: string, sha: string): Promise<shapes.Json> {
  const repository = repositoryOf(call);
  const url = `${shapes.apiUrl(call.world.state)}/repos/${fullNameOf(repository)}/branches/${name}`;
  return {
    name,
    commit: commitShapes.commit(call.world.state, repository, await one(repository, sha)),
    protected: false,
    protection: { enabled: false, required_status_checks: { enforcement_level: 'off', contexts: [], checks: [] } },
    protection_url: `${url}/protection`,
    _links: { self: url, html: url },
  };
}

async function branches(call: Call): Promise<Answer> {
  const refs = await refsOf(repositoryOf(call).directory);
  const named = [...refs].map(([ref, sha]) => ({ name: ref.slice('refs/heads/'.length), sha }));
  return list(named, ({ name, sha }) => branch(call, name, sha));
}

const KINDS: Record<TreeEntry['type'], string> = { blob: 'file', tree: 'dir', commit: 'submodule' };

async function contents(call: Call): Promise<Answer> {
  const repository = repositoryOf(call);
  const path = (call.path['path'] ?? '').replace(/\/$/, '');
  const ref = String(call.query['ref'] ?? repository.defaultBranch);
  const sha = await commitOf(repository.directory, ref);
  if (!sha) throw new Refusal(404, `No commit found for the ref ${ref}`);
  const found = await entriesAt(repository.directory, sha, path);
  if (!found) throw notFound();
  const show = (entry: TreeEntry): shapes.Json => {
    const url = `${shapes.apiUrl(call.world.state)}/repos/${fullNameOf(repository)}/contents/${entry.path}?ref=${ref}`;
    const type = entry.mode === '120000' ? 'symlink' : KINDS[entry.type];
    const links = { self: url, git: url, html: url };
    return {
      name: entry.path.split('/').at(-1),
      path: entry.path,
      sha: entry.sha,
      size: entry.size,
      type,
      url,
      html_url: url,
      git_url: url,
      download_url: url,
      _links: links,
    };
  };
  const { entry } = found;
  if (!entry || entry.type === 'tree') return ok(found.within.slice(0, 1000).map(show));
  if (entry.type === 'commit') return ok({ ...show(entry), submodule_git_url: '' });
  const bytes = await blobOf(repository.directory, entry.sha);
  if (entry.mode === '120000') return ok({ ...show(entry), target: bytes.toString('utf8') });
  // Past 1 MB GitHub sends no content, and says so by the encoding.
  const large = bytes.length > 1024 * 1024;
  return ok({
    ...show(entry),
    encoding: large ? 'none' : 'base64',
    content: large ? '' : bytes.toString('base64').replace(/(.{60})/g, '$1\n'),
  });
}

function permission(call: Call): Answer {
  const repository = repositoryOf(call);
  const account = call.world.state.accounts.get((call.path['username'] ?? '').toLowerCase());
  if (!account) throw notFound();
  const role = roleOf(repository, account);
  // GitHub folds five roles into four here: maintain is write, triage is read.
  const folded = { none: 'none', read: 'read', triage: 'read', write: 'write', maintain: 'write', admin: 'admin' }[role];
  return ok({ permission: folded, role_name: role, user: { ...shapes.account(call.world.state, account), role_name: role } });
}

const showStatus = (call: Call, status: CommitStatus): shapes.Json => ({
  id: status.id,
  ...status.fields,
  creator: shapes.account(call.world.state, status.creator),
  created_at: shapes.stamp(status.createdAt),
  updated_at: shapes.stamp(status.createdAt),
  url: `${shapes.apiUrl(call.world.state)}/repos/${fullNameOf(repositoryOf(call))}/statuses/${status.sha}`,
});

const statusesAt = (repository: Repository, sha: string) => repository.statuses.filter((status) => status.sha === sha).reverse();

async function combinedStatus(call: Call): Promise<Answer> {
  const repository = repositoryOf(call);
  const sha = await commitIn(call, 'ref');
  const newest = statusesAt(repository, sha).filter(
    (status, index, all) => index === all.findIndex((other) => other.fields['context'] === status.fields['context']),
  );
  const states = newest.map((status) => status.fields['state']);
  const state = states.some((word) => word === 'failure' || word === 'error')
    ? 'failure'
    : states.length === 0 || states.includes('pending')
      ? 'pending'
      : 'success';
  const statuses = newest.map((status) => showStatus(call, status));
  const url = `${shapes.apiUrl(call.world.state)}/repos/${fullNameOf(repository)}/commits/${sha}`;
  return ok({
    state,
    sha,
    total_count: statuses.length,
    statuses,
    repository: shapes.repository(call.world.state, repository),
    commit_url: url,
    url: `${url}/status`,
  });
}

export const REPOSITORIES: Routes = {
  'GET /repos/{owner}/{repo}': (call) => ok(shapes.repository(call.world.state, repositoryOf(call))),
  'GET /repos/{owner}/{repo}/branches': branches,
  'GET /repos/{owner}/{repo}/branches/{branch}': async (call) => {
    const name = call.path['branch'] ?? '';
    const sha = (await refsOf(repositoryOf(call).directory)).get(`refs/heads/${name}`);
    if (!sha) throw new Refusal(404, 'Branch not found');
    return ok(await branch(call, name, sha));
  },
  'GET /repos/{owner}/{repo}/collaborators/{username}/permission': permission,
  'GET /repos/{owner}/{repo}/contents/{path}': contents,
  'GET /repos/{owner}/{repo}/commits': commits,
  'GET /repos/{owner}/{repo}/commits/{ref}': commit,
  'GET /repos/{owner}/{repo}/compare/{basehead}': compare,
  'GET /repos/{owner}/{repo}/commits/{ref}/status': combinedStatus,
  'GET /repos/{owner}/{repo}/commits/{ref}/statuses': async (call) =>
    list(statusesAt(repositoryOf(call), await commitIn(call, 'ref')), (status) => showStatus(call, status)),
  'POST /repos/{owner}/{repo}/statuses/{sha}': async (call) => {
    const sha = await commitIn(call, 'sha');
    const { state } = call.world;
    const fields = { context: 'default', description: null, target_url: null, ...call.body };
    const status = { id: state.nextId(), sha, creator: authorOf(call.actor).account, createdAt: state.now(), fields };
    repositoryOf(call).statuses.push(status);
    return made(showStatus(call, status));
  },
};
