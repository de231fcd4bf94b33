/**
 * What GitHub refuses and its description does not say. Each row: where it is known from, and what breaks it. A request that
 * breaks one is answered 422, as there. The numbers are those of the constants in the product, on purpose written a second time.
 */
import { contract } from './contract.ts';

type Body = Record<string, unknown>;
export type Rule = { operation: string; says: string; source: string; broken: (body: Body) => boolean };

const REPO = '/repos/{owner}/{repo}';
const CHECK_WRITES = [`POST ${REPO}/check-runs`, `PATCH ${REPO}/check-runs/{check_run_id}`];
const COMMENT_WRITES = [`POST ${REPO}/issues/{issue_number}/comments`, `PATCH ${REPO}/issues/comments/{comment_id}`];
const TEXT_WRITES = [
  `POST ${REPO}/pulls`,
  `PATCH ${REPO}/pulls/{pull_number}`,
  `POST ${REPO}/issues`,
  `PATCH ${REPO}/issues/{issue_number}`,
];

/** GitHub counts characters (code points), not UTF-16 units. */
const longer = (value: unknown, most: number) => typeof value === 'string' && [...value].length > most;
const bytesOver = (value: unknown, most: number) => typeof value === 'string' && Buffer.byteLength(value) > most;

function annotations(body: Body): Body[] {
  const output = body['output'];
  const given = typeof output === 'object' && output !== null ? (output as Body)['annotations'] : undefined;
  return Array.isArray(given) ? (given as Body[]) : [];
}

/** Not written down by GitHub and not asked of it from here. */
const USE = 'known from use';

const forEach = (operations: string[], rule: Omit<Rule, 'operation'>): Rule[] => operations.map((operation) => ({ operation, ...rule }));

const PERMISSIONS = Object.keys((contract.schemas['app-permissions']?.['properties'] ?? {}) as object);

export const RULES: Rule[] = [
  ...forEach(COMMENT_WRITES, {
    says: 'Body is too long (maximum is 65536 characters)',
    source: 'danger/danger#424, renovatebot/renovate#2032',
    broken: (body) => longer(body['body'], 65_536),
  }),
  ...forEach(COMMENT_WRITES, {
    says: "Body can't be blank",
    source: USE,
    broken: (body) => String(body['body']).trim() === '',
  }),
  ...forEach(TEXT_WRITES, {
    says: 'body is too long (maximum is 65536 characters)',
    source: 'renovatebot/renovate#2032',
    broken: (body) => longer(body['body'], 65_536),
  }),
  ...forEach(TEXT_WRITES, {
    says: 'title is too long (maximum is 256 characters)',
    source: USE,
    broken: (body) => longer(body['title'], 256),
  }),
  ...forEach(CHECK_WRITES, {
    says: 'conclusion is required when status is completed or completed_at is given',
    source: 'description of `conclusion` on "Create a check run"',
    broken: (body) => (body['status'] === 'completed' || body['completed_at'] !== undefined) && body['conclusion'] === undefined,
  }),
  ...forEach(CHECK_WRITES, {
    says: 'stale is not a conclusion that can be set',
    source: 'description of `conclusion`: "only GitHub can set this"',
    broken: (body) => body['conclusion'] === 'stale',
  }),
  ...forEach(CHECK_WRITES, {
    says: 'start_column and end_column may only be given on one line',
    source: 'description of `annotations[].start_column`',
    broken: (body) =>
      annotations(body).some((one) => one['start_line'] !== one['end_line'] && (one['start_column'] ?? one['end_column']) !== undefined),
  }),
  ...forEach(CHECK_WRITES, {
    says: 'annotation lines start at 1 and end where they start or later',
    source: 'description of `annotations[].start_line`',
    broken: (body) => annotations(body).some((one) => Number(one['start_line']) < 1 || Number(one['end_line']) < Number(one['start_line'])),
  }),
  ...forEach(CHECK_WRITES, {
    says: 'annotation message and raw_details exceed 64 KB, or title 255 characters',
    source: 'descriptions of `annotations[].message`, `title`, `raw_details`',
    broken: (body) =>
      annotations(body).some(
        (one) => bytesOver(one['message'], 65_536) || bytesOver(one['raw_details'], 65_536) || longer(one['title'], 255),
      ),
  }),
  ...forEach(CHECK_WRITES, {
    says: 'summary and text are too long (maximum is 65535 bytes)',
    source: 'the description says characters, users report bytes: the stricter, so that either is kept',
    broken: ({ output }) => ['summary', 'text'].some((name) => bytesOver((output as Body | undefined)?.[name], 65_535)),
  }),
  {
    operation: CHECK_WRITES[0] ?? '',
    says: 'head_sha must be 40 hexadecimal digits',
    source: USE,
    broken: (body) => !/^[0-9a-f]{40}$/.test(String(body['head_sha'])),
  },
  {
    operation: `POST ${REPO}/deployments`,
    says: 'description is too long (maximum is 140 characters)',
    source: USE,
    broken: (body) => longer(body['description'], 140),
  },
  {
    operation: `POST ${REPO}/deployments/{deployment_id}/statuses`,
    says: 'description is too long (maximum is 140 characters)',
    source: 'description of `description` on "Create a deployment status"',
    broken: (body) => longer(body['description'], 140),
  },
  {
    operation: `POST ${REPO}/statuses/{sha}`,
    says: 'description is too long (maximum is 140 characters)',
    source: USE,
    broken: (body) => longer(body['description'], 140),
  },
  {
    operation: 'POST /app/installations/{installation_id}/access_tokens',
    says: 'permissions holds a name that GitHub does not know',
    source: 'schema `app-permissions` of the description, which lets every name pass',
    broken: ({ permissions }) => Object.keys(permissions ?? {}).some((name) => !PERMISSIONS.includes(name)),
  },
  {
    operation: 'POST /app/installations/{installation_id}/access_tokens',
    says: 'at most 500 repositories',
    source: 'description of "Create an installation access token for an app"',
    broken: (body) => ['repositories', 'repository_ids'].some((name) => Array.isArray(body[name]) && body[name].length > 500),
  },
];

export const brokenRules = (operation: string, body: unknown): string[] =>
  typeof body === 'object' && body !== null
    ? RULES.filter((rule) => rule.operation === operation && rule.broken(body as Body)).map((rule) => rule.says)
    : [];
