import { describe, expect, test } from '@jest/globals';
import { Budget } from '../../src/github/limits.ts';

const now = Date.parse('2026-11-21T12:00:00Z');
const minute = 60_000;
const share = { pointsPerMinute: 20, contentPerMinute: 2 };

describe('a budget lets go', () => {
  test('at once while there are points, then when enough of the last minute is over', () => {
    const budget = new Budget(share);
    for (const after of [0, 1000, 2000]) {
      expect(budget.earliest('write', now + after)).toBe(now + after);
      budget.book('write', now + after);
    }
    for (let reads = 0; reads < 5; reads += 1) budget.book('read', now + 3000);
    expect(budget.earliest('read', now + 4000)).toBe(now + minute);
    // Two writes have to be over before there is room for a write again.
    expect(budget.earliest('write', now + 4000)).toBe(now + minute);
    expect(budget.earliest('write', now + minute + 1)).toBe(now + minute + 1);
  });

  test('content by a count of its own', () => {
    const budget = new Budget(share);
    budget.book('content', now);
    budget.book('content', now + 500);
    expect(budget.earliest('content', now + 1000)).toBe(now + minute);
    expect(budget.earliest('write', now + 1000)).toBe(now + 1000);
  });

  test('any number of calls, never more than the share in any minute', () => {
    const budget = new Budget(share);
    const times: number[] = [];
    let at = now;
    for (let call = 0; call < 30; call += 1) {
      at = budget.earliest('content', at);
      budget.book('content', at);
      times.push(at);
    }
    for (const start of times) expect(times.filter((time) => time >= start && time < start + minute).length).toBeLessThanOrEqual(2);
    expect((times.at(-1) ?? 0) - now).toBe(14 * minute);
  });
});

describe('what GitHub says about limits', () => {
  const refusals: [string, number, Record<string, string>, string, number][] = [
    ['429 with retry-after', 429, { 'retry-after': '17' }, '', 17_000],
    ['403 with retry-after', 403, { 'retry-after': '90' }, '', 90_000],
    ['nothing left until the reset', 403, { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(now / 1000 + 300) }, '', 300_000],
    ['a secondary limit without a time', 403, {}, 'You have exceeded a secondary rate limit.', minute],
    ['a reset beyond an hour is asked again after one', 429, { 'retry-after': '90000' }, '', 60 * minute],
  ];
  test.each(refusals)('%s', (_name, status, headers, message, wait) => {
    const budget = new Budget();
    expect(budget.learn(status, headers, message, now)).toBe(now + wait);
    expect(budget.earliest('read', now + 1)).toBe(now + wait);
  });

  test('a secondary limit that stays doubles the pause, and an answer in between ends that', () => {
    const budget = new Budget();
    const limit = (at: number) => (budget.learn(403, {}, 'You have exceeded a secondary rate limit', at) ?? 0) - at;
    expect([limit(now), limit(now + minute), limit(now + 3 * minute)]).toEqual([minute, 2 * minute, 4 * minute]);
    budget.learn(200, {}, '', now + 8 * minute);
    expect(limit(now + 9 * minute)).toBe(minute);
  });

  test('the last request of the hour answers, and the next waits for the reset', () => {
    const budget = new Budget();
    const headers = { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(now / 1000 + 60) };
    expect(budget.learn(200, headers, '', now)).toBeUndefined();
    expect(budget.earliest('read', now)).toBe(now + minute);
  });

  test('a missing permission is no limit', () => {
    expect(new Budget().learn(403, { 'x-ratelimit-remaining': '4999' }, 'Resource not accessible by integration', now)).toBeUndefined();
  });
});
