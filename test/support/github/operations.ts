/**
 * Every REST operation that this GitHub answers, and what a token needs for it.
 *
 * Permissions: GitHub's page "Permissions required for GitHub Apps". `or` lists are alternatives (a comment on a pull request may
 * be written with either right). `app`: the App's own JWT. `any`: every token. `metadata` is granted to every installation.
 * `scripts/github-contract` cuts exactly these out of the published description.
 */

export type Level = 'read' | 'write';
/** `checks:write`, or several of which one suffices. */
export type Right = 'app' | 'any' | `${string}:${Level}`;
export type Operation = { method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE'; path: string; rights: Right[] };

const operation = (line: string, ...rights: Right[]): Operation => {
  const [method, path] = line.split(' ');
  return { method: method as Operation['method'], path: path ?? '', rights };
};

const REPO = '/repos/{owner}/{repo}';

export const OPERATIONS: Operation[] = [
  operation('GET /app', 'app'),
  operation('GET /app/installations', 'app'),
  operation('GET /app/installations/{installation_id}', 'app'),
  operation('POST /app/installations/{installation_id}/access_tokens', 'app'),
  operation('GET /app/hook/deliveries', 'app'),
  operation('GET /app/hook/deliveries/{delivery_id}', 'app'),
  operation('POST /app/hook/deliveries/{delivery_id}/attempts', 'app'),
  operation(`GET ${REPO}/installation`, 'app'),
  operation('GET /installation/repositories', 'any'),
  operation('DELETE /installation/token', 'any'),
  operation('GET /rate_limit', 'any'),

  operation(`GET ${REPO}`, 'metadata:read'),
  operation(`GET ${REPO}/branches`, 'contents:read'),
  operation(`GET ${REPO}/branches/{branch}`, 'contents:read'),
  operation(`GET ${REPO}/collaborators/{username}/permission`, 'metadata:read'),
  operation(`GET ${REPO}/contents/{path}`, 'contents:read'),
  operation(`GET ${REPO}/commits`, 'contents:read'),
  operation(`GET ${REPO}/commits/{ref}`, 'contents:read'),
  operation(`GET ${REPO}/compare/{basehead}`, 'contents:read'),
  operation(`GET ${REPO}/commits/{commit_sha}/pulls`, 'pull_requests:read', 'contents:read'),
  operation(`GET ${REPO}/commits/{ref}/status`, 'statuses:read'),
  operation(`GET ${REPO}/commits/{ref}/statuses`, 'statuses:read'),
  operation(`POST ${REPO}/statuses/{sha}`, 'statuses:write'),
  operation(`GET ${REPO}/commits/{ref}/check-runs`, 'checks:read'),
  operation(`GET ${REPO}/commits/{ref}/check-suites`, 'checks:read'),

  operation(`POST ${REPO}/check-runs`, 'checks:write'),
  operation(`GET ${REPO}/check-runs/{check_run_id}`, 'checks:read'),
  operation(`PATCH ${REPO}/check-runs/{check_run_id}`, 'checks:write'),
  operation(`GET ${REPO}/check-runs/{check_run_id}/annotations`, 'checks:read'),
  operation(`POST ${REPO}/check-runs/{check_run_id}/rerequest`, 'checks:write'),
  operation(`GET ${REPO}/check-suites/{check_suite_id}`, 'checks:read'),
  operation(`POST ${REPO}/check-suites/{check_suite_id}/rerequest`, 'checks:write'),

  operation(`GET ${REPO}/pulls`, 'pull_requests:read'),
  operation(`POST ${REPO}/pulls`, 'pull_requests:write'),
  operation(`GET ${REPO}/pulls/{pull_number}`, 'pull_requests:read'),
  operation(`PATCH ${REPO}/pulls/{pull_number}`, 'pull_requests:write'),
  operation(`PUT ${REPO}/pulls/{pull_number}/merge`, 'contents:write'),
  operation(`GET ${REPO}/pulls/{pull_number}/files`, 'pull_requests:read'),
  operation(`GET ${REPO}/pulls/{pull_number}/commits`, 'pull_requests:read'),

  operation(`GET ${REPO}/issues`, 'issues:read', 'pull_requests:read'),
  operation(`POST ${REPO}/issues`, 'issues:write'),
  operation(`GET ${REPO}/issues/{issue_number}`, 'issues:read', 'pull_requests:read'),
  operation(`PATCH ${REPO}/issues/{issue_number}`, 'issues:write', 'pull_requests:write'),
  operation(`GET ${REPO}/issues/comments`, 'issues:read', 'pull_requests:read'),
  operation(`GET ${REPO}/issues/comments/{comment_id}`, 'issues:read', 'pull_requests:read'),
  operation(`PATCH ${REPO}/issues/comments/{comment_id}`, 'issues:write', 'pull_requests:write'),
  operation(`DELETE ${REPO}/issues/comments/{comment_id}`, 'issues:write', 'pull_requests:write'),
  operation(`GET ${REPO}/issues/{issue_number}/comments`, 'issues:read', 'pull_requests:read'),
  operation(`POST ${REPO}/issues/{issue_number}/comments`, 'issues:write', 'pull_requests:write'),
  operation(`POST ${REPO}/issues/{issue_number}/labels`, 'issues:write', 'pull_requests:write'),
  operation(`DELETE ${REPO}/issues/{issue_number}/labels/{name}`, 'issues:write', 'pull_requests:write'),
  operation(`GET ${REPO}/issues/{issue_number}/reactions`, 'issues:read', 'pull_requests:read'),
  operation(`POST ${REPO}/issues/{issue_number}/reactions`, 'issues:write', 'pull_requests:write'),
  operation(`GET ${REPO}/issues/comments/{comment_id}/reactions`, 'issues:read', 'pull_requests:read'),
  operation(`POST ${REPO}/issues/comments/{comment_id}/reactions`, 'issues:write', 'pull_requests:write'),
  operation(`DELETE ${REPO}/issues/comments/{comment_id}/reactions/{reaction_id}`, 'issues:write', 'pull_requests:write'),

  operation(`GET ${REPO}/deployments`, 'deployments:read'),
  operation(`POST ${REPO}/deployments`, 'deployments:write'),
  operation(`GET ${REPO}/deployments/{deployment_id}`, 'deployments:read'),
  operation(`DELETE ${REPO}/deployments/{deployment_id}`, 'deployments:write'),
  operation(`GET ${REPO}/deployments/{deployment_id}/statuses`, 'deployments:read'),
  operation(`POST ${REPO}/deployments/{deployment_id}/statuses`, 'deployments:write'),
];

/** `EVENT` or `EVENT-ACTION`, as the published description of the webhooks names them: what this GitHub sends. */
export const WEBHOOKS: string[] = [
  ...['opened', 'reopened', 'synchronize', 'edited', 'labeled', 'unlabeled', 'ready_for_review', 'converted_to_draft', 'closed'].map(
    (action) => `pull_request.${action}`,
  ),
  'push',
  ...['created', 'edited', 'deleted'].map((action) => `issue_comment.${action}`),
  ...['created', 'completed', 'rerequested', 'requested_action'].map((action) => `check_run.${action}`),
  ...['requested', 'rerequested'].map((action) => `check_suite.${action}`),
  ...['checks_requested', 'destroyed'].map((action) => `merge_group.${action}`),
  ...['created', 'deleted', 'suspend', 'unsuspend'].map((action) => `installation.${action}`),
  ...['added', 'removed'].map((action) => `installation_repositories.${action}`),
  ...['renamed', 'archived', 'unarchived', 'transferred'].map((action) => `repository.${action}`),
  'ping',
];
