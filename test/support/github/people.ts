/** What people do on GitHub's pages and at their desks, for tests and the demo: methods, no HTTP. Everything here sets off its events. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import {
  type Author,
  addComment,
  deleteComment,
  editComment,
  editPull,
  type MergeMethod,
  mergePull,
  type NewPull,
  openPull,
  type PullEdit,
  setLabel,
} from './changes.ts';
import { commitOf, createBare, type FileChange, git, NO_COMMIT, setRef, writeCommit } from './git.ts';
import { pushed, type World } from './pushes.ts';
import { rerequestSuite, tellRun } from './routes/checks.ts';
import type { Account, CheckRun, Comment, Issue, Repository, RepositoryRole } from './state.ts';
import { fullNameOf } from './state.ts';

export type NewRepository = {
  owner: string;
  name: string;
  /** The first commit on the default branch; none: an empty repository. */
  files?: Record<string, FileChange>;
  private?: boolean;
  defaultBranch?: string;
  issues?: boolean;
};
export type NewCommit = {
  files: Record<string, FileChange>;
  message?: string;
  /** A login; the repository's owner unless given. */
  author?: string;
  /** What the branch is started from when it is new (default branch), or forced onto. */
  from?: string;
};

export class People {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  createUser(login: string, type: Account['type'] = 'User'): Account {
    const { state } = this.#world;
    if (state.accounts.has(login.toLowerCase())) throw new Error(`there is an account "${login}" already`);
    const account: Account = { id: state.nextId(), login, type };
    state.accounts.set(login.toLowerCase(), account);
    return account;
  }

  createOrganization(login: string): Account {
    return this.createUser(login, 'Organization');
  }

  /** A personal access token: for git pushes as that person, and REST. */
  userToken(login: string): string {
    const { state } = this.#world;
    const value = `ghp_${randomBytes(27).toString('base64url')}`;
    const account = state.account(login);
    state.tokens.set(value, {
      value,
      account,
      installation: undefined,
      permissions: {},
      repositories: 'all',
      expiresAt: Number.POSITIVE_INFINITY,
    });
    return value;
  }

  /** Unknown owners are made users. */
  async createRepository(wish: NewRepository): Promise<Repository> {
    const { state } = this.#world;
    if (state.repository(`${wish.owner}/${wish.name}`)) throw new Error(`there is a repository ${wish.owner}/${wish.name} already`);
    const owner = state.accounts.get(wish.owner.toLowerCase()) ?? this.createUser(wish.owner);
    const repository = this.#newRepository(owner, wish.name, undefined, wish);
    await createBare(repository.directory, repository.defaultBranch);
    state.repositories.set(repository.id, repository);
    if (wish.files) await this.commit(fullNameOf(repository), repository.defaultBranch, { files: wish.files, message: 'first commit' });
    return repository;
  }

  #newRepository(owner: Account, name: string, parent: Repository | undefined, wish: Partial<NewRepository>): Repository {
    const { state } = this.#world;
    const now = state.now();
    const id = state.nextId();
    return {
      id,
      owner,
      name,
      parent,
      formerNames: [],
      private: wish.private ?? true,
      archived: false,
      issuesEnabled: wish.issues ?? true,
      defaultBranch: wish.defaultBranch ?? 'main',
      directory: join(state.folder, `${id}.git`),
      collaborators: new Map(),
      labels: new Map(),
      issues: new Map(),
      comments: new Map(),
      suites: [],
      runs: [],
      deployments: [],
      statuses: [],
      createdAt: now,
      updatedAt: now,
      pushedAt: now,
    };
  }

  /** `OWNER/NAME` under a new owner, with all branches; pull requests come from it as `OWNER:BRANCH`. */
  async fork(fullName: string, owner: string): Promise<Repository> {
    const { state } = this.#world;
    const parent = this.repository(fullName);
    const account = state.accounts.get(owner.toLowerCase()) ?? this.createUser(owner);
    const repository = this.#newRepository(account, parent.name, parent, { private: parent.private, defaultBranch: parent.defaultBranch });
    await createBare(repository.directory, repository.defaultBranch);
    await git(repository.directory, ['fetch', '--quiet', parent.directory, '+refs/heads/*:refs/heads/*']);
    state.repositories.set(repository.id, repository);
    return repository;
  }

  addCollaborator(fullName: string, login: string, role: RepositoryRole): void {
    const account = this.#world.state.accounts.get(login.toLowerCase()) ?? this.createUser(login);
    this.repository(fullName).collaborators.set(account.login, role);
  }

  removeCollaborator(fullName: string, login: string): void {
    this.repository(fullName).collaborators.delete(this.#world.state.account(login).login);
  }

  /** A commit pushed to a branch, made when it is not there. Answers its SHA. */
  async commit(fullName: string, branch: string, wish: NewCommit): Promise<string> {
    const repository = this.repository(fullName);
    const { state } = this.#world;
    const author = wish.author === undefined ? repository.owner : state.account(wish.author);
    return state.alone(repository, async () => {
      const before = await commitOf(repository.directory, `refs/heads/${branch}`);
      const from = wish.from === undefined ? (before ?? `refs/heads/${repository.defaultBranch}`) : wish.from;
      const parent = await commitOf(repository.directory, from);
      const person = { name: author.login, email: `${author.login}@users.noreply.github.com` };
      const message = wish.message ?? `change ${Object.keys(wish.files)[0] ?? 'nothing'}`;
      const after = await writeCommit(repository.directory, {
        branch,
        from: parent,
        files: wish.files,
        message,
        author: person,
        at: state.now(),
      });
      await pushed(this.#world, repository, [{ ref: `refs/heads/${branch}`, before: before ?? NO_COMMIT, after }], author);
      return after;
    });
  }

  async deleteBranch(fullName: string, branch: string, by?: string): Promise<void> {
    const repository = this.repository(fullName);
    await this.#world.state.alone(repository, async () => {
      const before = await commitOf(repository.directory, `refs/heads/${branch}`);
      if (!before) throw new Error(`${fullName} has no branch "${branch}"`);
      await setRef(repository.directory, `refs/heads/${branch}`, undefined);
      await pushed(this.#world, repository, [{ ref: `refs/heads/${branch}`, before, after: NO_COMMIT }], this.#by(repository, by));
    });
  }

  /** The SHA at a branch's tip, now. */
  async tip(fullName: string, branch: string): Promise<string | undefined> {
    return commitOf(this.repository(fullName).directory, `refs/heads/${branch}`);
  }

  async openPullRequest(
    fullName: string,
    wish: Omit<NewPull, 'body' | 'draft' | 'base'> & { body?: string; base?: string; draft?: boolean; author?: string },
  ): Promise<Issue> {
    const repository = this.repository(fullName);
    const author: Author = { account: this.#by(repository, wish.author), app: undefined };
    const full = {
      title: wish.title,
      head: wish.head,
      body: wish.body ?? null,
      base: wish.base ?? repository.defaultBranch,
      draft: wish.draft ?? false,
    };
    return this.#world.state.alone(repository, () => openPull(this.#world, repository, full, author));
  }

  /** Title, body, base branch, draft, state. */
  async editPullRequest(fullName: string, number: number, edit: PullEdit, by?: string): Promise<void> {
    const repository = this.repository(fullName);
    await this.#world.state.alone(repository, () =>
      editPull(this.#world, repository, this.issue(fullName, number), edit, this.#by(repository, by)),
    );
  }

  async closePullRequest(fullName: string, number: number, by?: string): Promise<void> {
    await this.editPullRequest(fullName, number, { state: 'closed' }, by);
  }

  async mergePullRequest(fullName: string, number: number, method: MergeMethod = 'merge', by?: string): Promise<string> {
    const repository = this.repository(fullName);
    const author: Author = { account: this.#by(repository, by), app: undefined };
    return this.#world.state.alone(repository, () => mergePull(this.#world, repository, this.issue(fullName, number), { method }, author));
  }

  comment(fullName: string, number: number, body: string, by?: string): Comment {
    const repository = this.repository(fullName);
    return addComment(this.#world, repository, this.issue(fullName, number), body, { account: this.#by(repository, by), app: undefined });
  }

  editComment(fullName: string, id: number, body: string, by?: string): void {
    const repository = this.repository(fullName);
    editComment(this.#world, repository, this.#comment(repository, id), body, this.#by(repository, by));
  }

  deleteComment(fullName: string, id: number, by?: string): void {
    const repository = this.repository(fullName);
    deleteComment(this.#world, repository, this.#comment(repository, id), this.#by(repository, by));
  }

  label(fullName: string, number: number, name: string, present = true, by?: string): void {
    const repository = this.repository(fullName);
    setLabel(this.#world, repository, this.issue(fullName, number), name, present, this.#by(repository, by));
  }

  /** A button of a check; it must be one that the check shows. */
  pressButton(fullName: string, checkRun: number, identifier: string, by?: string): void {
    const repository = this.repository(fullName);
    const run = this.checkRun(fullName, checkRun);
    if (run.status !== 'completed' || !run.actions.some((one) => one.identifier === identifier))
      throw new Error(`check run ${checkRun} (${run.status}) shows no button "${identifier}"`);
    tellRun(this.#world, repository, run, 'requested_action', this.#by(repository, by), { requested_action: { identifier } });
  }

  rerequestCheck(fullName: string, checkRun: number, by?: string): void {
    const repository = this.repository(fullName);
    tellRun(this.#world, repository, this.checkRun(fullName, checkRun), 'rerequested', this.#by(repository, by));
  }

  rerequestSuite(fullName: string, suite: number, by?: string): void {
    const repository = this.repository(fullName);
    const found = repository.suites.find((one) => one.id === suite);
    if (!found) throw new Error(`${fullName} has no check suite ${suite}`);
    rerequestSuite(this.#world, repository, found, this.#by(repository, by));
  }

  repository(fullName: string): Repository {
    const found = this.#world.state.repository(fullName);
    if (!found) throw new Error(`this GitHub has no repository ${fullName}`);
    return found;
  }

  issue(fullName: string, number: number): Issue {
    const found = this.repository(fullName).issues.get(number);
    if (!found) throw new Error(`${fullName} has no issue or pull request ${number}`);
    return found;
  }

  checkRun(fullName: string, id: number): CheckRun {
    const found = this.repository(fullName).runs.find((one) => one.id === id);
    if (!found) throw new Error(`${fullName} has no check run ${id}`);
    return found;
  }

  #comment(repository: Repository, id: number): Comment {
    const found = repository.comments.get(id);
    if (!found) throw new Error(`${fullNameOf(repository)} has no comment ${id}`);
    return found;
  }

  #by(repository: Repository, login: string | undefined): Account {
    return login === undefined ? repository.owner : this.#world.state.account(login);
  }
}
