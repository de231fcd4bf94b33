import { describe, expect, test } from '@jest/globals';
import { diffObjects } from '../../src/diff.ts';
import type { KubeObject, SourcedObject } from '../../src/object.ts';
import { risksOf, tagOf } from '../../src/risk.ts';

function object(fields: Record<string, unknown>, kind = 'Pod', apiVersion = 'v1'): SourcedObject {
  return { object: { apiVersion, kind, metadata: { name: 'x' }, ...fields } as KubeObject, file: 'x.yaml', line: 1, lines: {} };
}

function changes(was: Record<string, unknown>, is: Record<string, unknown>) {
  return diffObjects([object(was)], [object(is)]).changes.flatMap(({ fields }) =>
    fields.map(({ path, was: before, is: after }) => [path, before, after]),
  );
}

describe('a list whose items have keys', () => {
  test.each([
    ['containers by name', [{ name: 'a', v: 1 }, { name: 'b' }], [{ name: 'b' }, { name: 'a', v: 1 }]],
    [
      'ports by number and protocol',
      [
        { containerPort: 53, protocol: 'UDP' },
        { containerPort: 53, protocol: 'TCP' },
      ],
      [
        { containerPort: 53, protocol: 'TCP' },
        { containerPort: 53, protocol: 'UDP' },
      ],
    ],
    [
      'mounts by path',
      [
        { mountPath: '/a', name: 'v' },
        { mountPath: '/b', name: 'v' },
      ],
      [
        { mountPath: '/b', name: 'v' },
        { mountPath: '/a', name: 'v' },
      ],
    ],
    ['service ports', [{ port: 80 }, { port: 443 }], [{ port: 443 }, { port: 80 }]],
    [
      'tolerations',
      [
        { key: 'a', operator: 'Exists' },
        { key: 'b', operator: 'Exists' },
      ],
      [
        { key: 'b', operator: 'Exists' },
        { key: 'a', operator: 'Exists' },
      ],
    ],
  ])('in another order is no change: %s', (_, was, is) => {
    expect(changes({ list: was }, { list: is })).toEqual([]);
  });

  test('names what came, went and changed by key, with the pointer of the newer place', () => {
    const was = { list: [{ name: 'a', v: 1 }, { name: 'gone' }] };
    const is = { list: [{ name: 'new' }, { name: 'a', v: 2 }] };
    expect(changes(was, is)).toEqual([
      ['list[new]', undefined, { name: 'new' }],
      ['list[a].v', 1, 2],
      ['list[gone]', { name: 'gone' }, undefined],
    ]);
    expect(diffObjects([object(was)], [object(is)]).changes[0]?.fields[1]?.pointer).toBe('/list/1/v');
  });

  test('with a doubled key is compared by place, so that nothing is lost', () => {
    expect(
      changes(
        {
          list: [
            { name: 'a', v: 1 },
            { name: 'a', v: 2 },
          ],
        },
        {
          list: [
            { name: 'a', v: 1 },
            { name: 'a', v: 3 },
          ],
        },
      ),
    ).toEqual([['list[1].v', 2, 3]]);
  });

  test('of plain values is one value: its order means something', () => {
    expect(changes({ args: ['a', 'b'] }, { args: ['b', 'a'] })).toEqual([['args', ['a', 'b'], ['b', 'a']]]);
  });
});

describe('a field', () => {
  test.each([
    ['that changes its type', { v: '1' }, { v: 1 }, [['v', '1', 1]]],
    ['that becomes null is told from one that goes', { v: 1 }, { v: null }, [['v', 1, null]]],
    ['that goes', { v: 1 }, {}, [['v', 1, undefined]]],
    ['that turns from a mapping into a list', { v: { a: 1 } }, { v: [1] }, [['v', { a: 1 }, [1]]]],
    ['with dots and slashes in its name', { 'a.b/c': 1 }, { 'a.b/c': 2 }, [['["a.b/c"]', 1, 2]]],
    ['that is called like what every object has', { constructor: 1 }, { constructor: 2 }, [['constructor', 1, 2]]],
    ['whose keys only moved', { v: { a: 1, b: 2 } }, { v: { b: 2, a: 1 } }, []],
  ])('%s', (_, was, is, expected) => {
    expect(changes(was, is)).toEqual(expected);
  });
});

describe('two sets', () => {
  test('know an object by group, kind, namespace and name, not by its version or file', () => {
    const was = object({}, 'Ingress', 'networking.k8s.io/v1beta1');
    const is = { ...object({}, 'Ingress', 'networking.k8s.io/v1'), file: 'moved.yaml' };
    const { changes: found, unchanged } = diffObjects([was, object({})], [is, object({})]);
    expect(found.map(({ kind, fields }) => [kind, fields.map(({ path }) => path)])).toEqual([['changed', ['apiVersion']]]);
    expect(unchanged).toBe(1);
  });
});

describe('an image', () => {
  const pod = (image: string) => object({ spec: { containers: [{ name: 'c', image }] } });
  test.each([
    ['v1.4.2', 'v1.4.1', true],
    ['1.10.0', '1.9.0', true],
    ['1.9.0', '1.10.0', false],
    ['v2', 'v1', false],
    ['2.0', '1.9', true],
    ['latest', 'v1.0.0', false],
    ['1.0.0', '1.0.0-debug', false],
  ])('%s → %s is a downgrade: %s', (was, is, downgrade) => {
    const set = diffObjects([pod(`localhost:5000/a:${was}`)], [pod(`localhost:5000/a:${is}`)]);
    expect(set.images).toHaveLength(1);
    expect(risksOf(set).map(({ kind }) => kind)).toEqual(downgrade ? ['image downgrade'] : []);
  });

  test('of another repository is no downgrade', () => {
    expect(risksOf(diffObjects([pod('a:2.0.0')], [pod('b:1.0.0')]))).toEqual([]);
  });

  test.each([
    ['localhost:5000/a', 'latest'],
    ['a:v1@sha256:0123456789abcdef0123', 'v1'],
    ['a@sha256:0123456789abcdef0123', 'sha256:0123456789ab'],
  ])('%s is shown as %s', (image, tag) => {
    expect(tagOf(image)).toBe(tag);
  });
});
