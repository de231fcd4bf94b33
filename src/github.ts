/**
 * The door to GitHub: what Plumbline asks of its REST API, in the shapes that the rest of the code uses.
 *
 * Three rules hold everywhere. Absence is never guessed: `undefined` only after GitHub's own 404, everything else throws. A list is
 * complete or an error. A POST is never repeated blindly: after an answer that got lost we look whether it was done.
 */
import { isPlumblineError, PlumblineError } from './error.ts';
import {
  type Comment,
  commentOf,
  hasNext,
  installationOf,
  type KnownRepository,
  knownRepositoryOf,
  listOf,
  type PullRequest,
  pullRequestOf,
  unexpected,
} from './github/answers.ts';
import { type Checks, checksOf } from './github/checks.ts';
import { type Client, type ClientSettings, createClient, isNotModified } from './github/client.ts';
import { createToken, reading, type Token, type TokenAccess, tokenAccess, writingChecks } from './github/tokens.ts';

export type { Check, Comment, KnownRepository, PullRequest } from './github/answers.ts';
export type { CheckAnnotation, CheckReport } from './github/checks.ts';
export type { Token } from './github/tokens.ts';
export type GitHubSettings = ClientSettings;

/** The first hundred by last update; `more`: there are older ones. The ETag is bound to the token that asked. */
export type Newest<K extends string, T> = { unchanged: true } | ({ unchanged: false; etag: string; more: boolean } & Record<K, T[]>);

export type GitHub = {
  /** GET /repos/{o}/{r}/installation. `GITHUB_NOT_FOUND` where the App is not installed. */
  installationOf(repository: string): Promise<{ installationId: number }>;
  /** A token that reads metadata, contents, pull requests and issues of everything the installation covers. */
  readingToken(installationId: number): Promise<Token>;
  /** One request: the token for this repository alone comes with its name. */
  repositoryById(installationId: number, repositoryId: number): Promise<Repository>;
  /** With a reading token from elsewhere, renewed here when GitHub no longer takes it. */
  repository(installationId: number, fullName: string, readingToken: string): Promise<Repository>;
  /** Without a request; with a reading token of before, renewed when GitHub no longer takes it. */
  knownRepository(known: KnownRepository, first?: Token): Repository;
};

export type Repository = KnownRepository &
  Checks & {
    /** For reading, also for git. */
    token(): Promise<string>;
    pullRequest(number: number): Promise<PullRequest | undefined>;
    /** Every open pull request, oldest first: all pages, or an error. */
    openPullRequests(): Promise<PullRequest[]>;
    pullRequestsByUpdate(etag: string | undefined): Promise<Newest<'pulls', PullRequest>>;
    commentsByUpdate(etag: string | undefined): Promise<Newest<'comments', Comment>>;
  };

/** `accesses`: by repository and task; the oldest are let go beyond five hundred. */
type Door = { client: Client; appId: number; accesses: Map<string, TokenAccess> };

const perPage = 100;
const keptAccesses = 500;

export function connectGitHub(settings: GitHubSettings): GitHub {
  const client = createClient(settings);
  const door: Door = { client, appId: settings.appId, accesses: new Map() };
  return {
    async installationOf(repository) {
      const asked = placeOf(repository);
      const answer = await orAbsent(client.run(client.app, 'read', ({ rest }) => rest.apps.getRepoInstallation(asked)));
      if (!answer) {
        throw new PlumblineError('GITHUB_NOT_FOUND', `the App is not installed on ${repository}, or there is no such repository`, {
          hint: `install the App on ${repository}, or correct spec.source.repository`,
        });
      }
      const { id, suspended } = installationOf(answer.data);
      if (suspended) throw new PlumblineError('GITHUB_FORBIDDEN', `the installation of the App on ${repository} is suspended`);
      return { installationId: id };
    },
    async readingToken(installationId) {
      const { token, expiresAt } = await createToken(client, installationId, reading);
      return { token, expiresAt };
    },
    async repositoryById(installationId, repositoryId) {
      const created = await createToken(client, installationId, reading, repositoryId);
      if (created.repository?.id !== repositoryId) throw unexpected(`a token that is not for repository ${repositoryId}`);
      return repositoryOf(door, created.repository, readingAccess(door, created.repository, created));
    },
    async repository(installationId, fullName, token) {
      // Its end is not known here: GitHub's 401 tells.
      const first = { token, expiresAt: new Date(8.64e15).toISOString() };
      const access = tokenAccess(client, installationId, () => createToken(client, installationId, reading), first);
      const { data } = await client.run(access, 'read', ({ rest }) => rest.repos.get(placeOf(fullName)));
      return repositoryOf(door, knownRepositoryOf(data, installationId), access);
    },
    knownRepository: (known, first) => repositoryOf(door, known, readingAccess(door, known, first)),
  };
}

/** With a token that is at hand; without one the access is kept, so that a process that lives long asks for a token once an hour. */
function readingAccess(door: Door, known: KnownRepository, first?: Token): TokenAccess {
  const { installationId, id } = known;
  const make = () => createToken(door.client, installationId, reading, id);
  return first ? tokenAccess(door.client, installationId, make, first) : kept(door, known, 'reading', make);
}

function checksAccess(door: Door, known: KnownRepository): TokenAccess {
  const { installationId, id } = known;
  return kept(door, known, 'checks', () => createToken(door.client, installationId, writingChecks, id));
}

function kept(door: Door, { installationId, id }: KnownRepository, task: string, make: () => Promise<Token>): TokenAccess {
  const { accesses } = door;
  const key = `${installationId}/${id}/${task}`;
  const access = accesses.get(key) ?? tokenAccess(door.client, installationId, make);
  accesses.set(key, access);
  const oldest = accesses.size > keptAccesses ? accesses.keys().next().value : undefined;
  if (oldest !== undefined) accesses.delete(oldest);
  return access;
}

function repositoryOf(door: Door, known: KnownRepository, access: TokenAccess): Repository {
  const { client } = door;
  const place = placeOf(known.fullName);
  const newest = { ...place, per_page: perPage, sort: 'updated', direction: 'desc' } as const;
  return {
    ...known,
    ...checksOf(client, { reading: access, writing: checksAccess(door, known) }, place, door.appId),
    token: () => access.token(),
    async pullRequest(number) {
      const asked = { ...place, pull_number: number };
      const answer = await orAbsent(client.run(access, 'read', ({ rest }) => rest.pulls.get(asked)));
      return answer && pullRequestOf(answer.data);
    },
    async openPullRequests() {
      const pulls: PullRequest[] = [];
      for (let page = 1; ; page += 1) {
        // By creation, ascending: what is opened meanwhile does not shift the pages that are still to come.
        const asked = { ...place, state: 'open', sort: 'created', direction: 'asc', per_page: perPage, page } as const;
        const answer = await client.run(access, 'read', ({ rest }) => rest.pulls.list(asked));
        pulls.push(...listOf(answer.data).map(pullRequestOf));
        if (!hasNext(answer.headers.link)) return pulls;
      }
    },
    async pullRequestsByUpdate(etag) {
      const asked = { ...newest, state: 'all', headers: conditional(etag) } as const;
      const page = await newestOf(client.run(access, 'read', ({ rest }) => rest.pulls.list(asked)));
      return page ? { unchanged: false, etag: page.etag, more: page.more, pulls: page.items.map(pullRequestOf) } : { unchanged: true };
    },
    async commentsByUpdate(etag) {
      const asked = { ...newest, headers: conditional(etag) };
      const page = await newestOf(client.run(access, 'read', ({ rest }) => rest.issues.listCommentsForRepo(asked)));
      return page ? { unchanged: false, etag: page.etag, more: page.more, comments: page.items.map(commentOf) } : { unchanged: true };
    },
  };
}

type Page = { data: unknown; headers: { etag?: string | undefined; link?: string | undefined } };

/** A first page, or undefined when it is the one that the ETag names. */
async function newestOf(answer: Promise<Page>): Promise<{ etag: string; more: boolean; items: unknown[] } | undefined> {
  try {
    const { data, headers } = await answer;
    return { etag: headers.etag ?? '', more: hasNext(headers.link), items: listOf(data) };
  } catch (thrown) {
    if (isNotModified(thrown)) return undefined;
    throw thrown;
  }
}

/** Octokit's own header for it is `if-none-match`; an empty one would never match, so it is left out. */
function conditional(etag: string | undefined): Record<string, string> {
  return etag ? { 'if-none-match': etag } : {};
}

async function orAbsent<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (thrown) {
    if (isPlumblineError(thrown) && thrown.code === 'GITHUB_NOT_FOUND') return undefined;
    throw thrown;
  }
}

/** `acme/api` as GitHub's two parameters. */
function placeOf(fullName: string): { owner: string; repo: string } {
  const [owner, repo, ...more] = fullName.split('/');
  if (owner && repo && more.length === 0) return { owner, repo };
  throw new PlumblineError('GITHUB_NOT_FOUND', `${JSON.stringify(fullName)} is not the name of a repository, OWNER/NAME was expected`);
}
