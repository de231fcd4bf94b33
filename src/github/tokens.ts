/**
 * Installation tokens: as narrow as the task (permissions, one repository), kept in this process until shortly before they end.
 * Source: REST API "Create an installation access token for an app".
 */
import type { Octokit } from '@octokit/rest';
import { type KnownRepository, knownRepositoryOf, tokenOf } from './answers.ts';
import type { Access, Client } from './client.ts';

/** `expiresAt`: ISO 8601; GitHub gives an hour. */
export type Token = { token: string; expiresAt: string };

/** An access that can also hand out its token (for git). */
export type TokenAccess = Access & { token(): Promise<string> };

type Permissions = NonNullable<NonNullable<Parameters<Octokit['rest']['apps']['createInstallationAccessToken']>[0]>['permissions']>;

export const reading = {
  metadata: 'read',
  contents: 'read',
  pull_requests: 'read',
  issues: 'read',
  checks: 'read',
} as const satisfies Permissions;
export const writingChecks = { metadata: 'read', checks: 'write' } as const satisfies Permissions;

/** Renewed this long before its end, so that no request starts with a token that ends under way. */
const margin = 5 * 60_000;

/** For the whole installation, or for one repository; then GitHub's answer holds the repository as well. */
export async function createToken(
  client: Client,
  installationId: number,
  permissions: Permissions,
  repositoryId?: number,
): Promise<Token & { repository: KnownRepository | undefined }> {
  const scope = repositoryId === undefined ? {} : { repository_ids: [repositoryId] };
  const { data } = await client.run(client.app, 'write', ({ rest }) =>
    rest.apps.createInstallationAccessToken({ installation_id: installationId, permissions, ...scope }),
  );
  const { token, expiresAt, repository } = tokenOf(data);
  return { token, expiresAt, repository: repository === undefined ? undefined : knownRepositoryOf(repository, installationId) };
}

/** @param first a token that is at hand already */
export function tokenAccess(client: Client, installationId: number, make: () => Promise<Token>, first?: Token): TokenAccess {
  const keep = (token: Token) => ({ token: token.token, ends: Date.parse(token.expiresAt), octokit: client.withToken(token.token) });
  let current = first && Promise.resolve(keep(first));
  const now = async () => {
    const kept = await current?.catch(() => undefined);
    if (kept && kept.ends - margin > Date.now()) return kept;
    current = make().then(keep);
    return current;
  };
  return {
    budget: client.budgetOf(installationId),
    client: async () => (await now()).octokit,
    token: async () => (await now()).token,
    forget: () => {
      current = undefined;
    },
  };
}
