/**
 * How GitHub writes its things as JSON: all fields that mean something here; `completion.ts` adds the rest of the shape. One shape
 * serves REST and webhooks.
 */
import type { CommitData, FileDiff } from './git.ts';
import type { Account, App, Comment, Installation, Issue, Reaction, Repository, State } from './state.ts';
import { fullNameOf } from './state.ts';

export type Json = Record<string, unknown>;

export const stamp = (time: number) => `${new Date(time).toISOString().slice(0, 19)}Z`;
const stampOrNull = (time: number | undefined) => (time === undefined ? null : stamp(time));

export const apiUrl = (state: State) => `${state.url}/api/v3`;
export const repoUrl = (state: State, repository: Repository) => `${apiUrl(state)}/repos/${fullNameOf(repository)}`;
export const pageUrl = (state: State, repository: Repository) => `${state.url}/${fullNameOf(repository)}`;

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
    html_url: `${pageUrl(state, repo)}/${repo.issues.get(one.issue)?.pull ? 'pull' : 'issues'}/${one.issue}#issuecomment-${one.id}`,
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
