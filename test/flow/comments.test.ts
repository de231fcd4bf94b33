import { describe, expect, test } from '@jest/globals';
import { askedPulls } from '../../src/flow/comments.ts';
import type { KnownComments } from '../../src/flow/memory.ts';
import type { Comment, Repository } from '../../src/github.ts';

const now = new Date('2026-11-21T12:00:00Z');
const said = (id: number, more: Partial<Comment> = {}): Comment => ({
  id,
  issueNumber: 7,
  onPullRequest: true,
  body: '/diff',
  author: 'ada',
  authorId: 1,
  authorIsBot: false,
  appId: undefined,
  createdAt: '2026-11-21T11:58:00Z',
  updatedAt: '2026-11-21T11:58:00Z',
  ...more,
});

async function look(comments: Comment[] | undefined, known: KnownComments) {
  const used: Pick<Repository, 'commentsByUpdate'> = {
    commentsByUpdate: async () => (comments ? { unchanged: false, etag: 'e2', more: false, comments } : { unchanged: true }),
  };
  return askedPulls(used as Repository, known, now);
}

describe('commands that the tick finds in comments', () => {
  test('nothing new costs nothing and changes nothing', async () => {
    expect(await look(undefined, { etag: 'e1', newest: 4 })).toEqual({ pulls: [], known: { etag: 'e1', newest: 4 } });
  });

  test('a new one asks for its pull request, two of them once, and the newest is remembered', async () => {
    expect(await look([said(6), said(5), said(8, { issueNumber: 9 })], { etag: 'e1', newest: 4 })).toEqual({
      pulls: [7, 9],
      known: { etag: 'e2', newest: 8 },
    });
  });

  test.each<[string, Partial<Comment>]>([
    ['an old one that was updated', { id: 3 }],
    ['one that was edited', { updatedAt: '2026-11-21T11:59:00Z' }],
    ['one of a bot', { authorIsBot: true }],
    ['one of an App', { appId: 12 }],
    ['one on an issue', { onPullRequest: false }],
    ['one without a command', { body: 'please /diff' }],
  ])('%s is not acted on', async (_, more) => {
    expect((await look([said(6, more)], { etag: 'e1', newest: 4 })).pulls).toEqual([]);
  });

  test('at the first look only what was said in the last quarter of an hour counts', async () => {
    const old = { createdAt: '2026-11-21T11:40:00Z', updatedAt: '2026-11-21T11:40:00Z', issueNumber: 1 };
    expect(await look([said(5, old), said(6)], {})).toEqual({ pulls: [7], known: { etag: 'e2', newest: 6 } });
  });
});
