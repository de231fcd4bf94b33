/** Who calls, and whether they may: App JWTs, installation tokens with their scope, people's tokens. */
import { createPublicKey, randomBytes, verify } from 'node:crypto';
import type { Level, Operation, Right } from './operations.ts';
import {
  type Account,
  type App,
  covers,
  type Installation,
  type Permissions,
  type Repository,
  roleOf,
  type State,
  type Token,
} from './state.ts';

export type Actor =
  | { kind: 'app'; app: App }
  | { kind: 'installation'; app: App; installation: Installation; token: Token }
  | { kind: 'person'; account: Account; token: Token }
  | { kind: 'nobody' };

/** An answer of GitHub's that says no. */
export class Refusal extends Error {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly errors: unknown[] | undefined;

  constructor(status: number, message: string, more: { headers?: Record<string, string>; errors?: unknown[] } = {}) {
    super(message);
    this.status = status;
    this.headers = more.headers ?? {};
    this.errors = more.errors;
  }
}

const HOUR = 3_600_000;

/** @param header `Bearer TOKEN`, `token TOKEN`, or git's `Basic …` whose password is the token */
export function authenticate(state: State, header: string | undefined): Actor {
  if (header === undefined) return { kind: 'nobody' };
  const [scheme = '', rest = ''] = header.split(' ');
  const value = scheme.toLowerCase() === 'basic' ? Buffer.from(rest, 'base64').toString('utf8').split(':').slice(1).join(':') : rest;
  const token = state.tokens.get(value);
  if (!token && !value.startsWith('gh') && value.split('.').length === 3) return { kind: 'app', app: appOfJwt(state, value) };
  if (!token || token.expiresAt <= state.now()) throw new Refusal(401, 'Bad credentials');
  if (!token.installation) return { kind: 'person', account: token.account, token };
  if (token.installation.suspended) throw new Refusal(403, 'This installation has been suspended');
  if (!state.installations.has(token.installation.id)) throw new Refusal(401, 'Bad credentials');
  return { kind: 'installation', app: token.installation.app, installation: token.installation, token };
}

/** GitHub's page "Generating a JSON Web Token for a GitHub App": RS256, `iss` the App, at most ten minutes ahead. */
function appOfJwt(state: State, jwt: string): App {
  const undecodable = new Refusal(401, 'A JSON web token could not be decoded');
  const [head = '', body = '', signature = ''] = jwt.split('.');
  const claims = parsed(body);
  if (parsed(head)?.['alg'] !== 'RS256' || !claims) throw undecodable;
  const issuer = String(claims['iss']);
  const app = [...state.apps.values()].find((one) => String(one.id) === issuer || one.clientId === issuer);
  if (!app) throw new Refusal(404, 'Integration not found');
  if (!verify('RSA-SHA256', Buffer.from(`${head}.${body}`), createPublicKey(app.publicKey), Buffer.from(signature, 'base64url')))
    throw undecodable;
  const now = state.now() / 1000;
  const [issuedAt, expires] = [claims['iat'], claims['exp']];
  if (!Number.isInteger(issuedAt) || Number(issuedAt) > now + 60)
    throw new Refusal(401, "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued");
  if (!Number.isInteger(expires) || Number(expires) <= now)
    throw new Refusal(
      401,
      "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
    );
  if (Number(expires) > now + 600) throw new Refusal(401, "'Expiration time' claim ('exp') is too far in the future");
  return app;
}

function parsed(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

type TokenWish = { repositories?: string[]; repository_ids?: number[]; permissions?: Permissions };

/** One hour, never wider than the installation. */
export function issueToken(state: State, installation: Installation, wish: TokenWish): Token {
  if (installation.suspended) throw new Refusal(403, 'This installation has been suspended');
  const permissions = wish.permissions ?? installation.permissions;
  for (const [name, level] of Object.entries(permissions))
    if (!grants(installation.permissions, name, level))
      throw new Refusal(422, 'The permissions requested are not granted to this installation.');
  const token: Token = {
    value: newTokenValue(installation.app.id),
    account: installation.app.bot,
    installation,
    permissions: { ...permissions, metadata: 'read' },
    repositories: scopeOf(state, installation, wish),
    expiresAt: state.now() + HOUR,
  };
  state.tokens.set(token.value, token);
  return token;
}

/** GitHub's stateless format of 2026: `ghs_APPID_` and something like a JWT; longer than the forty characters of old. */
function newTokenValue(appId: number): string {
  const part = (size: number) => randomBytes(size).toString('base64url');
  return `ghs_${appId}_${part(30)}.${part(180)}.${part(64)}`;
}

function scopeOf(state: State, installation: Installation, wish: TokenWish): Token['repositories'] {
  if (!wish.repositories && !wish.repository_ids) return installation.repositories;
  const visible = [...state.repositories.values()].filter((one) => covers(installation, one));
  const byName = (wish.repositories ?? []).map((name) => visible.find((one) => one.name.toLowerCase() === name.toLowerCase()));
  const byId = (wish.repository_ids ?? []).map((id) => visible.find((one) => one.id === id));
  const ids = [...byName, ...byId].map((one) => {
    if (!one)
      throw new Refusal(422, 'There is at least one repository that does not exist or is not accessible to the parent installation.');
    return one.id;
  });
  return new Set(ids);
}

const grants = (permissions: Permissions, name: string, level: Level) =>
  name === 'metadata' || permissions[name] === 'write' || (level === 'read' && permissions[name] === 'read');

const holds = (permissions: Permissions, right: Right) => {
  const [name = '', level] = right.split(':');
  return right === 'any' || grants(permissions, name, level as Level);
};

/** A private repository that the caller cannot see does not exist for them. */
export function sees(actor: Actor, repository: Repository): boolean {
  if (actor.kind === 'installation') {
    const { installation, token } = actor;
    const scoped = token.repositories === 'all' || token.repositories.has(repository.id);
    return covers(installation, repository) && scoped ? true : !repository.private;
  }
  if (actor.kind === 'person') return roleOf(repository, actor.account) !== 'none';
  return !repository.private;
}

const PEOPLE_MAY: string[] = ['issues:write', 'pull_requests:write'];

/** Whether the caller's token reaches the operation on this repository. Throws GitHub's refusal. */
export function permit(actor: Actor, operation: Operation, repository: Repository | undefined): void {
  if (operation.rights.includes('app')) {
    if (actor.kind === 'app') return;
    throw new Refusal(401, 'A JSON web token could not be decoded');
  }
  if (actor.kind === 'app') throw new Refusal(403, 'Resource not accessible by integration');
  if (repository && !sees(actor, repository)) throw new Refusal(404, 'Not Found');
  if (actor.kind === 'nobody') {
    if (operation.method === 'GET' && repository) return;
    throw new Refusal(401, 'Requires authentication');
  }
  if (actor.kind === 'person') {
    permitPerson(actor.account, operation, repository);
    return;
  }
  const { token, installation } = actor;
  const inScope =
    !repository || (covers(installation, repository) && (token.repositories === 'all' || token.repositories.has(repository.id)));
  const readsPublic = operation.method === 'GET' && repository?.private === false;
  if (inScope ? operation.rights.some((right) => holds(token.permissions, right)) : readsPublic) return;
  throw new Refusal(403, 'Resource not accessible by integration');
}

function permitPerson(account: Account, operation: Operation, repository: Repository | undefined): void {
  if (!repository || operation.method === 'GET') return;
  if (operation.rights.includes('checks:write')) throw new Refusal(403, 'You must authenticate via a GitHub App.');
  const role = roleOf(repository, account);
  if (['write', 'maintain', 'admin'].includes(role) || operation.rights.some((right) => PEOPLE_MAY.includes(right))) return;
  throw new Refusal(403, 'Must have push access to repository');
}

/** Fetching needs contents:read, pushing contents:write; a person needs the role. */
export function mayUseGit(actor: Actor, repository: Repository, wants: 'fetch' | 'push'): boolean {
  if (actor.kind === 'installation') {
    const { token, installation } = actor;
    const inScope = covers(installation, repository) && (token.repositories === 'all' || token.repositories.has(repository.id));
    if (!inScope) return wants === 'fetch' && !repository.private;
    return holds(token.permissions, wants === 'fetch' ? 'contents:read' : 'contents:write');
  }
  if (wants === 'fetch') return sees(actor, repository);
  return actor.kind === 'person' && ['write', 'maintain', 'admin'].includes(roleOf(repository, actor.account));
}
