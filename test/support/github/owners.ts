/** What owners do: Apps made and installed, repositories renamed, archived, transferred, deleted, merge queues. Methods, no HTTP. */
import { generateKeyPair } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import { issueToken } from './auth.ts';
import { destroyGroup, queuePull } from './merge-queue.ts';
import type { People } from './people.ts';
import type { World } from './pushes.ts';
import * as shapes from './shapes.ts';
import { type Account, type App, covers, fullNameOf, type Installation, type Permissions, type Repository } from './state.ts';

const newKeyPair = promisify(generateKeyPair);
const keys: ReturnType<typeof makeKeys>[] = [];

const makeKeys = () =>
  newKeyPair('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  });

/** Making keys is slow, so the first App of each GitHub in this process has the same; two Apps of one GitHub never do. */
function keysOf(index: number): ReturnType<typeof makeKeys> {
  keys[index] ??= makeKeys();
  return keys[index];
}

export type NewApp = {
  name?: string;
  owner?: string;
  permissions: Permissions;
  /** Those that must be subscribed to: `pull_request`, `push`, `issue_comment`, … */
  events?: string[];
  /** Without them the App gets no deliveries (the runner-only shape). */
  webhookUrl?: string;
  secret?: string;
};
export type RegisteredApp = { appId: number; clientId: string; slug: string; privateKey: string };

export class Owners {
  readonly #world: World;
  readonly #people: People;

  constructor(world: World, people: People) {
    this.#world = world;
    this.#people = people;
  }

  /** As "New GitHub App" does; the key comes as GitHub's download, PKCS#1 PEM. Sends `ping` when it has a webhook. */
  async registerApp(wish: NewApp): Promise<RegisteredApp> {
    const { state } = this.#world;
    const name = wish.name ?? 'plumbline';
    const owner = this.#account(wish.owner ?? 'app-owner');
    const { publicKey, privateKey } = await keysOf(state.apps.size);
    const id = state.nextId();
    const slug = name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
    const app: App = {
      id,
      slug,
      name,
      clientId: `Iv23${id}`,
      owner,
      bot: this.#people.createUser(`${slug}[bot]`, 'Bot'),
      publicKey,
      permissions: { metadata: 'read', ...wish.permissions },
      events: wish.events ?? [],
      webhook: undefined,
      createdAt: state.now(),
    };
    state.apps.set(id, app);
    if (wish.webhookUrl !== undefined) this.setWebhook(id, wish.webhookUrl, wish.secret ?? '');
    return { appId: id, clientId: app.clientId, slug, privateKey };
  }

  /** The App's webhook, now; `ping` follows, as on GitHub's page. */
  setWebhook(appId: number, url: string, secret: string): void {
    const app = this.app(appId);
    app.webhook = { url, secret };
    const hook = {
      type: 'App',
      id: appId,
      name: 'web',
      active: true,
      events: app.events,
      app_id: appId,
      config: { url, content_type: 'json', insecure_ssl: '0' },
    };
    const times = { created_at: shapes.stamp(app.createdAt), updated_at: shapes.stamp(this.#world.state.now()) };
    this.#world.webhooks.sendTo(app, undefined, {
      event: 'ping',
      sender: app.owner,
      fields: { zen: 'Keep it logically awesome.', hook_id: appId, hook: { ...hook, ...times } },
    });
  }

  /** No more deliveries; redelivering old ones does nothing either. */
  removeWebhook(appId: number): void {
    this.app(appId).webhook = undefined;
  }

  /** A workflow's `GITHUB_TOKEN`: GitHub's own App, one repository, the job's permissions. */
  async workflowToken(fullName: string, permissions: Permissions): Promise<string> {
    const { state } = this.#world;
    const { owner, id } = this.#people.repository(fullName);
    const known = [...state.apps.values()].find((one) => one.slug === 'github-actions');
    const rights: Permissions = {
      contents: 'write',
      pull_requests: 'write',
      issues: 'write',
      checks: 'write',
      deployments: 'write',
      statuses: 'write',
    };
    const appId = known?.id ?? (await this.registerApp({ name: 'GitHub Actions', owner: 'github', permissions: rights })).appId;
    const there = [...state.installations.values()].find((one) => one.app.id === appId && one.account === owner);
    const { installationId } = there ? { installationId: there.id } : this.installApp(appId, owner.login);
    return issueToken(state, this.installation(installationId), { repository_ids: [id], permissions }).value;
  }

  /** @param repositories full names of one owner, or that owner's login for all of them */
  installApp(appId: number, repositories: string[] | string): { installationId: number } {
    const { state } = this.#world;
    const app = this.app(appId);
    const chosen = typeof repositories === 'string' ? undefined : repositories.map((name) => this.#people.repository(name));
    const account = chosen ? chosen[0]?.owner : this.#account(String(repositories));
    if (!account || chosen?.some((one) => one.owner !== account))
      throw new Error('an installation is on repositories of one owner, at least one');
    const known = [...state.installations.values()].find((one) => one.app === app && one.account === account);
    if (known) throw new Error(`${app.slug} is installed on ${account.login} already: use addRepositories`);
    const installation: Installation = {
      id: state.nextId(),
      app,
      account,
      permissions: { ...app.permissions },
      events: [...app.events],
      repositories: chosen ? new Set(chosen.map((one) => one.id)) : 'all',
      suspended: false,
      createdAt: state.now(),
    };
    state.installations.set(installation.id, installation);
    this.#tell(installation, 'created', { repositories: this.#seenBy(installation).map((one) => this.#brief(one)) });
    return { installationId: installation.id };
  }

  addRepositories(installationId: number, fullNames: string[]): void {
    this.#change(installationId, 'added', fullNames);
  }

  removeRepositories(installationId: number, fullNames: string[]): void {
    this.#change(installationId, 'removed', fullNames);
  }

  #change(installationId: number, action: 'added' | 'removed', fullNames: string[]): void {
    const installation = this.installation(installationId);
    const repositories = fullNames.map((name) => this.#people.repository(name));
    const ids = installation.repositories;
    if (ids === 'all') throw new Error(`installation ${installationId} is on all repositories`);
    for (const { id } of repositories) action === 'added' ? ids.add(id) : ids.delete(id);
    const briefs = repositories.map((one) => this.#brief(one));
    const fields = {
      installation: shapes.installation(this.#world.state, installation),
      repository_selection: 'selected',
      requester: null,
      repositories_added: action === 'added' ? briefs : [],
      repositories_removed: action === 'removed' ? briefs : [],
    };
    this.#world.webhooks.sendTo(installation.app, installation, {
      event: 'installation_repositories',
      action,
      sender: installation.account,
      fields,
    });
  }

  suspend(installationId: number, suspended = true): void {
    const installation = this.installation(installationId);
    installation.suspended = suspended;
    this.#tell(installation, suspended ? 'suspend' : 'unsuspend');
  }

  uninstall(installationId: number): void {
    const installation = this.installation(installationId);
    this.#world.state.installations.delete(installationId);
    this.#tell(installation, 'deleted');
  }

  /** The rights of new tokens, at once: on GitHub the account's owner must accept first. */
  setPermissions(installationId: number, permissions: Permissions): void {
    this.installation(installationId).permissions = { metadata: 'read', ...permissions };
  }

  #tell(installation: Installation, action: string, more: shapes.Json = {}): void {
    const fields = { installation: shapes.installation(this.#world.state, installation), ...more };
    this.#world.webhooks.sendTo(installation.app, installation, { event: 'installation', action, sender: installation.account, fields });
  }

  #seenBy(installation: Installation): Repository[] {
    return [...this.#world.state.repositories.values()].filter((one) => covers(installation, one));
  }

  #brief(one: Repository): shapes.Json {
    return { id: one.id, node_id: `${one.id}`, name: one.name, full_name: fullNameOf(one), private: one.private };
  }

  /** The old name redirects from now on, in REST and git. */
  renameRepository(fullName: string, name: string): void {
    const repository = this.#people.repository(fullName);
    repository.formerNames.push(fullName);
    const from = repository.name;
    repository.name = name;
    this.#tellRepository(repository, 'renamed', { changes: { repository: { name: { from } } } });
  }

  /** To another owner. Told only to Apps installed there, as on GitHub. */
  transferRepository(fullName: string, owner: string): void {
    const repository = this.#people.repository(fullName);
    repository.formerNames.push(fullName);
    const from = shapes.account(this.#world.state, repository.owner);
    repository.owner = this.#account(owner);
    this.#tellRepository(repository, 'transferred', { changes: { owner: { from: { user: from } } } });
  }

  archiveRepository(fullName: string, archived = true): void {
    const repository = this.#people.repository(fullName);
    repository.archived = archived;
    this.#tellRepository(repository, archived ? 'archived' : 'unarchived', {});
  }

  /** GitHub tells no App. Pull requests that came from it have no head repository any more. */
  async deleteRepository(fullName: string): Promise<void> {
    const { state } = this.#world;
    const repository = this.#people.repository(fullName);
    state.repositories.delete(repository.id);
    for (const other of state.repositories.values())
      for (const { pull } of other.issues.values()) if (pull?.headRepository === repository) pull.headRepository = undefined;
    await rm(repository.directory, { recursive: true, force: true });
  }

  #tellRepository(repository: Repository, action: string, fields: shapes.Json): void {
    this.#world.webhooks.send({ event: 'repository', action, repository, sender: repository.owner, fields });
  }

  /** A pull request enters the merge queue. Answers the group's SHA. */
  queuePullRequest(fullName: string, number: number): Promise<string> {
    return queuePull(this.#world, this.#people.repository(fullName), this.#people.issue(fullName, number));
  }

  /** The group leaves the queue. */
  destroyMergeGroup(fullName: string, head: string, reason: 'merged' | 'invalidated' | 'dequeued'): Promise<void> {
    return destroyGroup(this.#world, this.#people.repository(fullName), head, reason);
  }

  app(id: number): App {
    const found = this.#world.state.apps.get(id);
    if (!found) throw new Error(`this GitHub has no App ${id}`);
    return found;
  }

  installation(id: number): Installation {
    const found = this.#world.state.installations.get(id);
    if (!found) throw new Error(`this GitHub has no installation ${id}`);
    return found;
  }

  #account(login: string): Account {
    return this.#world.state.accounts.get(login.toLowerCase()) ?? this.#people.createUser(login);
  }
}
