import { describe, expect, test } from '@jest/globals';
import { waitingHeads } from '../../src/flow/heads.ts';
import type { KnownHead, KnownHeads } from '../../src/flow/memory.ts';
import type { Check, PullRequest, Repository } from '../../src/github.ts';

const pull = (number: number, head: string, more: Partial<PullRequest> = {}): PullRequest => ({
  number,
  title: '',
  state: 'open',
  merged: false,
  mergeCommitSha: undefined,
  draft: false,
  headSha: head,
  headRef: 'x',
  headRepositoryId: 1,
  baseRef: 'main',
  baseSha: 'b',
  author: 'ada',
  updatedAt: '2026-11-21T10:00:00Z',
  ...more,
});

/** What GitHub holds; `asked` lists the requests in order. */
type Sample = { page?: PullRequest[]; more?: boolean; open?: PullRequest[]; checks?: Record<string, string> };

function repositoryOf({ page, more = false, open = [], checks = {} }: Sample): { repository: Repository; asked: string[] } {
  const asked: string[] = [];
  const used: Pick<Repository, 'pullRequestsByUpdate' | 'openPullRequests' | 'findCheck'> = {
    async pullRequestsByUpdate(etag) {
      asked.push(`newest ${etag ?? ''}`.trim());
      return page === undefined ? { unchanged: true } : { unchanged: false, etag: 'e2', pulls: page, more };
    },
    async openPullRequests() {
      asked.push('all open');
      return open;
    },
    async findCheck(name, headSha) {
      asked.push(`check ${headSha}`);
      const status = checks[headSha];
      return status === undefined ? undefined : ({ id: 1, name, headSha, status, conclusion: null } satisfies Check);
    },
  };
  return { repository: used as Repository, asked };
}

/** `heads`: the pull requests in memory. `refs`: what ls-remote lists. */
type Memory = { etag?: string; newest?: string; heads: Record<string, KnownHead> };

async function look(
  sample: Sample,
  { heads, ...rest }: Memory = { heads: {} },
  refs: Record<string, string> = {},
  groups: KnownHeads['groups'] = {},
) {
  const { repository, asked } = repositoryOf(sample);
  const found = await waitingHeads(repository, new Map(Object.entries(refs)), { ...rest, pulls: heads, groups }, 'plumbline');
  const { pulls, groups: remembered, ...tags } = found.known;
  return { waiting: found.pulls, waitingGroups: found.groups, pulls: { ...tags, heads: pulls }, groups: remembered, asked };
}
const done = (head: string, base = 'main'): KnownHead => ({ head, base, checked: true });
const open = (head: string, base = 'main'): KnownHead => ({ head, base, checked: false });

describe('which pull requests wait for their check', () => {
  test('nothing moved: one conditional request, and none about checks that are done', async () => {
    const known = { etag: 'e1', newest: '2026-11-21T10:00:00Z', heads: { 7: done('h7') } };
    expect(await look({}, known)).toEqual({ waiting: [], waitingGroups: [], pulls: known, groups: {}, asked: ['newest e1'] });
  });

  test('a second one with a head that is checked waits with the first: their one check has to hold for both', async () => {
    const known = { etag: 'e1', newest: '2026-11-21T10:00:00Z', heads: { 7: done('h7'), 5: done('h5') } };
    const checks = { h7: 'completed' };
    const opened = await look({ page: [pull(8, 'h7', { baseRef: 'next' })], checks }, known);
    expect(opened.waiting).toEqual([8, 7]);
    const quiet = await look({ checks }, { etag: 'e2', heads: opened.pulls.heads });
    expect(quiet.waiting).toEqual([]);
    const closed = await look({ page: [pull(8, 'h7', { baseRef: 'next', state: 'closed' })], checks }, { heads: quiet.pulls.heads });
    expect(closed.waiting).toEqual([7]);
  });

  test('a new one waits, the newest first', async () => {
    const { waiting, pulls } = await look({ page: [pull(8, 'h8'), pull(9, 'h9')] }, { etag: 'e1', heads: { 7: done('h7') } });
    expect(waiting).toEqual([9, 8]);
    expect(pulls).toEqual({ etag: 'e2', newest: '2026-11-21T10:00:00Z', heads: { 7: done('h7'), 8: open('h8'), 9: open('h9') } });
  });

  test.each<[string, PullRequest, Record<string, string>, number[], KnownHeads['pulls']]>([
    ['a push', pull(7, 'new'), {}, [7], { 7: open('new') }],
    ['a comment', pull(7, 'h7'), {}, [], { 7: done('h7') }],
    ['its end', pull(7, 'h7', { state: 'closed' }), {}, [], {}],
    ['a push that the App was quicker with', pull(7, 'new'), { new: 'completed' }, [], { 7: done('new') }],
    ['another base branch', pull(7, 'h7', { baseRef: 'next' }), { h7: 'completed' }, [7], { 7: open('h7', 'next') }],
    ['a push whose check has only begun', pull(7, 'new'), { new: 'in_progress' }, [7], { 7: open('new') }],
  ])('%s', async (_, moved, checks, waiting, heads) => {
    const result = await look({ page: [moved], checks }, { etag: 'e1', heads: { 7: done('h7') } });
    expect([result.waiting, result.pulls.heads]).toEqual([waiting, heads]);
  });

  test('one whose Job died waits at the next tick too, although nothing moved', async () => {
    const result = await look({}, { etag: 'e1', heads: { 7: open('h7') } });
    expect([result.waiting, result.asked]).toEqual([[7], ['newest e1', 'check h7']]);
  });
});

describe('when one page is not all', () => {
  const older = { updatedAt: '2026-11-21T09:00:00Z' };
  const known = { etag: 'e1', newest: '2026-11-21T09:30:00Z', heads: { 1: done('h1'), 2: done('h2') } };

  test('a first look reads every open one', async () => {
    const result = await look({ page: [pull(9, 'h9')], more: true, open: [pull(9, 'h9'), pull(1, 'h1')] });
    expect([result.waiting, result.asked.slice(0, 2)]).toEqual([
      [9, 1],
      ['newest', 'all open'],
    ]);
  });

  test('a page that reaches back behind the last look is enough', async () => {
    const result = await look({ page: [pull(9, 'h9'), pull(1, 'h1', older)], more: true }, known);
    expect([result.waiting, result.asked]).toEqual([[9], ['newest e1', 'check h9']]);
  });

  test('a page of updates that are all newer is not, be it that a comment brought a known one to its top', async () => {
    const result = await look(
      { page: [pull(9, 'h9'), pull(1, 'h1')], more: true, open: [pull(9, 'h9'), pull(1, 'h1'), pull(2, 'new')] },
      known,
    );
    expect([result.waiting, result.asked[1]]).toEqual([[9, 2], 'all open']);
  });

  test('what is no longer open is forgotten, what is checked stays so', async () => {
    const result = await look({ page: [pull(9, 'h9')], more: true, open: [pull(9, 'h9'), pull(1, 'h1')] }, known);
    expect(result.pulls.heads).toEqual({ 1: done('h1'), 9: open('h9') });
  });
});

describe('merge queue groups', () => {
  const group = 'refs/heads/gh-readonly-queue/main/pr-7-0123456789012345678901234567890123456789';

  test('wait until their head has its check, and are forgotten when their ref is gone', async () => {
    const first = await look({}, { etag: 'e1', heads: {} }, { [group]: 'g1', 'refs/heads/main': 'm' });
    expect([first.waitingGroups, first.groups]).toEqual([[group], { [group]: open('g1', group) }]);
    const second = await look({ checks: { g1: 'completed' } }, { etag: 'e1', heads: {} }, { [group]: 'g1' }, first.groups);
    expect([second.waitingGroups, second.groups]).toEqual([[], { [group]: done('g1', group) }]);
    expect((await look({}, { etag: 'e1', heads: {} }, {}, second.groups)).groups).toEqual({});
  });
});
