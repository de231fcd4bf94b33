/** Pull requests. */
import { authorOf, editPull, type MergeMethod, mergePull, openPull, pullOf } from '../changes.ts';
import * as commitShapes from '../commit-shapes.ts';
import { commitOf, diffOf, logOf, mergeBase, mergedTree } from '../git.ts';
import * as shapes from '../shapes.ts';
import type { Issue, Pull } from '../state.ts';
import { type Answer, type Call, commitIn, issueOf, list, made, ok, type Routes, repositoryOf, sorted } from './call.ts';

function pulls(call: Call): Answer {
  const { state, head, base, sort } = call.query;
  const repository = repositoryOf(call);
  const wanted = [...repository.issues.values()].filter(
    ({ pull, ...issue }) =>
      pull &&
      (state === 'all' || issue.state === state) &&
      (base === undefined || pull.baseRef === base) &&
      (head === undefined || `${pull.headOwner.login}:${pull.headRef}` === head),
  );
  const direction = call.query['direction'] ?? (sort === 'created' || sort === undefined ? 'desc' : 'asc');
  return list(sorted(wanted, sort, direction), (issue) => shapes.pull(call.world.state, repository, issue));
}

async function changesOf(call: Call, pull: Pull) {
  const { directory } = repositoryOf(call);
  const fork = (await mergeBase(directory, pull.baseSha, pull.headSha)) ?? pull.baseSha;
  return { commits: await logOf(directory, `${fork}..${pull.headSha}`), files: await diffOf(directory, fork, pull.headSha) };
}

/** The first GET after head or base moved answers null and sets the work off, as GitHub does. */
async function mergeable(call: Call, issue: Issue, pull: Pull): Promise<boolean | null> {
  if (issue.state === 'closed') return null;
  const { directory } = repositoryOf(call);
  const base = (await commitOf(directory, `refs/heads/${pull.baseRef}`)) ?? pull.baseSha;
  const key = `${base} ${pull.headSha}`;
  const known = pull.mergeability.key === key ? pull.mergeability.mergeable : null;
  if (known === null) pull.mergeability = { key, mergeable: (await mergedTree(directory, base, pull.headSha)) !== undefined };
  return known;
}

async function inFull(call: Call, issue: Issue): Promise<shapes.Json> {
  const pull = pullOf(issue);
  const more = { mergeable: await mergeable(call, issue, pull), ...(await changesOf(call, pull)) };
  return shapes.pullInFull(call.world.state, repositoryOf(call), issue, more);
}

async function merge(call: Call): Promise<Answer> {
  const { body, world } = call;
  const repository = repositoryOf(call);
  const text = (name: string) => (typeof body[name] === 'string' ? body[name] : undefined);
  const wish = {
    method: (text('merge_method') ?? 'merge') as MergeMethod,
    title: text('commit_title'),
    message: text('commit_message'),
    sha: text('sha'),
  };
  const sha = await world.state.alone(repository, () => mergePull(world, repository, issueOf(call), wish, authorOf(call.actor)));
  return ok({ sha, merged: true, message: 'Pull Request successfully merged' });
}

export const PULLS: Routes = {
  'GET /repos/{owner}/{repo}/pulls': pulls,
  'POST /repos/{owner}/{repo}/pulls': async (call) => {
    const { title, body, head, base, draft } = call.body as { title?: string; body?: string; head: string; base: string; draft?: boolean };
    const repository = repositoryOf(call);
    const wish = { title: title ?? head, body: body ?? null, head, base, draft: draft ?? false };
    const issue = await call.world.state.alone(repository, () => openPull(call.world, repository, wish, authorOf(call.actor)));
    return made(await inFull(call, issue));
  },
  'GET /repos/{owner}/{repo}/pulls/{pull_number}': async (call) => ok(await inFull(call, issueOf(call))),
  'PATCH /repos/{owner}/{repo}/pulls/{pull_number}': async (call) => {
    const [repository, issue] = [repositoryOf(call), issueOf(call)];
    const { title, body, base, state } = call.body as { title?: string; body?: string; base?: string; state?: string };
    const edit = {
      ...(title === undefined ? {} : { title }),
      ...(body === undefined ? {} : { body }),
      ...(base === undefined ? {} : { base }),
    };
    const change = state === undefined ? edit : { ...edit, state };
    await call.world.state.alone(repository, () => editPull(call.world, repository, issue, change, authorOf(call.actor).account));
    return ok(await inFull(call, issue));
  },
  'PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge': merge,
  'GET /repos/{owner}/{repo}/pulls/{pull_number}/files': async (call) => {
    const { headSha, ...pull } = pullOf(issueOf(call));
    const { files } = await changesOf(call, { headSha, ...pull });
    // 3,000 at most: GitHub's page "List pull requests files".
    return list(files.slice(0, 3000), (file) => commitShapes.fileDiff(call.world.state, repositoryOf(call), headSha, file));
  },
  'GET /repos/{owner}/{repo}/pulls/{pull_number}/commits': async (call) => {
    const { commits } = await changesOf(call, pullOf(issueOf(call)));
    return list(commits.reverse().slice(0, 250), (one) => commitShapes.commit(call.world.state, repositoryOf(call), one));
  },
  'GET /repos/{owner}/{repo}/commits/{commit_sha}/pulls': async (call) => {
    const repository = repositoryOf(call);
    const sha = await commitIn(call, 'commit_sha');
    const wanted = [...repository.issues.values()].filter(
      ({ pull }) => pull && (pull.headSha === sha || (pull.mergedAt !== undefined && pull.mergeCommitSha === sha)),
    );
    return list(wanted, (issue) => shapes.pull(call.world.state, repository, issue));
  },
};
