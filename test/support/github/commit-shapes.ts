/** What hangs on a commit, as GitHub writes it: checks, deployments, the commit itself and its files. */
import type { CommitData, FileDiff } from './git.ts';
import { account, app, type Json, pageUrl, repository, repoUrl, stamp } from './shapes.ts';
import type { CheckRun, CheckSuite, Deployment, DeploymentStatus, Repository, State } from './state.ts';

/** Pull requests of the same repository whose head this is; a fork's are left out, as on GitHub. */
function pullsAt(state: State, repo: Repository, headSha: string): Json[] {
  const side = (ref: string, sha: string) => ({ ref, sha, repo: { id: repo.id, name: repo.name, url: repoUrl(state, repo) } });
  return [...repo.issues.values()]
    .filter((one) => one.state === 'open' && one.pull?.headSha === headSha && one.pull.headRepository === repo)
    .map((one) => ({
      id: one.id,
      number: one.number,
      url: `${repoUrl(state, repo)}/pulls/${one.number}`,
      head: side(one.pull?.headRef ?? '', headSha),
      base: side(one.pull?.baseRef ?? '', one.pull?.baseSha ?? ''),
    }));
}

export function checkSuite(state: State, repo: Repository, one: CheckSuite, head?: CommitData): Json {
  const runs = repo.runs.filter((run) => run.suite === one);
  const done = runs.length > 0 && runs.every((run) => run.status === 'completed');
  const commit = head
    ? {
        id: head.sha,
        tree_id: head.tree,
        message: head.message,
        timestamp: head.author.date,
        author: head.author,
        committer: head.committer,
      }
    : undefined;
  return {
    id: one.id,
    head_branch: one.headBranch,
    head_sha: one.headSha,
    status: done ? 'completed' : runs.some((run) => run.status !== 'queued') ? 'in_progress' : 'queued',
    conclusion: done ? (runs.find((run) => run.conclusion !== 'success')?.conclusion ?? 'success') : null,
    url: `${repoUrl(state, repo)}/check-suites/${one.id}`,
    check_runs_url: `${repoUrl(state, repo)}/check-suites/${one.id}/check-runs`,
    before: one.before,
    after: one.headSha,
    pull_requests: pullsAt(state, repo, one.headSha),
    app: app(state, one.app),
    created_at: stamp(one.createdAt),
    updated_at: stamp(one.updatedAt),
    latest_check_runs_count: runs.length,
    rerequestable: true,
    runs_rerequestable: true,
    ...(commit ? { head_commit: commit, repository: repository(state, repo) } : {}),
  };
}

export function checkRun(state: State, repo: Repository, one: CheckRun): Json {
  const url = `${repoUrl(state, repo)}/check-runs/${one.id}`;
  return {
    id: one.id,
    name: one.name,
    head_sha: one.headSha,
    external_id: one.externalId,
    status: one.status,
    conclusion: one.conclusion,
    started_at: one.startedAt,
    completed_at: one.completedAt,
    url,
    html_url: `${pageUrl(state, repo)}/runs/${one.id}`,
    details_url: one.detailsUrl ?? `${state.url}/apps/${one.app.slug}`,
    output: { ...one.output, annotations_count: one.annotations.length, annotations_url: `${url}/annotations` },
    check_suite: { id: one.suite.id },
    app: app(state, one.app),
    pull_requests: pullsAt(state, repo, one.headSha),
  };
}

export function deployment(state: State, repo: Repository, one: Deployment): Json {
  const url = `${repoUrl(state, repo)}/deployments/${one.id}`;
  return {
    id: one.id,
    sha: one.sha,
    ...one.fields,
    creator: account(state, one.creator),
    performed_via_github_app: one.app ? app(state, one.app) : null,
    created_at: stamp(one.createdAt),
    updated_at: stamp(one.updatedAt),
    url,
    statuses_url: `${url}/statuses`,
    repository_url: repoUrl(state, repo),
  };
}

export function deploymentStatus(state: State, repo: Repository, of: Deployment, one: DeploymentStatus): Json {
  const url = `${repoUrl(state, repo)}/deployments/${of.id}`;
  return {
    id: one.id,
    ...one.fields,
    creator: account(state, one.creator),
    performed_via_github_app: one.app ? app(state, one.app) : null,
    created_at: stamp(one.createdAt),
    updated_at: stamp(one.createdAt),
    url: `${url}/statuses/${one.id}`,
    deployment_url: url,
    repository_url: repoUrl(state, repo),
  };
}

export function commit(state: State, repo: Repository, one: CommitData, files?: FileDiff[]): Json {
  const url = `${repoUrl(state, repo)}/commits/${one.sha}`;
  const byEmail = (email: string) => [...state.accounts.values()].find((other) => `${other.login}@users.noreply.github.com` === email);
  const [author, committer] = [byEmail(one.author.email), byEmail(one.committer.email)];
  return {
    sha: one.sha,
    url,
    html_url: `${pageUrl(state, repo)}/commit/${one.sha}`,
    commit: {
      message: one.message,
      author: one.author,
      committer: one.committer,
      tree: { sha: one.tree, url: `${repoUrl(state, repo)}/git/trees/${one.tree}` },
      url: `${repoUrl(state, repo)}/git/commits/${one.sha}`,
      comment_count: 0,
      verification: { verified: false, reason: 'unsigned', payload: null, signature: null, verified_at: null },
    },
    author: author ? account(state, author) : null,
    committer: committer ? account(state, committer) : null,
    parents: one.parents.map((sha) => ({ sha, url: `${repoUrl(state, repo)}/commits/${sha}` })),
    ...(files ? { files: files.map((file) => fileDiff(state, repo, one.sha, file)), stats: totals(files) } : {}),
  };
}

function totals(files: FileDiff[]): Json {
  const [additions, deletions] = [
    files.reduce((sum, file) => sum + file.additions, 0),
    files.reduce((sum, file) => sum + file.deletions, 0),
  ];
  return { additions, deletions, total: additions + deletions };
}

export function fileDiff(state: State, repo: Repository, sha: string, file: FileDiff): Json {
  return {
    sha,
    filename: file.path,
    status: file.status,
    additions: file.additions,
    deletions: file.deletions,
    changes: file.additions + file.deletions,
    blob_url: `${pageUrl(state, repo)}/blob/${sha}/${file.path}`,
    raw_url: `${pageUrl(state, repo)}/raw/${sha}/${file.path}`,
    contents_url: `${repoUrl(state, repo)}/contents/${file.path}?ref=${sha}`,
    ...(file.patch === undefined ? {} : { patch: file.patch }),
    ...(file.previous === undefined ? {} : { previous_filename: file.previous }),
  };
}
