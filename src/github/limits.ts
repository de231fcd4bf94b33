/**
 * How fast we may talk to GitHub: one budget per installation. Pure, the clock is handed in.
 *
 * GitHub's secondary limits are 900 points a minute (a read costs 1, a write 5) and about 80 writes a minute that create content
 * ("Rate limits for the REST API"). Processes cannot see each other's use, so each takes a share: two replicas of the App and a
 * few runner Jobs stay below the whole together.
 */

export type Cost = 'read' | 'write' | 'content';

/** `pointsPerMinute`, `contentPerMinute`: this process's share. */
export type Share = { pointsPerMinute: number; contentPerMinute: number };

export const defaultShare: Share = { pointsPerMinute: 400, contentPerMinute: 30 };

const minute = 60_000;
const longestPause = 60 * minute;
const points: Record<Cost, number> = { read: 1, write: 5, content: 5 };

export class Budget {
  readonly #share: Share;
  #spent: { at: number; points: number; content: number }[] = [];
  #pausedUntil = 0;
  #secondaryInARow = 0;

  constructor(share: Share = defaultShare) {
    this.#share = share;
  }

  /** When a call of this cost may go (milliseconds since the epoch; not before `now`). Books nothing. */
  earliest(cost: Cost, now: number): number {
    this.#spent = this.#spent.filter((one) => one.at > now - minute);
    const bySum = (limit: number, mine: number, of: (one: { points: number; content: number }) => number): number => {
      let sum = this.#spent.reduce((total, one) => total + of(one), mine);
      let at = now;
      for (const one of this.#spent) {
        if (sum <= limit) break;
        sum -= of(one);
        at = one.at + minute;
      }
      return at;
    };
    const byPoints = bySum(this.#share.pointsPerMinute, points[cost], (one) => one.points);
    const byContent = cost === 'content' ? bySum(this.#share.contentPerMinute, 1, (one) => one.content) : now;
    return Math.max(now, this.#pausedUntil, byPoints, byContent);
  }

  /** A call of this cost goes at `at`. */
  book(cost: Cost, at: number): void {
    this.#spent.push({ at, points: points[cost], content: cost === 'content' ? 1 : 0 });
  }

  /**
   * What GitHub's answer says about limits. Returns until when to wait when the answer was a refusal for being too fast, else undefined.
   * Source: "Rate limits for the REST API": `retry-after`, else `x-ratelimit-reset`, else at least a minute, growing.
   */
  learn(status: number, headers: Record<string, string | number | undefined>, message: string, now: number): number | undefined {
    const exhausted = String(headers['x-ratelimit-remaining'] ?? '') === '0';
    const reset = Number(headers['x-ratelimit-reset'] ?? Number.NaN) * 1000;
    const retryAfter = Number(headers['retry-after'] ?? Number.NaN) * 1000;
    const refused =
      status === 429 ||
      (status === 403 && (exhausted || Number.isFinite(retryAfter) || /secondary rate limit|abuse detection/i.test(message)));
    if (!refused) {
      if (status < 400) this.#secondaryInARow = 0;
      if (exhausted && reset > now) this.#pause(reset, now);
      return undefined;
    }
    if (Number.isFinite(retryAfter)) return this.#pause(now + retryAfter, now);
    if (exhausted && reset > now) return this.#pause(reset, now);
    this.#secondaryInARow += 1;
    return this.#pause(now + minute * 2 ** (this.#secondaryInARow - 1), now);
  }

  #pause(until: number, now: number): number {
    this.#pausedUntil = Math.max(this.#pausedUntil, Math.min(until, now + longestPause));
    return this.#pausedUntil;
  }
}
