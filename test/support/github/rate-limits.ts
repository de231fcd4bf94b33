/** Requests per hour and installation, and writes per minute where a test switches that on. GitHub's page "Rate limits for the REST API". */
import { type Actor, Refusal } from './auth.ts';
import type { Faults } from './faults.ts';
import type { State } from './state.ts';

const HOUR = 3_600_000;
const MINUTE = 60_000;

type Window = { used: number; resetAt: number; writes: number[] };

export class RateLimits {
  readonly #state: State;
  readonly #faults: Faults;
  readonly #perHour: number;
  readonly #windows = new Map<string, Window>();

  constructor(state: State, faults: Faults, perHour: number) {
    this.#state = state;
    this.#faults = faults;
    this.#perHour = perHour;
  }

  /** Takes one request off, or refuses. Answers the headers that every answer carries. */
  count(actor: Actor, method: string): Record<string, string> {
    const window = this.#window(actor);
    if (window.used >= this.#perHour) {
      const who = actor.kind === 'installation' ? `installation ID ${actor.installation.id}` : 'this caller';
      throw new Refusal(403, `API rate limit exceeded for ${who}.`, { headers: this.#headers(window) });
    }
    window.used += 1;
    const headers = this.#headers(window);
    if (method !== 'GET') this.#countWrite(window, headers);
    return headers;
  }

  /** A 304 is free: the request is put back. */
  giveBack(actor: Actor): Record<string, string> {
    const window = this.#window(actor);
    window.used = Math.max(0, window.used - 1);
    return this.#headers(window);
  }

  of(actor: Actor): { limit: number; remaining: number; reset: number; used: number } {
    const { used, resetAt } = this.#window(actor);
    return { limit: this.#perHour, remaining: Math.max(0, this.#perHour - used), reset: Math.ceil(resetAt / 1000), used };
  }

  #countWrite(window: Window, headers: Record<string, string>): void {
    const now = this.#state.now();
    window.writes = [...window.writes.filter((at) => at > now - MINUTE), now];
    const limit = this.#faults.secondaryLimit;
    if (!limit || window.writes.length <= limit.writesPerMinute) return;
    const retry: Record<string, string> = limit.retryAfter === undefined ? {} : { 'retry-after': String(limit.retryAfter) };
    const message = 'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.';
    throw new Refusal(403, message, { headers: { ...headers, ...retry } });
  }

  #window(actor: Actor): Window {
    const id = keyOf(actor);
    const now = this.#state.now();
    const known = this.#windows.get(id);
    if (known && known.resetAt > now) return known;
    const fresh = { used: 0, resetAt: now + HOUR, writes: known?.writes ?? [] };
    this.#windows.set(id, fresh);
    return fresh;
  }

  #headers(window: Window): Record<string, string> {
    return {
      'x-ratelimit-limit': String(this.#perHour),
      'x-ratelimit-remaining': String(Math.max(0, this.#perHour - window.used)),
      'x-ratelimit-used': String(window.used),
      'x-ratelimit-reset': String(Math.ceil(window.resetAt / 1000)),
      'x-ratelimit-resource': 'core',
    };
  }
}

function keyOf(actor: Actor): string {
  if (actor.kind === 'app') return `app ${actor.app.id}`;
  if (actor.kind === 'installation') return `installation ${actor.installation.id}`;
  return actor.kind === 'person' ? `person ${actor.account.id}` : 'nobody';
}
