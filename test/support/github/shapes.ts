/**
 * How GitHub writes its things as JSON: all fields that mean something here; `completion.ts` adds the rest of the shape. One shape
 * serves REST and webhooks.
 */
import type { CommitData, FileDiff } from './git.ts';
import type {
  Account,
  App,
  CheckRun,
  CheckSuite,
  Comment,
  Deployment,
  DeploymentStatus,
  Installation,
  Issue,
  Reaction,
  Repository,
  State,
} from './state.ts';
import { fullNameOf } from './state.ts';

export type Json = Record<string, unknown>;

export const stamp = (time: number) => `${new Date(time).toISOString().slice(0, 19)}Z`;
const stampOrNull = (time: number | undefined) => (time === undefined ? null : stamp(time));

export const apiUrl = (state: State) => `${state.url}/api/v3`;
const repoUrl = (state: State, repository: Repository) => `${apiUrl(state)}/repos/${fullNameOf(repository)}`;
const pageUrl = (state: State, repository: Repository) => `${state.url}/${fullNameOf(repository)}`;

export function account(state: State, one: Account): Json {
  return {
    id: one.id,
    login: one.login,
    type: one.type,
    site_admin: false,
    url: `${apiUrl(state)}/users/${encodeURIComponent(one.login)}`,
    html_url: `${state.url}/${encodeURIComponent(one.login)}`,
    avatar_url: `${state.url}/avatars/${one.id}`,
    gravatar_id: '',
  };
}

export function repository(state: State, one: Repository): Json {
  return {
    id: one.id,
    name: one.name,
    full_name: fullNameOf(one),
    owner: account(state, one.owner),
    private: one.private,
    visibility: one.private ? 'private' : 'public',
    fork: one.parent !== undefined,
    archived: one.archived,
    disabled: false,
    has_issues: one.issuesEnabled,
    default_branch: one.defaultBranch,
    url: repoUrl(state, one),
    html_url: pageUrl(state, one),
    clone_url: `${pageUrl(state, one)}.git`,
    git_url: `${pageUrl(state, one)}.git`,
    created_at: stamp(one.createdAt),
    updated_at: stamp(one.updatedAt),
    pushed_at: stamp(one.pushedAt),
    open_issues_count: [...one.issues.values()].filter((issue) => issue.state === 'open').length,
    ...(one.parent ? { parent: repository(state, one.parent), source: repository(state, one.parent) } : {}),
  };
}

export function label(state: State, repo: Repository, name: string): Json {
  return {
    id: repo.labels.get(name) ?? 0,
    name,
    color: 'ededed',
    default: false,
    description: null,
    url: `${repoUrl(state, repo)}/labels/${encodeURIComponent(name)}`,
  };
}

function pullSide(state: State, repo: Repository | undefined, owner: Account, ref: string, sha: string): Json {
  return { label: `${owner.login}:${ref}`, ref, sha, user: account(state, owner), repo: repo ? repository(state, repo) : null };
}

/** As lists and webhooks show it; {@link pullInFull} adds what only a GET works out. */
export function pull(state: State, repo: Repository, issue: Issue): Json {
  const one = issue.pull;
  if (!one) throw new Error(`issue ${issue.number} is no pull request`);
  return {
    id: issue.id,
    number: issue.number,
    title: issue.title,
    body: issue.body,
    state: issue.state,
    locked: false,
    draft: one.draft,
    user: account(state, issue.user),
    labels: issue.labels.map((name) => label(state, repo, name)),
    created_at: stamp(issue.createdAt),
    updated_at: stamp(issue.updatedAt),
    closed_at: stampOrNull(issue.closedAt),
    merged_at: stampOrNull(one.mergedAt),
    merge_commit_sha: one.mergeCommitSha ?? null,
    head: pullSide(state, one.headRepository, one.headOwner, one.headRef, one.headSha),
    base: pullSide(state, repo, repo.owner, one.baseRef, one.baseSha),
    author_association: repo.owner === issue.user ? 'OWNER' : repo.collaborators.has(issue.user.login) ? 'COLLABORATOR' : 'NONE',
    url: `${repoUrl(state, repo)}/pulls/${issue.number}`,
    html_url: `${pageUrl(state, repo)}/pull/${issue.number}`,
    issue_url: `${repoUrl(state, repo)}/issues/${issue.number}`,
    comments_url: `${repoUrl(state, repo)}/issues/${issue.number}/comments`,
    commits_url: `${repoUrl(state, repo)}/pulls/${issue.number}/commits`,
    statuses_url: `${repoUrl(state, repo)}/statuses/${one.headSha}`,
    _links: Object.fromEntries(
      ['self', 'html', 'issue', 'comments', 'review_comments', 'review_comment', 'commits', 'statuses'].map((name) => [
        name,
        { href: `${repoUrl(state, repo)}/pulls/${issue.number}` },
      ]),
    ),
  };
}

export function pullInFull(
  state: State,
  repo: Repository,
  issue: Issue,
  more: { mergeable: boolean | null; commits: CommitData[]; files: FileDiff[] },
): Json {
  const one = issue.pull;
  return {
    ...pull(state, repo, issue),
    merged: one?.mergedAt !== undefined,
    merged_by: one?.mergedBy ? account(state, one.mergedBy) : null,
    mergeable: more.mergeable,
    mergeable_state: one?.draft ? 'draft' : more.mergeable === null ? 'unknown' : more.mergeable ? 'clean' : 'dirty',
    rebaseable: more.mergeable,
    comments: commentsOf(repo, issue).length,
    commits: more.commits.length,
    additions: more.files.reduce((sum, file) => sum + file.additions, 0),
    deletions: more.files.reduce((sum, file) => sum + file.deletions, 0),
    changed_files: more.files.length,
  };
}

export const commentsOf = (repo: Repository, issue: Issue) => [...repo.comments.values()].filter((one) => one.issue === issue.number);

export function issue(state: State, repo: Repository, one: Issue): Json {
  const url = `${repoUrl(state, repo)}/issues/${one.number}`;
  const pullUrl = `${repoUrl(state, repo)}/pulls/${one.number}`;
  return {
    id: one.id,
    number: one.number,
    title: one.title,
    body: one.body,
    state: one.state,
    state_reason: one.stateReason,
    locked: false,
    user: account(state, one.user),
    labels: one.labels.map((name) => label(state, repo, name)),
    assignee: null,
    milestone: null,
    comments: commentsOf(repo, one).length,
    created_at: stamp(one.createdAt),
    updated_at: stamp(one.updatedAt),
    closed_at: stampOrNull(one.closedAt),
    url,
    html_url: `${pageUrl(state, repo)}/${one.pull ? 'pull' : 'issues'}/${one.number}`,
    repository_url: repoUrl(state, repo),
    ...(one.pull
      ? {
          draft: one.pull.draft,
          pull_request: {
            url: pullUrl,
            html_url: `${pageUrl(state, repo)}/pull/${one.number}`,
            diff_url: `${pullUrl}.diff`,
            patch_url: `${pullUrl}.patch`,
            merged_at: stampOrNull(one.pull.mergedAt),
          },
        }
      : {}),
  };
}

export function comment(state: State, repo: Repository, one: Comment): Json {
  return {
    id: one.id,
    body: one.body,
    user: account(state, one.user),
    performed_via_github_app: one.app ? app(state, one.app) : null,
    author_association: repo.owner === one.user ? 'OWNER' : repo.collaborators.has(one.user.login) ? 'COLLABORATOR' : 'NONE',
    created_at: stamp(one.createdAt),
    updated_at: stamp(one.updatedAt),
    url: `${repoUrl(state, repo)}/issues/comments/${one.id}`,
    html_url: `${pageUrl(state, repo)}/issues/${one.issue}#issuecomment-${one.id}`,
    issue_url: `${repoUrl(state, repo)}/issues/${one.issue}`,
  };
}

export function reaction(state: State, one: Reaction): Json {
  return { id: one.id, user: account(state, one.user), content: one.content, created_at: stamp(one.createdAt) };
}

export function app(state: State, one: App): Json {
  return {
    id: one.id,
    slug: one.slug,
    name: one.name,
    client_id: one.clientId,
    owner: account(state, one.owner),
    description: null,
    external_url: state.url,
    html_url: `${state.url}/apps/${one.slug}`,
    created_at: stamp(one.createdAt),
    updated_at: stamp(one.createdAt),
    permissions: one.permissions,
    events: one.events,
  };
}

export function installation(state: State, one: Installation): Json {
  return {
    id: one.id,
    app_id: one.app.id,
    app_slug: one.app.slug,
    client_id: one.app.clientId,
    account: account(state, one.account),
    target_id: one.account.id,
    target_type: one.account.type === 'Organization' ? 'Organization' : 'User',
    repository_selection: one.repositories === 'all' ? 'all' : 'selected',
    permissions: one.permissions,
    events: one.events,
    single_file_name: null,
    single_file_paths: [],
    suspended_at: one.suspended ? stamp(state.now()) : null,
    suspended_by: null,
    created_at: stamp(one.createdAt),
    updated_at: stamp(one.createdAt),
    access_tokens_url: `${apiUrl(state)}/app/installations/${one.id}/access_tokens`,
    repositories_url: `${apiUrl(state)}/installation/repositories`,
    html_url: `${state.url}/settings/installations/${one.id}`,
  };
}

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
