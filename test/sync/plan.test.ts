import { describe, expect, test } from '@jest/globals';
import type { KubeObject } from '../../src/object.ts';
import { keyOf, refOf } from '../../src/object.ts';
import { approveAnnotation, type Project } from '../../src/project.ts';
import type { Desired } from '../../src/sync/desired.ts';
import type { InventoryEntry } from '../../src/sync/inventory.ts';
import { notOurs, type Plan, planSync, rankOf, summaryOf } from '../../src/sync/plan.ts';
import { entry, inventory, live, project, wanted } from './sample.ts';

type World = { desired?: Desired[]; entries?: InventoryEntry[]; there?: KubeObject[]; of?: Project; complete?: boolean };
const prune = project({ syncPolicy: { prune: true } });

function plan({ desired = [], entries = [], there = [], of = prune, complete = true }: World): Plan {
  return planSync({
    project: of,
    desired,
    inventory: inventory(entries, complete),
    live: new Map(there.map((object) => [keyOf(refOf(object)), object])),
  });
}
const names = (list: { live: KubeObject }[]) => list.map((one) => one.live.metadata.name);
const many = (count: number) => Array.from({ length: count }, (_, index) => `c${String(index).padStart(2, '0')}`);
/** `all` ConfigMaps applied before, of which the first `gone` have left Git. */
const leaving = (gone: number, all: number): World => ({
  desired: many(all)
    .slice(gone)
    .map((name) => wanted('ConfigMap', name)),
  entries: many(all).map((name) => entry('ConfigMap', name)),
  there: many(all).map((name) => live('ConfigMap', name)),
});
const approved = (key: string, policy = {}) =>
  project({ syncPolicy: { prune: true, ...policy } }, { annotations: { [approveAnnotation]: `delete-${key}` } });

describe('each object that Git wants', () => {
  test.each<[string, string, World]>([
    ['create: it is new', 'a new object', {}],
    ['create: it is gone', 'one that was applied and is not there', { entries: [entry('ConfigMap', 'a')] }],
    [
      'create: it is new',
      'one that was announced and never made',
      { entries: [{ id: '/ConfigMap/shop/a', apiVersion: 'v1', since: '2026-11-21T10:00:00Z' }] },
    ],
    ['update: it was there before', 'one that somebody else made', { there: [live('ConfigMap', 'a', { labels: {} })] }],
    [
      'skip: nobody has written to it since it was applied',
      'one that nobody touched',
      { entries: [entry('ConfigMap', 'a')], there: [live('ConfigMap', 'a')] },
    ],
    [
      'update: somebody has written to it',
      'a moved resourceVersion',
      { entries: [entry('ConfigMap', 'a')], there: [live('ConfigMap', 'a', { resourceVersion: '8' })] },
    ],
    [
      'update: somebody has written to it',
      'the same name with another uid',
      { entries: [entry('ConfigMap', 'a')], there: [live('ConfigMap', 'a', { uid: 'u-other' })] },
    ],
    [
      'update: Git has changed',
      'another desired hash',
      { entries: [entry('ConfigMap', 'a', { desired: 'older' })], there: [live('ConfigMap', 'a')] },
    ],
    [
      'update: Git has changed',
      'an entry that was never confirmed',
      { entries: [{ id: '/ConfigMap/shop/a', apiVersion: 'v1', since: '2026-11-21T10:00:00Z' }], there: [live('ConfigMap', 'a')] },
    ],
    [
      'update: it is being deleted',
      'one on its way out, untouched otherwise',
      { entries: [entry('ConfigMap', 'a')], there: [live('ConfigMap', 'a', { deletionTimestamp: '2026-11-21T10:00:00Z' })] },
    ],
  ])('%s (%s)', (expected, _, world) => {
    const { applies, findings } = plan({ desired: [wanted('ConfigMap', 'a')], ...world });
    expect(applies.map((one) => `${one.action}: ${one.reason}`)).toEqual([expected]);
    expect(findings).toEqual([]);
  });

  test('a Secret is never skipped: no hash of its values is kept that could tell that Git changed them', () => {
    const { applies } = plan({ desired: [wanted('Secret', 's')], entries: [entry('Secret', 's')], there: [live('Secret', 's')] });
    expect(applies[0]?.action).toBe('update');
  });

  test("an object with another Project's label is refused and names that Project", () => {
    const theirs = live('ConfigMap', 'a', {}, project({}, { name: 'web', namespace: 'shop' }));
    const { applies, findings } = plan({ desired: [wanted('ConfigMap', 'a')], there: [theirs] });
    expect(applies).toEqual([]);
    expect(findings).toEqual([
      expect.objectContaining({
        severity: 'error',
        code: 'OBJECT_OF_ANOTHER_PROJECT',
        message: 'ConfigMap/shop/a belongs to plumbline:shop/web',
        at: { file: 'k8s/a.yaml', line: 1, object: 'ConfigMap/shop/a' },
      }),
    ]);
  });

  test('an object that two Projects have written names the other one, not ourselves', () => {
    const theirs = live('ConfigMap', 'a', {}, project({}, { name: 'web' }));
    theirs.metadata.managedFields = [...(live('ConfigMap', 'a').metadata.managedFields ?? []), ...(theirs.metadata.managedFields ?? [])];
    expect(plan({ desired: [wanted('ConfigMap', 'a')], there: [theirs] }).findings[0]?.message).toContain('plumbline:shop/web');
  });
});

describe('what left Git', () => {
  const one = {
    entries: [entry('ConfigMap', 'a'), entry('ConfigMap', 'b')],
    desired: [wanted('ConfigMap', 'b')],
    there: [live('ConfigMap', 'a'), live('ConfigMap', 'b')],
  };

  test('is deleted when label, inventory and uid agree', () => {
    expect(names(plan(one).prunes)).toEqual(['a']);
  });

  test('is kept and named while prune is off', () => {
    const result = plan({ ...one, of: project() });
    expect([names(result.prunes), names(result.kept)]).toEqual([[], ['a']]);
  });

  test('is kept with the annotation plumbline.dev/prune: disabled, with prune on and off', () => {
    const there = [live('ConfigMap', 'a', { annotations: { 'plumbline.dev/prune': 'disabled' } }), live('ConfigMap', 'b')];
    for (const policy of [prune, project()]) {
      const result = plan({ ...one, there, of: policy });
      expect([names(result.prunes), names(result.kept)]).toEqual([[], ['a']]);
    }
  });

  test.each<[string, Partial<KubeObject['metadata']>, Partial<InventoryEntry>]>([
    ['it does not carry our label any more', { labels: {} }, {}],
    ['it does not carry our label any more', { labels: { 'applyset.kubernetes.io/part-of': 'applyset-other-v1' } }, {}],
    ['another object has taken its name', { uid: 'u-other' }, {}],
  ])('is forgotten and stays in the cluster: %s', (reason, metadata, more) => {
    const result = plan({ ...one, entries: [entry('ConfigMap', 'a', more)], there: [live('ConfigMap', 'a', metadata)] });
    expect([names(result.prunes), result.forget.map((it) => it.reason)]).toEqual([[], [reason]]);
  });

  test('is forgotten when it is gone already', () => {
    expect(plan({ ...one, there: [live('ConfigMap', 'b')] }).forget.map((it) => it.reason)).toEqual(['it is gone']);
  });

  test.each<[string, boolean, Partial<KubeObject['metadata']>]>([
    ['was made after it was announced, by us', true, {}],
    ['was there before it was announced', false, { creationTimestamp: '2026-11-21T10:00:04Z' }],
    ['was made by somebody else who copied the label', false, { managedFields: [{ manager: 'kubectl', operation: 'Apply' }] }],
    ['was only updated under our name', false, { managedFields: [{ manager: 'plumbline:shop/api', operation: 'Update' }] }],
  ])('killed between create and record: an object that %s is ours: %s', (_, ours, metadata) => {
    const { uid: __, ...announced } = entry('ConfigMap', 'a');
    expect(notOurs(announced, live('ConfigMap', 'a', metadata), prune) === undefined).toBe(ours);
  });

  test('is only waited for when somebody is deleting it already, whatever its kind', () => {
    const gone = { deletionTimestamp: '2026-11-21T10:00:00Z' };
    const result = plan({
      entries: [entry('PersistentVolumeClaim', 'data'), entry('ConfigMap', 'b')],
      desired: [wanted('ConfigMap', 'b')],
      there: [live('PersistentVolumeClaim', 'data', gone), live('ConfigMap', 'b')],
    });
    expect([names(result.prunes), names(result.leaving), result.held]).toEqual([[], ['data'], undefined]);
  });

  test('goes in the order opposite to that of applying', () => {
    const kinds = ['ConfigMap', 'Deployment', 'RoleBinding', 'Role', 'Service'];
    const result = plan({
      desired: many(30).map((name) => wanted('ConfigMap', name)),
      entries: [...kinds.map((kind) => entry(kind, 'x')), ...many(30).map((name) => entry('ConfigMap', name))],
      there: [...kinds.map((kind) => live(kind, 'x')), ...many(30).map((name) => live('ConfigMap', name))],
    });
    expect(result.prunes.map((it) => it.live.kind)).toEqual(['Deployment', 'Service', 'RoleBinding', 'Role', 'ConfigMap']);
  });

  test('is not touched while a part of the inventory is missing, and that is said', () => {
    const result = plan({ ...one, complete: false });
    expect([names(result.prunes), names(result.kept), result.forget]).toEqual([[], ['a'], []]);
    expect(result.findings).toEqual([expect.objectContaining({ severity: 'warning', code: 'INVENTORY_INCOMPLETE' })]);
  });
});

describe('the deletion budget', () => {
  test.each<[number, number, string, boolean]>([
    [5, 6, '20%', false],
    [6, 12, '20%', true],
    [20, 100, '20%', false],
    [21, 100, '20%', true],
    [1, 100, '0', true],
    [5, 100, '0%', false],
    [30, 100, '30', false],
    [31, 100, '30', true],
    [99, 100, '100%', false],
  ])('%i of %i with maxDeletions %s: held %s', (gone, all, maxDeletions, held) => {
    const result = plan({ ...leaving(gone, all), of: project({ syncPolicy: { prune: true, maxDeletions } }) });
    expect([result.prunes.length, result.held?.prunes.length ?? 0]).toEqual(held ? [0, gone] : [gone, 0]);
  });

  test('everything that was applied is held, however few', () => {
    const result = plan({ ...leaving(2, 2), desired: [wanted('ConfigMap', 'other')] });
    expect(result.held?.reason).toBe('all 2 objects that were applied would be deleted');
  });

  test('the last object of all is held, the only one that becomes another is not', () => {
    const allowEmpty = project({ syncPolicy: { prune: true, allowEmpty: true } });
    expect(plan({ ...leaving(1, 1), of: allowEmpty }).held?.prunes).toHaveLength(1);
    expect(names(plan({ ...leaving(1, 1), desired: [wanted('ConfigMap', 'renamed')] }).prunes)).toEqual(['c00']);
  });

  test.each(['Namespace', 'CustomResourceDefinition', 'PersistentVolume', 'PersistentVolumeClaim'])(
    'a %s is never deleted unasked, the rest goes',
    (kind) => {
      const result = plan({
        desired: [wanted('ConfigMap', 'stays')],
        entries: [entry(kind, 'precious'), entry('ConfigMap', 'a'), entry('ConfigMap', 'stays')],
        there: [live(kind, 'precious'), live('ConfigMap', 'a'), live('ConfigMap', 'stays')],
      });
      expect([names(result.prunes), names(result.held?.prunes ?? [])]).toEqual([['a'], ['precious']]);
      expect(result.held?.reason).toContain(`${kind}/`);
    },
  );

  test('the key of what is held lets exactly that go, and no other key does', () => {
    const key = plan(leaving(6, 12)).held?.key ?? '';
    expect(key).toMatch(/^[0-9a-f]{6}$/);
    expect(plan({ ...leaving(6, 12), of: approved(key) })).toMatchObject({ held: undefined, prunes: { length: 6 } });
    expect(plan({ ...leaving(7, 12), of: approved(key) })).toMatchObject({ held: { prunes: { length: 7 } }, prunes: [] });
    for (const word of ['000000', key.toUpperCase(), `${key}0`, '', 'all'])
      expect(plan({ ...leaving(6, 12), of: approved(word) }).prunes).toEqual([]);
  });

  test('an object made anew under the same name needs an approval of its own', () => {
    const before = leaving(6, 12);
    const key = plan(before).held?.key ?? '';
    const there = (before.there ?? []).map((object) =>
      object.metadata.name === 'c00' ? live('ConfigMap', 'c00', { uid: 'u-new' }) : object,
    );
    const entries = (before.entries ?? []).map((one) => (one.id.endsWith('/c00') ? entry('ConfigMap', 'c00', { uid: 'u-new' }) : one));
    const again = plan({ ...before, there, entries, of: approved(key) });
    expect(again.prunes).toEqual([]);
    expect(again.held?.key).not.toBe(key);
  });
});

describe('a folder that holds nothing', () => {
  test('is refused when something was applied from it', () => {
    const { findings, prunes } = plan({ ...leaving(3, 3), of: prune });
    expect(findings[0]).toMatchObject({
      severity: 'error',
      code: 'NOTHING_RENDERED',
      message: 'k8s holds no objects, and 3 were applied before',
    });
    expect(prunes).toEqual([]);
  });

  test('is meant so with allowEmpty, and still asks before everything goes', () => {
    const { findings, held } = plan({ ...leaving(3, 3), of: project({ syncPolicy: { prune: true, allowEmpty: true } }) });
    expect([findings, held?.prunes.length]).toEqual([[], 3]);
  });

  test('is fine for a project that never applied anything', () => {
    expect(plan({})).toEqual({ applies: [], prunes: [], leaving: [], kept: [], forget: [], held: undefined, findings: [] });
  });
});

test('a plan in one line', () => {
  const result = plan({
    desired: [wanted('ConfigMap', 'new'), wanted('ConfigMap', 'same'), wanted('ConfigMap', 'moved')],
    entries: [entry('ConfigMap', 'same'), entry('ConfigMap', 'moved'), entry('ConfigMap', 'old'), entry('PersistentVolumeClaim', 'data')],
    there: [
      live('ConfigMap', 'same'),
      live('ConfigMap', 'moved', { resourceVersion: '9' }),
      live('ConfigMap', 'old'),
      live('PersistentVolumeClaim', 'data'),
    ],
  });
  expect(summaryOf(result)).toBe('1 to create, 1 to update, 1 to delete, 1 to delete when approved, 1 unchanged');
  expect(summaryOf(plan({}))).toBe('nothing to do');
});

test('definitions and namespaces come first, webhooks that judge the rest come last', () => {
  const kinds = [
    'Deployment',
    'ValidatingWebhookConfiguration',
    'Namespace',
    'Service',
    'RoleBinding',
    'Role',
    'CustomResourceDefinition',
    'ConfigMap',
    'ServiceAccount',
  ];
  expect([...kinds].sort((a, b) => rankOf(a) - rankOf(b))).toEqual([
    'Namespace',
    'CustomResourceDefinition',
    'ServiceAccount',
    'ConfigMap',
    'Role',
    'RoleBinding',
    'Service',
    'Deployment',
    'ValidatingWebhookConfiguration',
  ]);
});
