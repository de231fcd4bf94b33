import { describe, expect, test } from '@jest/globals';
import type { KubeObject } from '../../src/object.ts';
import { driftOf } from '../../src/sync/drift.ts';
import type { Tried } from '../../src/sync/dry-run.ts';
import { entry, live, project, wanted } from './sample.ts';

const kinds = { kind: 'ConfigMap', name: 'a' };

/** As a dry run found it: `git` is what Git wants there, `there` what is. */
function tried(git: Record<string, unknown>, there: Record<string, unknown> | undefined, more: Partial<Tried['apply']> = {}): Tried {
  const fieldsV1 = { 'f:data': Object.fromEntries(Object.keys(git).map((key) => [`f:${key}`, {}])) };
  const managedFields = [{ manager: 'plumbline:shop/api', operation: 'Apply' as const, fieldsV1 }];
  const result: KubeObject = { ...live(kinds.kind, kinds.name, { managedFields }), data: git };
  const object = there && { ...live(kinds.kind, kinds.name, { managedFields: [] }), data: there };
  const apply = {
    action: 'update' as const,
    desired: wanted('ConfigMap', 'a'),
    live: object,
    entry: entry('ConfigMap', 'a'),
    reason: '',
    ...more,
  };
  return { apply, live: object, result, force: false, changes: true };
}
const drift = (...all: Tried[]) => driftOf(all, project());

describe('drift', () => {
  test('is what differs from what was applied', () => {
    expect(drift(tried({ a: '1', b: '2' }, { a: '1', b: '3', c: 'theirs' }))).toEqual([
      { object: 'ConfigMap/shop/a', kind: 'configuration', fields: ['.data.b 2 → 3 live'] },
    ]);
  });

  test.each<[string, Partial<Tried['apply']>]>([
    ['a changed commit', { entry: entry('ConfigMap', 'a', { desired: 'older' }) }],
    ['an object that was never confirmed', { entry: { id: '/ConfigMap/shop/a', apiVersion: 'v1', since: '2026-11-21T10:00:00Z' } }],
    ['an object that nobody has recorded', { entry: undefined }],
  ])('%s is none', (_, more) => {
    expect(drift(tried({ a: '1' }, { a: '2' }, more))).toEqual([]);
  });

  test('an object that is gone, being deleted, or made anew is one as a whole', () => {
    const leaving = tried({ a: '1' }, { a: '1' });
    leaving.live = { ...live('ConfigMap', 'a', { deletionTimestamp: '2026-11-21T10:00:00Z' }) };
    const anew = tried({ a: '1' }, { a: '1' }, { entry: entry('ConfigMap', 'a', { uid: 'u-before' }) });
    expect(drift(tried({ a: '1' }, undefined), leaving, anew).map((one) => `${one.kind}: ${one.fields}`)).toEqual([
      'resource: in Git but not in cluster',
      'resource: in Git but not in cluster',
      'resource: somebody deleted it and made it anew',
    ]);
  });

  test('shows five fields and counts the rest, cuts long values, and keeps the end of a long path', () => {
    const many = Object.fromEntries(Array.from({ length: 8 }, (_, index) => [`k${index}`, 'x'.repeat(500)]));
    const [found] = drift(tried(many, {}));
    expect([found?.fields.length, found?.fields.at(-1)]).toEqual([6, 'and 3 more']);
    expect(found?.fields[0]).toBe(`.data.k0 ${'x'.repeat(59)}… → removed`);
    const [deep] = drift(tried({ [`${'p'.repeat(300)}end`]: '1' }, {}));
    expect(deep?.fields[0]).toMatch(/^…p{196}end 1 → removed$/);
  });

  test('removes what looks like a credential from a value', () => {
    const [found] = drift(tried({ a: 'ghp_0123456789abcdefghij0123456789abcdef' }, { a: 'Bearer abcdefghijklmnop' }));
    expect(found?.fields).toEqual(['.data.a ghp_*** → Bearer *** live']);
  });
});
