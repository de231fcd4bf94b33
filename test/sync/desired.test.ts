import { describe, expect, test } from '@jest/globals';
import type { KubeObject, SourcedObject } from '../../src/object.ts';
import { applySetOf, fieldManagerOf } from '../../src/project.ts';
import { applySetLabel, desiredObjects } from '../../src/sync/desired.ts';
import { project } from './sample.ts';

const sourced = (object: Omit<KubeObject, 'metadata'> & { metadata: object }, line = 1): SourcedObject => ({
  object: object as KubeObject,
  file: 'k8s/all.yaml',
  line,
  lines: {},
});
const served: Record<string, boolean> = {
  'v1 ConfigMap': true,
  'v1 Secret': true,
  'v1 Namespace': false,
  'apiextensions.k8s.io/v1 CustomResourceDefinition': false,
  'plumbline.dev/v1alpha1 Project': true,
};
const scope = (object: KubeObject) => served[`${object.apiVersion} ${object.kind}`];
const settings = (metadata: object = {}) =>
  sourced({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings', ...metadata }, data: { a: '1' } });
const system = project({ destination: { namespace: 'shop' } }, { namespace: 'plumbline-system' });
const run = (objects: SourcedObject[], of = project()) => desiredObjects(objects, of, scope);
const first = (objects: SourcedObject[], of = project()) => {
  const { desired, findings } = run(objects, of);
  expect(findings).toEqual([]);
  return desired[0]?.object.metadata;
};

describe('the namespace', () => {
  test.each<[string, string | undefined, Parameters<typeof run>[0], ReturnType<typeof project>]>([
    ["the Project's own when none is written", 'shop', [settings()], project()],
    ["the Project's own when that is written", 'shop', [settings({ namespace: 'shop' })], project()],
    ['the destination for a Project in plumbline-system', 'shop', [settings()], system],
    ['any other for a Project in plumbline-system', 'elsewhere', [settings({ namespace: 'elsewhere' })], system],
    [
      'none for what belongs to the cluster',
      undefined,
      [sourced({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'x', namespace: 'typo' } })],
      system,
    ],
  ])('%s', (_, namespace, objects, of) => {
    expect(first(objects, of)?.namespace).toBe(namespace);
  });

  test.each([
    ['metadata.namespace is other, and this Project deploys to shop', settings({ namespace: 'other' })],
    [
      'Namespace belongs to the whole cluster, and this Project to namespace shop',
      sourced({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'x' } }),
    ],
    [
      'a Project in shop may not write Projects: that would let Git raise its own limits',
      sourced({ apiVersion: 'plumbline.dev/v1alpha1', kind: 'Project', metadata: { name: 'x' } }),
    ],
  ])('refused: %s', (message, object) => {
    const { desired, findings } = run([object]);
    expect([desired, findings.map((one) => [one.severity, one.code, one.message, one.at?.file])]).toEqual([
      [],
      [['error', 'OBJECT_NOT_ALLOWED', message, 'k8s/all.yaml']],
    ]);
  });

  test('a Project in plumbline-system may write Projects', () => {
    expect(
      first([sourced({ apiVersion: 'plumbline.dev/v1alpha1', kind: 'Project', metadata: { name: 'x', namespace: 'shop' } })], system)
        ?.namespace,
    ).toBe('shop');
  });
});

describe('the label', () => {
  test('is ours, whatever is written, beside the labels that are written', () => {
    expect(first([settings({ labels: { app: 'web', [applySetLabel]: 'stolen' } })])?.labels).toEqual({
      app: 'web',
      [applySetLabel]: applySetOf(project()),
    });
    expect(first([settings({ labels: null })])?.labels).toEqual({ [applySetLabel]: applySetOf(project()) });
  });

  test('differs between two projects of one name, and between two names that read alike', () => {
    const ids = [
      { namespace: 'shop', name: 'api' },
      { namespace: 'other', name: 'api' },
      { namespace: 'shop', name: 'api.shop' },
      { namespace: 'api', name: 'api.shop' },
    ].map(applySetOf);
    expect(new Set(ids).size).toBe(4);
    for (const id of ids) expect(id).toMatch(/^applyset-[A-Za-z0-9_-]{43}-v1$/);
  });

  test('a field manager has at most 128 characters and is never shared', () => {
    const long = 'n'.repeat(63);
    const managers = [`${long}a`, `${long}b`].map((name) => fieldManagerOf({ namespace: long, name }));
    expect(new Set(managers).size).toBe(2);
    for (const manager of managers) expect(manager.length).toBeLessThanOrEqual(128);
    expect(fieldManagerOf({ namespace: 'shop', name: 'api' })).toBe('plumbline:shop/api');
  });
});

test('the same object twice is an error at the second place that names the first', () => {
  const { desired, findings } = run([
    settings(),
    sourced({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings', namespace: 'shop' } }, 9),
  ]);
  expect(desired).toHaveLength(1);
  expect(findings).toEqual([
    {
      severity: 'error',
      code: 'OBJECT_TWICE',
      message: 'ConfigMap/shop/settings is written twice, also at k8s/all.yaml:1',
      at: { file: 'k8s/all.yaml', line: 9, object: 'ConfigMap/shop/settings' },
      hint: 'keep one of them',
    },
  ]);
});

test('everything that is wrong is said at once', () => {
  const { findings } = run([
    settings({ namespace: 'a' }),
    settings({ namespace: 'b' }),
    sourced({ apiVersion: 'nobody/v1', kind: 'Thing', metadata: { name: 't' } }),
  ]);
  expect(findings.map((one) => one.code)).toEqual(['OBJECT_NOT_ALLOWED', 'OBJECT_NOT_ALLOWED', 'KIND_NOT_SERVED']);
});

describe('a kind that nobody serves', () => {
  const widget = sourced({ apiVersion: 'example.com/v1', kind: 'Widget', metadata: { name: 'w' } });
  const definition = (scopeOfKind: string, kind = 'Widget', group = 'example.com') =>
    sourced({
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: 'widgets.example.com' },
      spec: { group, scope: scopeOfKind, names: { kind } },
    });

  test('is an error that names it', () => {
    expect(run([widget]).findings[0]).toMatchObject({
      code: 'KIND_NOT_SERVED',
      message: 'this cluster does not serve Widget of example.com/v1',
    });
  });

  test.each([
    ['Namespaced', 'shop'],
    ['Cluster', undefined],
  ])('is fine when the same set brings its definition (%s)', (scopeOfKind, namespace) => {
    const { desired, findings } = run([definition(scopeOfKind), widget], system);
    expect(findings).toEqual([]);
    expect(desired.find((one) => one.object.kind === 'Widget')?.object.metadata.namespace).toBe(namespace);
  });

  test.each([
    ['of another kind', definition('Namespaced', 'Gadget')],
    ['of another group', definition('Namespaced', 'Widget', 'example.org')],
    ['half-written', sourced({ apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition', metadata: { name: 'x' } })],
  ])('a definition %s does not help', (_, other) => {
    expect(run([other, widget], system).findings.map((one) => one.code)).toEqual(['KIND_NOT_SERVED']);
  });
});

describe('the hash', () => {
  const hash = (object: SourcedObject) => run([object]).desired[0]?.hash;
  const secret = (data: Record<string, string>, type = 'Opaque') =>
    sourced({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, type, data });

  test('follows the content, not the order of keys', () => {
    const one = sourced({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data: { a: '1', b: '2' } });
    const same = sourced({ kind: 'ConfigMap', apiVersion: 'v1', data: { b: '2', a: '1' }, metadata: { name: 'a' } });
    const other = sourced({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data: { a: '1', b: '3' } });
    expect([hash(one) === hash(same), hash(one) === hash(other)]).toEqual([true, false]);
  });

  test('of a Secret tells nothing about its values', () => {
    expect(hash(secret({ password: 'aHVudGVyMg==' }))).toBe(hash(secret({ password: 'c29tZXRoaW5n', other: 'eA==' })));
    expect(hash(secret({}, 'Opaque'))).not.toBe(hash(secret({}, 'kubernetes.io/tls')));
  });
});
