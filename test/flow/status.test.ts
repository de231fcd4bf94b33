import { describe, expect, test } from '@jest/globals';
import { finding } from '../../src/error.ts';
import { camel, durationText, failure, type Outcome, statusOf, statusPatch, withSeen, wordsOf } from '../../src/flow/status.ts';
import type { Project, ProjectStatus } from '../../src/project.ts';
import { project } from '../sync/sample.ts';

const [A, B] = ['a'.repeat(40), 'b'.repeat(40)];
const time = (seconds: number) => new Date(Date.parse('2026-11-21T10:00:00Z') + seconds * 1000);
const synced: Outcome = {
  sync: 'Synced',
  reason: 'Synced',
  message: '2 objects are as Git has them',
  revision: A,
  digest: 'd1',
  health: 'Healthy',
  objects: 2,
};
const syncing: Outcome = { sync: 'Syncing', reason: 'Syncing', message: '1 to create', revision: A };
const failed = (retry: 'never' | 'later', revision = A): Outcome => ({ ...failure('API_INVALID', [], retry, revision), message: 'no' });

/** The statuses after each outcome, ten seconds apart. */
function story(outcomes: Outcome[], of: Project = project()): ProjectStatus[] {
  const statuses: ProjectStatus[] = [];
  for (const [index, outcome] of outcomes.entries()) {
    of.status = statusOf(of, outcome, time(index * 10));
    statuses.push(of.status);
  }
  return statuses;
}
const last = (outcomes: Outcome[], of?: Project) => story(outcomes, of).at(-1) ?? {};
const condition = (status: ProjectStatus, type: string) => status.conditions?.find((one) => one.type === type);
/** How long the next try waits, in seconds, after each outcome. */
const waits = (statuses: ProjectStatus[]) =>
  statuses.map(({ attempt }) => (attempt?.notBefore ? (Date.parse(attempt.notBefore) - Date.parse(attempt.at)) / 1000 : undefined));

describe('conditions', () => {
  test.each<[string, Outcome, [string, string, string]]>([
    ['in sync and healthy', synced, ['True Healthy', 'False Done', 'False No']],
    ['in sync, not healthy yet', { ...synced, health: 'Progressing' }, ['False Progressing', 'True Synced', 'False No']],
    ['in sync and broken', { ...synced, health: 'Degraded' }, ['False Degraded', 'False Done', 'False No']],
    ['at work', syncing, ['False Syncing', 'True Syncing', 'False No']],
    ['failed for now', failed('later'), ['False ApiInvalid', 'False Done', 'False ApiInvalid']],
    ['failed until somebody changes something', failed('never'), ['False ApiInvalid', 'False Done', 'True ApiInvalid']],
    [
      'drifted',
      { sync: 'OutOfSync', reason: 'Drifted', message: 'replicas', health: 'Healthy' },
      ['False Drifted', 'False Done', 'False No'],
    ],
  ])('%s', (_, outcome, expected) => {
    const status = last([outcome]);
    const said = ['Ready', 'Reconciling', 'Stalled'].map((type) => `${condition(status, type)?.status} ${condition(status, type)?.reason}`);
    expect(said).toEqual(expected);
  });

  test('keep their time until their status changes, not when their message does', () => {
    const times = story([synced, { ...synced, message: 'other words' }, failed('later'), failed('later'), synced]).map(
      (status) => condition(status, 'Ready')?.lastTransitionTime,
    );
    expect(times.map((one) => (Date.parse(one ?? '') - time(0).getTime()) / 1000)).toEqual([0, 0, 20, 20, 40]);
  });

  test('name the generation that they are about', () => {
    const status = last([synced], project({}, { generation: 7 }));
    expect([status.observedGeneration, condition(status, 'Ready')?.observedGeneration]).toEqual([7, 7]);
  });
});

describe('attempts', () => {
  test('back off 5 s, doubling, at most 3 min, five times; then the interval decides', () => {
    const statuses = story(Array.from({ length: 7 }, () => failed('later')));
    expect(statuses.map((status) => status.attempt?.count)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(waits(statuses)).toEqual([5, 10, 20, 40, 80, 300, 300]);
  });

  test('a sync that begins and fails again counts on: it was always the first one, and tried every 5 seconds for ever', () => {
    const statuses = story([syncing, failed('later'), syncing, failed('later'), syncing, failed('later')]);
    expect(statuses.filter((status) => status.sync === 'Failed').map((status) => status.attempt?.count)).toEqual([1, 2, 3]);
  });

  test('what trying again cannot help waits for the interval', () => {
    expect(waits(story([failed('never')]))).toEqual([300]);
    expect(waits(story([failed('never')], project({ syncPolicy: { interval: '1h' } })))).toEqual([3600]);
  });

  test.each<[string, Outcome[], number]>([
    ['a newer commit', [failed('later'), failed('later'), failed('later', B)], 1],
    ['a success in between', [failed('later'), failed('later'), synced, failed('later')], 1],
    ['a newer commit that begins', [failed('later'), failed('later'), { ...syncing, revision: B }, failed('later', B)], 1],
  ])('%s begins to count anew', (_, outcomes, count) => {
    expect(last(outcomes).attempt?.count).toBe(count);
  });

  test('a changed Project begins to count anew', () => {
    const of = project();
    story([failed('later'), failed('later')], of);
    of.generation = 2;
    expect(statusOf(of, failed('later'), time(99)).attempt).toMatchObject({ count: 1, generation: 2 });
  });

  test('a failure before the revision is known keeps the one that was tried last', () => {
    const [, status] = story([synced, { ...failure('GIT_UNREACHABLE', [], 'later'), message: 'no answer' }]);
    expect(status?.attempt).toMatchObject({ revision: A, failed: true });
  });
});

describe('what stays and what goes', () => {
  test('a refused commit leaves the revision that runs; one that was applied in part does not', () => {
    const history = {
      revision: B,
      digest: 'd2',
      author: 'Ada',
      trigger: 'push',
      startedAt: time(0).toISOString(),
      duration: '1 s',
      result: 'Failed',
      message: 'no',
    };
    expect(last([synced, failed('never', B)])).toMatchObject({ revision: A, shortRevision: 'aaaaaaa', digest: 'd1' });
    expect(last([synced, { ...failed('later', B), digest: 'd2', history }])).toMatchObject({ revision: B, digest: 'd2' });
  });

  test('a commit that changes nothing is the revision that runs, also while a deletion is held', () => {
    const held: Outcome = { ...synced, sync: 'OutOfSync', reason: 'DeletionHeld', revision: B };
    expect(last([synced, held]).revision).toBe(B);
  });

  test('drift and what is pending stay while it works, and go when it is done', () => {
    const pending = [{ kind: 'delete', key: '4b1e07', since: time(0).toISOString(), line: 'kubectl …' }];
    const drift = [{ object: 'ConfigMap/shop/a', kind: 'configuration' as const, fields: ['.data.a'] }];
    const before: Outcome = { ...synced, sync: 'OutOfSync', pending, drift };
    expect(last([before, syncing])).toMatchObject({ pending, drift: { count: 1, objects: drift } });
    expect(last([before, syncing, synced])).toMatchObject({ pending: [], drift: { count: 0, objects: [] } });
  });

  test('health stays when an outcome does not know it', () => {
    expect(last([{ ...synced, health: 'Degraded' }, failed('never')]).health).toBe('Degraded');
    expect(last([failed('never')]).health).toBe('Unknown');
  });

  test('ten entries of history, the newest first; twenty drifts and their true number', () => {
    const entry = (index: number) => ({
      revision: A,
      digest: 'd',
      author: 'Ada',
      trigger: 'push',
      startedAt: time(index).toISOString(),
      duration: '1 s',
      result: 'Synced',
      message: '',
    });
    const status = last(Array.from({ length: 12 }, (_, index) => ({ ...synced, history: entry(index) })));
    expect(status.history?.map((one) => one.startedAt)).toEqual(Array.from({ length: 10 }, (_, index) => time(11 - index).toISOString()));
    const drift = Array.from({ length: 25 }, (_, index) => ({
      object: `ConfigMap/shop/c${index}`,
      kind: 'configuration' as const,
      fields: [],
    }));
    const many = last([{ ...synced, drift }]);
    expect([many.drift?.count, many.drift?.objects.length]).toEqual([25, 20]);
  });

  test('a message of any length is cut to 1000 characters, in conditions too', () => {
    const status = last([{ ...failed('never'), message: 'x'.repeat(5000) }]);
    expect([status.message?.length, condition(status, 'Ready')?.message.length]).toEqual([1000, 1000]);
    expect(status.message?.endsWith('…')).toBe(true);
  });

  test('the largest status stays under 16 KB, and still counts every drift', () => {
    const fields = Array.from(
      { length: 6 },
      (_, index) => `.spec.template.spec.containers[name="web"].env[name="V${index}"].value ${'x'.repeat(150)}`,
    );
    const drift = Array.from({ length: 500 }, (_, index) => ({
      object: `ConfigMap/shop/${'c'.repeat(40)}${index}`,
      kind: 'configuration' as const,
      fields,
    }));
    const long = 'x'.repeat(5000);
    const history = {
      revision: A,
      digest: 'd'.repeat(64),
      author: 'Ada',
      trigger: 'push',
      startedAt: time(0).toISOString(),
      duration: '1 s',
      result: 'Failed',
      message: long,
    };
    const status = last(Array.from({ length: 12 }, () => ({ ...failed('never'), message: long, drift, history })));
    expect(JSON.stringify(status).length).toBeLessThan(16_384);
    expect([status.drift?.count, status.history?.length]).toEqual([500, 10]);
    expect(status.drift?.objects.length).toBeGreaterThan(2);
  });
});

describe('the patch', () => {
  test('holds what changed, and null for what is gone', () => {
    const before: ProjectStatus = {
      sync: 'Failed',
      objects: 2,
      attempt: { revision: A, generation: 1, count: 2, at: 't1', notBefore: 't2', failed: true },
      pending: [],
    };
    const after: ProjectStatus = { sync: 'Synced', objects: 2, attempt: { revision: A, generation: 1, count: 1, at: 't3', failed: false } };
    expect(statusPatch(before, after)).toEqual({
      status: { sync: 'Synced', attempt: { count: 1, at: 't3', notBefore: null, failed: false }, pending: null },
    });
  });

  test('is none when nothing changed, whatever the order of keys', () => {
    expect(statusPatch({ sync: 'Synced', objects: 1 }, { objects: 1, sync: 'Synced' })).toBeUndefined();
  });
});

describe('another health alone', () => {
  const of = (outcome: Outcome) => {
    const made = project();
    made.status = statusOf(made, outcome, time(0));
    return made;
  };

  test('changes Ready and its time, and nothing about the attempt', () => {
    const before = of({ ...synced, health: 'Progressing' });
    const after = withSeen(before, { health: 'Healthy' }, time(60));
    expect(after).toMatchObject({ health: 'Healthy', attempt: before.status.attempt, message: synced.message });
    expect(condition(after ?? {}, 'Ready')).toMatchObject({ status: 'True', lastTransitionTime: time(60).toISOString() });
    expect(condition(after ?? {}, 'DriftScanned')).toMatchObject({ status: 'True', reason: 'Scanned' });
  });

  test('keeps why it is out of sync', () => {
    const after = withSeen(of({ ...synced, sync: 'OutOfSync', reason: 'DeletionHeld' }), { health: 'Degraded' }, time(60));
    expect(condition(after ?? {}, 'Ready')).toMatchObject({ status: 'False', reason: 'DeletionHeld' });
  });

  test('keeps that it is stalled', () => {
    const after = withSeen(of(failed('never')), { health: 'Degraded' }, time(60));
    expect(condition(after ?? {}, 'Stalled')).toMatchObject({ status: 'True', reason: 'ApiInvalid' });
  });

  test('is nothing new the second time, and nothing at all before the first sync', () => {
    const looked = of(synced);
    looked.status = withSeen(looked, { health: 'Healthy' }, time(30)) ?? {};
    expect(statusPatch(looked.status, withSeen(looked, { health: 'Healthy' }, time(60)) ?? {})).toBeUndefined();
    expect(withSeen(project(), { health: 'Healthy' }, time(60))).toBeUndefined();
  });
});

describe('words', () => {
  test('five findings in a line each with place and hint, the rest counted', () => {
    const findings = Array.from({ length: 7 }, (_, index) =>
      finding(
        'error',
        'API_INVALID',
        `fault ${index}`,
        index === 0 ? { at: { file: 'k8s/a.yaml', line: 3, object: 'ConfigMap/shop/a' }, hint: 'correct it' } : {},
      ),
    );
    expect(wordsOf(findings, '1 applied').split('\n')).toEqual([
      '1 applied',
      'API_INVALID: fault 0 (k8s/a.yaml:3); correct it',
      'API_INVALID: fault 1',
      'API_INVALID: fault 2',
      'API_INVALID: fault 3',
      'API_INVALID: fault 4',
      'and 2 more',
    ]);
  });

  test.each([
    ['KIND_NOT_SERVED', 'KindNotServed'],
    ['Drifted', 'Drifted'],
    ['INTERNAL', 'Internal'],
  ])('%s as a reason is %s', (code, reason) => {
    expect(camel(code === 'Drifted' ? 'DRIFTED' : code)).toBe(reason);
  });

  test.each([
    [-5, '0 s'],
    [499, '0 s'],
    [47_000, '47 s'],
    [60_000, '1 min 0 s'],
    [185_000, '3 min 5 s'],
  ])('%i ms is %s', (milliseconds, text) => {
    expect(durationText(milliseconds)).toBe(text);
  });
});
