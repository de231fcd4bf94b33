/**
 * One request to GitHub, done properly: credentials, budget, time limit, repetition, and errors by code. `github.ts` says what is
 * asked; nothing outside this folder and that file imports this one.
 */
import { createPrivateKey } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { createAppAuth } from '@octokit/auth-app';
import { Octokit } from '@octokit/rest';
import { isPlumblineError, PlumblineError } from '../error.ts';
import { Budget, type Cost, type Share } from './limits.ts';

/** `apiUrl` without a slash at its end; `privateKey` PEM. `patienceMs`: how long a call may wait for the budget before it gives up. */
export type ClientSettings = { apiUrl: string; appId: number; privateKey: string; timeoutMs?: number; patienceMs?: number; share?: Share };

/** Who asks: an Octokit that carries a credential, and how to throw the credential away when GitHub no longer takes it. */
export type Access = { budget: Budget; client: () => Promise<Octokit>; forget?: () => void };

type Answer = { status: number; headers: Record<string, string | number | undefined> };

export type Client = {
  /** The App itself, by a JWT of at most ten minutes. */
  app: Access;
  /** An Octokit for a token. */
  withToken(token: string): Octokit;
  /** One budget per installation. */
  budgetOf(installationId: number): Budget;
  /**
   * A request. A read is repeated after an outage (twice); a write never is: the caller looks first. A credential that is refused
   * (401) was used for nothing, so any request is repeated once with a new one.
   */
  run<T extends Answer>(access: Access, cost: Cost, request: (octokit: Octokit) => Promise<T>): Promise<T>;
};

const repetitions = [250, 1000];
const silent = { debug() {}, info() {}, warn() {}, error() {} };

export function createClient(settings: ClientSettings): Client {
  const options = { baseUrl: apiUrlOf(settings.apiUrl), userAgent: 'plumbline', log: silent };
  const timeoutMs = settings.timeoutMs ?? 10_000;
  const budgets = new Map<number, Budget>();
  const budgetOf = (installationId: number): Budget => {
    const known = budgets.get(installationId) ?? new Budget(settings.share);
    budgets.set(installationId, known);
    return known;
  };
  const bounded = (octokit: Octokit): Octokit => {
    octokit.hook.before('request', (request) => {
      request.request.signal = AbortSignal.timeout(timeoutMs);
    });
    return octokit;
  };
  const auth = { appId: appIdOf(settings.appId), privateKey: privateKeyOf(settings.privateKey), log: silent };
  const appOctokit = bounded(new Octokit({ ...options, authStrategy: createAppAuth, auth }));
  return {
    app: { budget: budgetOf(0), client: async () => appOctokit },
    withToken: (token) => bounded(new Octokit({ ...options, auth: token })),
    budgetOf,
    run: (access, cost, request) => run(access, cost, request, settings.patienceMs ?? 20_000),
  };
}

async function run<T extends Answer>(
  access: Access,
  cost: Cost,
  request: (octokit: Octokit) => Promise<T>,
  patienceMs: number,
): Promise<T> {
  let renewed = access.forget === undefined;
  for (let repetition = 0; ; ) {
    await waitForBudget(access.budget, cost, patienceMs);
    const octokit = await access.client();
    try {
      const answer = await request(octokit);
      access.budget.learn(answer.status, answer.headers, '', Date.now());
      return answer;
    } catch (thrown) {
      const failure = failureOf(thrown, access.budget);
      if (failure.code === 'GITHUB_UNAUTHORIZED' && !renewed) {
        renewed = true;
        access.forget?.();
        continue;
      }
      const pause = repetitions[repetition];
      if (failure.code !== 'GITHUB_UNREACHABLE' || cost !== 'read' || pause === undefined) throw failure;
      repetition += 1;
      await delay(pause);
    }
  }
}

async function waitForBudget(budget: Budget, cost: Cost, patienceMs: number): Promise<void> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const now = Date.now();
    const at = budget.earliest(cost, now);
    if (at <= now) return budget.book(cost, now);
    if (at > deadline) throw tooFast(at);
    // Asked again afterwards: meanwhile GitHub may have said to wait longer.
    await delay(at - now);
  }
}

function tooFast(until: number): PlumblineError {
  const at = new Date(until).toISOString().slice(11, 16);
  return new PlumblineError('GITHUB_RATE_LIMITED', `waiting until ${at} UTC: GitHub's limit for this installation is reached`, {
    retry: 'later',
  });
}

/** Octokit's error as ours. Octokit's own is not kept as cause: it holds the whole request and answer. 304 passes as it is. */
function failureOf(thrown: unknown, budget: Budget): PlumblineError {
  if (isPlumblineError(thrown)) return thrown;
  const parts = partsOf(thrown);
  if (parts.status === 304) throw thrown;
  const said = parts.message.slice(0, 300);
  const until = budget.learn(parts.answered ? parts.status : 0, parts.headers, parts.message, Date.now());
  if (until !== undefined) return tooFast(until);
  if (!parts.answered || parts.status >= 500) {
    return new PlumblineError('GITHUB_UNREACHABLE', `${parts.what}: ${parts.answered ? `${parts.status} ` : ''}${said}`, {
      retry: 'later',
    });
  }
  const message = `${parts.what}: ${parts.status} ${said}`;
  if (parts.status === 401) return new PlumblineError('GITHUB_UNAUTHORIZED', message);
  if (parts.status === 403) return new PlumblineError('GITHUB_FORBIDDEN', message);
  if (parts.status === 404) return new PlumblineError('GITHUB_NOT_FOUND', message);
  return new PlumblineError('GITHUB_REFUSED', message);
}

type Parts = { status: number; answered: boolean; headers: Answer['headers']; message: string; what: string };

function partsOf(thrown: unknown): Parts {
  const error = recordOf(thrown);
  const request = recordOf(error['request']);
  const response = recordOf(error['response']);
  const url = String(request['url'] ?? '').replace(/\?.*$/, '');
  return {
    status: Number(error['status'] ?? 0),
    answered: error['response'] !== undefined,
    headers: recordOf(response['headers']) as Answer['headers'],
    message: recordOf(error['cause'])['name'] === 'TimeoutError' ? 'no answer in time' : String(error['message'] ?? thrown),
    what: request['url'] === undefined ? 'GitHub' : `${String(request['method'])} ${pathOf(url)}`,
  };
}

/** Whether GitHub answered "not modified". Octokit throws it. */
export function isNotModified(thrown: unknown): boolean {
  return recordOf(thrown)['status'] === 304;
}

function pathOf(url: string): string {
  return URL.canParse(url) ? new URL(url).pathname : url;
}

function recordOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function apiUrlOf(apiUrl: string): string {
  if (!URL.canParse(apiUrl) || !/^https?:$/.test(new URL(apiUrl).protocol)) {
    throw new PlumblineError('GITHUB_SETTINGS', `the API address ${JSON.stringify(apiUrl)} is not a URL that begins with https://`);
  }
  return apiUrl.replace(/\/+$/, '');
}

function appIdOf(appId: number): number {
  if (Number.isSafeInteger(appId) && appId > 0) return appId;
  throw new PlumblineError('GITHUB_SETTINGS', `the App id is ${String(appId)}, a whole number was expected`);
}

function privateKeyOf(pem: string): string {
  try {
    createPrivateKey(pem);
    return pem;
  } catch {
    throw new PlumblineError('GITHUB_SETTINGS', 'the private key of the App cannot be read, a PEM file with an RSA key was expected');
  }
}
