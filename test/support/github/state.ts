/**
 * What this GitHub knows. Plain data, changed by `changes.ts` (what people and apps do) and read by everything else. Times are
 * kept as milliseconds and shown to the second, as GitHub does; `touched` orders what the second cannot.
 */
import type { Level } from './operations.ts';

export type Permissions = Record<string, Level>;
export type RepositoryRole = 'read' | 'triage' | 'write' | 'maintain' | 'admin';

export type Account = { id: number; login: string; type: 'User' | 'Bot' | 'Organization' };

export type Reaction = { id: number; user: Account; content: string; createdAt: number };
export type Comment = {
  id: number;
  issue: number;
  user: Account;
  app: App | undefined;
  body: string;
  createdAt: number;
  updatedAt: number;
  touched: number;
  reactions: Reaction[];
};

export type Pull = {
  /** Undefined once the fork is gone. */
  headRepository: Repository | undefined;
  headOwner: Account;
  headRef: string;
  headSha: string;
  baseRef: string;
  /** The base branch's tip when the pull request was last pushed, opened or retargeted; not its tip now (as on GitHub). */
  baseSha: string;
  draft: boolean;
  mergedAt: number | undefined;
  mergedBy: Account | undefined;
  /** While open: the test merge of the last push, stale when the base has moved. After the merge: the commit it made. */
  mergeCommitSha: string | undefined;
  /** What `mergeable` was worked out for; the first GET after a move answers null and starts the work (as on GitHub). */
  mergeability: { key: string; mergeable: boolean | null };
};

export type Issue = {
  id: number;
  number: number;
  title: string;
  body: string | null;
  state: 'open' | 'closed';
  stateReason: string | null;
  user: Account;
  labels: string[];
  createdAt: number;
  updatedAt: number;
  closedAt: number | undefined;
  touched: number;
  reactions: Reaction[];
  pull: Pull | undefined;
};

export type CheckSuite = {
  id: number;
  app: App;
  headSha: string;
  headBranch: string | null;
  before: string | null;
  createdAt: number;
  updatedAt: number;
};
export type Annotation = {
  path: string;
  start_line: number;
  end_line: number;
  annotation_level: string;
  message: string;
  [more: string]: unknown;
};
export type CheckRun = {
  id: number;
  app: App;
  suite: CheckSuite;
  name: string;
  headSha: string;
  externalId: string;
  detailsUrl: string | null;
  status: 'queued' | 'in_progress' | 'completed';
  conclusion: string | null;
  startedAt: string;
  completedAt: string | null;
  output: { title: string | null; summary: string | null; text: string | null };
  annotations: Annotation[];
  actions: { label: string; description: string; identifier: string }[];
};

export type DeploymentStatus = { id: number; creator: Account; app: App | undefined; createdAt: number; fields: Record<string, unknown> };
export type Deployment = {
  id: number;
  sha: string;
  creator: Account;
  app: App | undefined;
  createdAt: number;
  updatedAt: number;
  fields: Record<string, unknown>;
  statuses: DeploymentStatus[];
};
export type CommitStatus = { id: number; sha: string; creator: Account; createdAt: number; fields: Record<string, unknown> };

export type Repository = {
  id: number;
  owner: Account;
  name: string;
  /** Names it had before: requests under them are redirected. */
  formerNames: string[];
  private: boolean;
  archived: boolean;
  issuesEnabled: boolean;
  defaultBranch: string;
  parent: Repository | undefined;
  /** The bare repository's folder. */
  directory: string;
  collaborators: Map<string, RepositoryRole>;
  labels: Map<string, number>;
  issues: Map<number, Issue>;
  comments: Map<number, Comment>;
  suites: CheckSuite[];
  runs: CheckRun[];
  deployments: Deployment[];
  statuses: CommitStatus[];
  createdAt: number;
  updatedAt: number;
  pushedAt: number;
};

export type App = {
  id: number;
  slug: string;
  name: string;
  clientId: string;
  owner: Account;
  bot: Account;
  publicKey: string;
  permissions: Permissions;
  events: string[];
  webhook: { url: string; secret: string } | undefined;
  createdAt: number;
};

export type Installation = {
  id: number;
  app: App;
  account: Account;
  permissions: Permissions;
  events: string[];
  repositories: Set<number> | 'all';
  suspended: boolean;
  createdAt: number;
};

export type Token = {
  value: string;
  account: Account;
  /** Undefined for a person's token, which may do what the person may. */
  installation: Installation | undefined;
  permissions: Permissions;
  repositories: Set<number> | 'all';
  expiresAt: number;
};

export class State {
  readonly folder: string;
  /** `http://127.0.0.1:PORT`; git lies under `/OWNER/NAME.git`, REST under `/api/v3`. */
  url = '';
  /** Added to the machine's clock. */
  clockOffset = 0;
  readonly accounts = new Map<string, Account>();
  readonly repositories = new Map<number, Repository>();
  readonly apps = new Map<number, App>();
  readonly installations = new Map<number, Installation>();
  readonly tokens = new Map<string, Token>();
  #lastId = 1000;
  #lastTouch = 0;
  readonly #queues = new Map<number, Promise<unknown>>();

  constructor(folder: string) {
    this.folder = folder;
  }

  now(): number {
    return Date.now() + this.clockOffset;
  }

  nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  touch(): number {
    this.#lastTouch += 1;
    return this.#lastTouch;
  }

  repository(fullName: string): Repository | undefined {
    const [owner = '', name = ''] = fullName.toLowerCase().split('/');
    for (const one of this.repositories.values())
      if (one.owner.login.toLowerCase() === owner && one.name.toLowerCase() === name) return one;
    return undefined;
  }

  /** By a name it had before a rename or transfer. */
  formerRepository(fullName: string): Repository | undefined {
    const wanted = fullName.toLowerCase();
    for (const one of this.repositories.values()) if (one.formerNames.some((name) => name.toLowerCase() === wanted)) return one;
    return undefined;
  }

  /** Installations that see the repository, suspended ones left out. */
  installationsOn(repository: Repository): Installation[] {
    return [...this.installations.values()].filter((one) => !one.suspended && covers(one, repository));
  }

  account(login: string): Account {
    const found = this.accounts.get(login.toLowerCase());
    if (!found) throw new Error(`this GitHub knows no account "${login}": create it first`);
    return found;
  }

  /** One change of a repository at a time: a push and a merge at once would both read the old tip. */
  async alone<Result>(repository: Repository, change: () => Promise<Result>): Promise<Result> {
    const before = this.#queues.get(repository.id) ?? Promise.resolve();
    const mine = before.then(change, change);
    this.#queues.set(
      repository.id,
      mine.catch(() => undefined),
    );
    return mine;
  }
}

export function covers(installation: Installation, repository: Repository): boolean {
  if (installation.account !== repository.owner) return false;
  return installation.repositories === 'all' || installation.repositories.has(repository.id);
}

export const fullNameOf = (repository: Repository) => `${repository.owner.login}/${repository.name}`;

/** The highest role a person has on it: owner, collaborator, anybody when it is public. */
export function roleOf(repository: Repository, account: Account): RepositoryRole | 'none' {
  if (repository.owner === account) return 'admin';
  return repository.collaborators.get(account.login) ?? (repository.private ? 'none' : 'read');
}

/** GitHub's page "Webhook events and payloads": the right that each event needs; what is not named here arrives unasked. */
const EVENT_RIGHTS: Record<string, string> = {
  push: 'contents',
  pull_request: 'pull_requests',
  issue_comment: 'issues',
  check_run: 'checks',
  check_suite: 'checks',
  merge_group: 'merge_queues',
  repository: 'metadata',
};

/** Requests addressed to one App come to it for its `checks: write` alone; all else must be subscribed to and readable. */
export function grantsEvent(installation: Installation, event: string, action: string | undefined): boolean {
  const right = EVENT_RIGHTS[event];
  if (right === undefined) return true;
  if (right === 'checks' && ['requested', 'rerequested', 'requested_action'].includes(action ?? ''))
    return installation.permissions['checks'] === 'write';
  const readable = right === 'metadata' || installation.permissions[right] !== undefined;
  return readable && installation.events.includes(event);
}
