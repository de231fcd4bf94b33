/** The HTTP side: every request runs the same way, from fault to permission to contract to route to answer. */
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { type Actor, authenticate, permit, Refusal, sees } from './auth.ts';
import { complete } from './completion.ts';
import { answerFaults, contract, type Match, match, requestFaults, type Schema } from './contract.ts';
import type { Faults, RequestFault } from './faults.ts';
import { answerGit, isGitPath } from './git-http.ts';
import type { World } from './pushes.ts';
import { RateLimits } from './rate-limits.ts';
import { faultReply, page, plain, type Reply, refusalReply, send } from './replies.ts';
import { APPS } from './routes/apps.ts';
import type { Route, Routes } from './routes/call.ts';
import { CHECKS } from './routes/checks.ts';
import { DEPLOYMENTS } from './routes/deployments.ts';
import { ISSUES } from './routes/issues.ts';
import { PULLS } from './routes/pulls.ts';
import { REPOSITORIES } from './routes/repositories.ts';
import { brokenRules } from './rules.ts';
import { apiUrl } from './shapes.ts';
import { fullNameOf, type Repository } from './state.ts';

/** One request as it was answered. */
export type RequestEntry = {
  at: number;
  method: string;
  path: string;
  /** `GET /repos/{owner}/{repo}/pulls`, `git`, or `unknown`. */
  operation: string;
  status: number;
  /** `app NAME`, `installation ID`, `user LOGIN`, `nobody`. */
  actor: string;
  /** It carried If-None-Match. */
  conditional: boolean;
};

/** A request that GitHub would refuse, or that is none of its operations. */
export type Violation = { operation: string; faults: string[] };

export const ROUTES: Routes = { ...APPS, ...REPOSITORIES, ...PULLS, ...ISSUES, ...CHECKS, ...DEPLOYMENTS };

export class Server {
  readonly requests: RequestEntry[] = [];
  readonly violations: Violation[] = [];
  /** What this GitHub itself did wrong: an answer that does not fit the contract. */
  readonly defects: string[];
  readonly #world: World;
  readonly #faults: Faults;
  readonly #limits: RateLimits;
  readonly #running = new Set<Promise<void>>();
  readonly #ending = new AbortController();

  constructor(world: World, faults: Faults, requestsPerHour: number, defects: string[]) {
    this.#world = world;
    this.#faults = faults;
    this.defects = defects;
    this.#limits = new RateLimits(world.state, faults, requestsPerHour);
  }

  readonly listener = (request: IncomingMessage, response: ServerResponse): void => {
    const work = this.#answer(request, response).catch((error: unknown) => {
      this.defects.push(`${request.method} ${request.url}: ${error instanceof Error ? error.stack : String(error)}`);
      if (!response.headersSent) response.writeHead(500, { 'content-type': 'application/json' });
      response.end('{"message":"this GitHub is broken"}');
    });
    const watched = work.finally(() => this.#running.delete(watched));
    this.#running.add(watched);
  };

  /** When every request is answered and what it set off is done. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  /** Answers nobody any more; what waits for a delay stops waiting. */
  abandon(): void {
    this.#ending.abort();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.#world.state.url);
    const entry: RequestEntry = {
      at: this.#world.state.now(),
      method: request.method ?? 'GET',
      path: url.pathname,
      operation: 'unknown',
      status: 0,
      actor: 'nobody',
      conditional: request.headers['if-none-match'] !== undefined,
    };
    this.requests.push(entry);
    // Clients correct the time in their JWT by this.
    response.setHeader('date', new Date(entry.at).toUTCString());
    const git = isGitPath(url.pathname);
    const found = git ? undefined : match(entry.method, this.#restPath(url.pathname));
    entry.operation = git ? 'git' : (found?.key ?? 'unknown');
    const fault = this.#faults.onRequest(entry.operation);
    if (fault?.delayMs) await wait(fault.delayMs, undefined, { signal: this.#ending.signal }).catch(() => undefined);
    if (this.#ending.signal.aborted) return;
    if (fault && !fault.done && (fault.status || fault.cut === 'reset')) {
      entry.status = fault.status ?? 0;
      return send(response, faultReply(fault), fault);
    }
    if (git) {
      const done = await answerGit(this.#world, request, response, url);
      Object.assign(entry, { status: done.status, actor: actorName(done.actor) });
      return;
    }
    const reply = await this.#rest(request, url, found, entry, fault);
    const sent = fault?.status ? faultReply(fault) : reply;
    entry.status = sent.status;
    send(response, sent, fault);
  }

  /** Repositories are reachable by id too, which is where GitHub redirects an old name to. */
  #restPath(pathname: string): string {
    const path = pathname.replace(/^\/api\/v3/, '');
    const [, id, rest = ''] = /^\/repositories\/(\d+)(\/.*)?$/.exec(path) ?? [];
    const repository = id === undefined ? undefined : this.#world.state.repositories.get(Number(id));
    return repository ? `/repos/${fullNameOf(repository)}${rest}` : path;
  }

  async #rest(
    request: IncomingMessage,
    url: URL,
    found: Match | undefined,
    entry: RequestEntry,
    fault: RequestFault | undefined,
  ): Promise<Reply> {
    const text = await bodyOf(request);
    let limitHeaders: Record<string, string> = {};
    try {
      const actor = authenticate(this.#world.state, request.headers.authorization);
      entry.actor = actorName(actor);
      if (!found) {
        this.violations.push({
          operation: `${entry.method} ${entry.path}`,
          faults: ['this GitHub does not know the operation: add it to operations.ts'],
        });
        throw new Refusal(404, 'Not Found');
      }
      if (found.key !== 'GET /rate_limit') limitHeaders = this.#limits.count(actor, found.method);
      const repository = this.#repository(found, actor, url);
      mustBePlain(request);
      permit(actor, rightsAt(found, repository), repository);
      if (repository?.archived && found.method !== 'GET') throw new Refusal(403, 'Repository was archived so is read-only.');
      const reply = await this.#route(found, actor, repository, url, text, fault);
      return this.#conditional(request, actor, { ...reply, headers: { ...limitHeaders, ...reply.headers } });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return refusalReply(error, limitHeaders);
    }
  }

  #repository(found: Match, actor: Actor, url: URL): Repository | undefined {
    const { owner, repo } = found.values;
    if (owner === undefined) return undefined;
    const { state } = this.#world;
    const repository = state.repository(`${owner}/${repo}`);
    if (repository) return repository;
    const former = state.formerRepository(`${owner}/${repo}`);
    if (!former || !(actor.kind === 'app' || sees(actor, former))) throw new Refusal(404, 'Not Found');
    const rest = this.#restPath(url.pathname).slice(`/repos/${owner}/${repo}`.length);
    throw new Refusal(301, 'Moved Permanently', {
      headers: { location: `${apiUrl(state)}/repositories/${former.id}${rest}${url.search}` },
    });
  }

  async #route(
    found: Match,
    actor: Actor,
    repository: Repository | undefined,
    url: URL,
    text: string,
    fault: RequestFault | undefined,
  ): Promise<Reply> {
    const query: Record<string, unknown> = Object.fromEntries(url.searchParams);
    const body = parsedBody(text);
    const faults = [...requestFaults(found.key, query, body), ...brokenRules(found.key, body)];
    if (faults.length > 0) {
      this.violations.push({ operation: found.key, faults });
      throw new Refusal(422, `Invalid request.\n\n${faults.join('\n')}`);
    }
    const route: Route | undefined = ROUTES[found.key];
    if (!route) throw new Error(`${found.key} has no route`);
    const given = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
    const answer = await route({
      world: this.#world,
      actor,
      repository,
      path: found.values,
      query,
      body: given,
      rateLimit: this.#limits.of(actor),
    });
    const reply = 'items' in answer ? await page(answer, query, url, apiUrl(this.#world.state), fault?.empty === true) : plain(answer);
    return this.#fitted(found, reply);
  }

  /** Completed to GitHub's full shape, and checked: what does not fit is this GitHub's own fault. */
  #fitted(found: Match, reply: Reply): Reply {
    const schema: Schema | null | undefined = contract.operations[found.key]?.answers[String(reply.status)];
    const body = schema ? complete(schema, reply.body) : reply.body;
    const faults = answerFaults(found.key, reply.status, body);
    if (faults.length > 0) throw new Error(`the answer to ${found.key} does not fit the contract: ${faults.join('; ')}`);
    return { ...reply, body };
  }

  /** ETags are bound to the token; an unchanged answer costs nothing of the limit. */
  #conditional(request: IncomingMessage, actor: Actor, reply: Reply): Reply {
    if (request.method !== 'GET' || reply.status !== 200) return reply;
    const secret = request.headers.authorization ?? '';
    const etag = `W/"${createHash('sha256')
      .update(secret)
      .update(JSON.stringify(reply.body))
      .update(reply.headers['link'] ?? '')
      .digest('hex')}"`;
    const cache = { etag, 'cache-control': 'private, max-age=60, s-maxage=60', vary: 'Accept, Authorization, Cookie, X-GitHub-OTP' };
    if (request.headers['if-none-match'] !== etag) return { ...reply, headers: { ...reply.headers, ...cache } };
    return { status: 304, headers: { ...reply.headers, ...this.#limits.giveBack(actor), ...cache } };
  }
}

/** GitHub wants a user agent. Media types other than JSON exist there and not here: better refused than answered wrongly. */
function mustBePlain({ headers }: IncomingMessage): void {
  if (!headers['user-agent'])
    throw new Refusal(403, 'Request forbidden by administrative rules. Please make sure your request has a User-Agent header.');
  const other = /application\/vnd\.github\.(?!v3\+json|[\w-]+-preview\+json)[^,;]+/.exec(headers.accept ?? '');
  if (other) throw new Refusal(415, `Unsupported 'Accept' header: '${other[0]}'. This GitHub answers JSON only.`);
}

/** The right to write pull requests reaches issues' operations only where the issue is one. */
function rightsAt(found: Match, repository: Repository | undefined): Match {
  const comment = repository?.comments.get(Number(found.values['comment_id']));
  const issue = repository?.issues.get(comment?.issue ?? Number(found.values['issue_number']));
  if (!issue || issue.pull) return found;
  return { ...found, rights: found.rights.filter((right) => !right.startsWith('pull_requests:')) };
}

function actorName(actor: Actor): string {
  if (actor.kind === 'app') return `app ${actor.app.slug}`;
  if (actor.kind === 'installation') return `installation ${actor.installation.id}`;
  return actor.kind === 'person' ? `user ${actor.account.login}` : 'nobody';
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

function parsedBody(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw new Refusal(400, 'Problems parsing JSON');
  }
}
