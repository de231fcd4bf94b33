/**
 * Where the published description is wrong about GitHub. Each row changes the contract and names its source; `EXAMPLES` are
 * GitHub's own examples that do not fit GitHub's own description, and why. Nothing else may fail.
 */
type Node = { [key: string]: unknown };
type Erratum = { what: string; source: string; change: (contract: object) => void };

function at(contract: object, ...path: string[]): Node {
  let here: unknown = contract;
  for (const part of path) here = (here as Node)[part];
  if (typeof here !== 'object' || here === null) throw new Error(`the contract has no ${path.join('/')}`);
  return here as Node;
}

function makeNullable(holder: Node, name: string): void {
  const schema = holder[name] as Node;
  const type = schema['type'];
  if (schema['anyOf'] || (Array.isArray(type) && type.includes('null'))) throw new Error(`${name} is nullable already: the row can go`);
  holder[name] = { anyOf: [schema, { type: 'null' }] };
}

const headOf =
  (...path: string[]) =>
  (contract: object) =>
    makeNullable(at(contract, ...path, 'properties', 'head', 'properties'), 'repo');

export const ERRATA: Erratum[] = [
  {
    what: 'head.repo is null once the fork is deleted',
    source: 'github/rest-api-description#161',
    change: headOf('schemas', 'pull-request'),
  },
  {
    what: 'head.repo is null once the fork is deleted, in lists too',
    source: 'github/rest-api-description#161',
    change: headOf('schemas', 'pull-request-simple'),
  },
  {
    what: 'an App that asked for merge_group says so when its suite is re-run, as it does when the suite is requested',
    source: 'webhook-check-suite-requested of the same description lists it',
    change: (contract) => {
      const events = ['properties', 'check_suite', 'properties', 'app', 'properties', 'events', 'items'];
      const items = at(contract, 'webhookSchemas', 'webhook-check-suite-rerequested', ...events);
      const known = items['enum'] as string[];
      if (known.includes('merge_group')) throw new Error('merge_group is listed already: the row can go');
      items['enum'] = [...known, 'merge_group'];
    },
  },
  {
    what: 'head.repo is null once the fork is deleted, in webhooks',
    source: 'github/rest-api-description#161',
    change: headOf('webhookSchemas', 'pull-request'),
  },
  {
    what: 'head.repo is null once the fork is deleted, in pull_request.synchronize',
    source: 'github/rest-api-description#161; labeled and unlabeled have it right',
    change: headOf('webhookSchemas', 'webhook-pull-request-synchronize', 'properties', 'pull_request'),
  },
];

/** `operation · where · title`: reason. */
export const EXAMPLES: Record<string, string> = {
  'GET /app/installations · 200 · default': 'account fits neither a user nor an enterprise',
  'POST /app/hook/deliveries/{delivery_id}/attempts · 202 · default': 'the example has no value',
  'GET /repos/{owner}/{repo} · 200 · default-response': 'language is missing',
  'GET /repos/{owner}/{repo}/branches · 200 · default': 'required_status_checks.checks is missing',
  'GET /repos/{owner}/{repo}/collaborators/{username}/permission · 200 · response-if-user-has-admin-permissions':
    'user.role_name is missing',
  'GET /repos/{owner}/{repo}/commits/{ref} · 200 · default': 'files[].contents_url and files[].sha are missing',
  'GET /repos/{owner}/{repo}/commits/{commit_sha}/pulls · 200 · default': 'requested_teams[].type is missing',
  'POST /repos/{owner}/{repo}/check-runs/{check_run_id}/rerequest · 201 · default': 'the example has no value',
  'POST /repos/{owner}/{repo}/check-suites/{check_suite_id}/rerequest · 201 · default': 'the example has no value',
  'GET /repos/{owner}/{repo}/pulls · 200 · default': 'requested_teams[].type is missing',
  'POST /repos/{owner}/{repo}/pulls · 201 · default': 'requested_teams[].type is missing',
  'GET /repos/{owner}/{repo}/pulls/{pull_number} · 200 · default': 'requested_teams[].type is missing',
  'PATCH /repos/{owner}/{repo}/pulls/{pull_number} · 200 · default': 'requested_teams[].type is missing',
  'GET /repos/{owner}/{repo}/issues/{issue_number} · 200 · default': 'assignee, closed_at and comments are missing',
  'GET /repos/{owner}/{repo}/issues/{issue_number} · 200 · pinned_comment': 'assignee, closed_at and comments are missing',
};
