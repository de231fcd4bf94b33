import { describe, expect, test } from '@jest/globals';
import { dueReason } from '../../src/flow/due.ts';
import { type Attempt, approveAnnotation, type ProjectStatus, syncAnnotation } from '../../src/project.ts';
import { project } from '../sync/sample.ts';

const [A, B] = ['a'.repeat(40), 'b'.repeat(40)];
const at = '2026-11-21T10:00:00Z';
const later = (seconds: number) => new Date(Date.parse(at) + seconds * 1000);
const attempt = (more: Partial<Attempt> = {}): Attempt => ({ revision: A, generation: 1, count: 1, at, failed: false, ...more });
type Row = { status?: ProjectStatus; spec?: object; annotations?: Record<string, string>; revision?: string | undefined; seconds?: number };

const due = (row: Row) => {
  const { status = { sync: 'Synced', attempt: attempt() }, spec = {}, annotations = {}, seconds = 60 } = row;
  const revision = 'revision' in row ? row.revision : A;
  return dueReason(project({ syncPolicy: spec }, { annotations }, status), revision, later(seconds));
};

describe('a project is due', () => {
  test.each<[string | undefined, string, Row]>([
    ['first sync', 'nothing was ever tried', { status: {} }],
    [undefined, 'nothing has moved', {}],
    ['commit', 'the ref moved', { revision: B }],
    ['commit', 'the ref moved a second after the last sync', { revision: B, seconds: 1 }],
    ['commit', 'the ref is gone: somebody has to say so', { revision: undefined }],
    [
      undefined,
      'the ref is gone and that was said',
      { revision: undefined, status: { attempt: attempt({ failed: true, notBefore: later(300).toISOString() }) } },
    ],
    [
      'retry',
      'the ref is gone and it is time to look again',
      { revision: undefined, seconds: 300, status: { attempt: attempt({ failed: true, notBefore: later(300).toISOString() }) } },
    ],
    ['changed spec', 'a person changed the Project', { status: { attempt: attempt({ generation: 0 }) } }],
    ['unfinished sync', 'a runner was killed in the middle', { status: { sync: 'Syncing', attempt: attempt() } }],
    ['asked', 'a person asked', { annotations: { [syncAnnotation]: 'now' } }],
    [
      'approved',
      'a person approved what is pending',
      {
        annotations: { [approveAnnotation]: 'delete-4b1e07' },
        status: { attempt: attempt(), pending: [{ kind: 'delete', key: '4b1e07', since: at, line: '' }] },
      },
    ],
    [
      undefined,
      'a person approved something else',
      {
        annotations: { [approveAnnotation]: 'delete-000000' },
        status: { attempt: attempt(), pending: [{ kind: 'delete', key: '4b1e07', since: at, line: '' }] },
      },
    ],
    [undefined, 'a person approved and nothing is pending', { annotations: { [approveAnnotation]: 'delete-4b1e07' } }],
    ['hourly look', 'nothing has moved for an hour', { seconds: 3600 }],
    [
      undefined,
      'it failed and its time has not come',
      { seconds: 9, status: { attempt: attempt({ failed: true, notBefore: later(10).toISOString() }) } },
    ],
    [
      'retry',
      'it failed and its time has come',
      { seconds: 10, status: { attempt: attempt({ failed: true, notBefore: later(10).toISOString() }) } },
    ],
    [
      'commit',
      'it failed and a newer commit is there at once',
      { seconds: 1, revision: B, status: { attempt: attempt({ failed: true, notBefore: later(180).toISOString() }) } },
    ],
    ['retry', 'it failed and nobody wrote when to try again', { status: { attempt: attempt({ failed: true }) } }],
    [undefined, 'auto: the ref moved within the interval', { revision: B, spec: { mode: 'auto' }, seconds: 299 }],
    ['commit', 'auto: the ref moved and the interval is over', { revision: B, spec: { mode: 'auto' }, seconds: 300 }],
    ['commit', 'auto: with an interval of its own', { revision: B, spec: { mode: 'auto', interval: '30s' }, seconds: 30 }],
    ['commit', 'manual: the ref moved, which is looked at and said', { revision: B, spec: { mode: 'manual' } }],
    [
      undefined,
      'manual: the commit was said and nobody asked',
      { spec: { mode: 'manual' }, status: { sync: 'OutOfSync', attempt: attempt() } },
    ],
  ])('%s: %s', (reason, _, row) => {
    expect(due(row)).toBe(reason);
  });
});
