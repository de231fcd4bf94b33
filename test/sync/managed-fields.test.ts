import { describe, expect, test } from '@jest/globals';
import type { KubeObject } from '../../src/object.ts';
import { differences, heldBefore, ownedFields } from '../../src/sync/managed-fields.ts';

const us = 'plumbline:shop/api';
const ours = (fieldsV1: unknown) => ({ manager: us, operation: 'Apply' as const, fieldsV1 });

function object(fields: Record<string, unknown>, fieldsV1: unknown, others: KubeObject['metadata']['managedFields'] = []): KubeObject {
  return { apiVersion: 'v1', kind: 'Thing', metadata: { name: 'x', managedFields: [ours(fieldsV1), ...others] }, ...fields };
}

describe('paths are those of the API server', () => {
  test.each<[string, string, unknown]>([
    ['a field', '.spec.replicas', { 'f:spec': { 'f:replicas': {} } }],
    ['a key with dots', '.metadata.labels.app.kubernetes.io/name', { 'f:metadata': { 'f:labels': { 'f:app.kubernetes.io/name': {} } } }],
    [
      'a list item by its key',
      '.spec.containers[name="web"].image',
      { 'f:spec': { 'f:containers': { 'k:{"name":"web"}': { '.': {}, 'f:image': {} } } } },
    ],
    [
      'a list item by several keys',
      '.spec.ports[port=80,protocol="TCP"].targetPort',
      { 'f:spec': { 'f:ports': { 'k:{"port":80,"protocol":"TCP"}': { 'f:targetPort': {} } } } },
    ],
    [
      "a set's member",
      '.metadata.finalizers[="example.com/hold"]',
      { 'f:metadata': { 'f:finalizers': { '.': {}, 'v:"example.com/hold"': {} } } },
    ],
    ['an index', '.spec.list[2]', { 'f:spec': { 'f:list': { 'i:2': {} } } }],
    ['an item that is held and nothing in it', '.spec.ports[port=80]', { 'f:spec': { 'f:ports': { 'k:{"port":80}': { '.': {} } } } }],
  ])('%s: %s', (_, path, fieldsV1) => {
    const { paths } = ownedFields(object({}, fieldsV1), us);
    expect([paths.length, heldBefore(paths, path), heldBefore(paths, `${path}x`)]).toEqual([6, true, false]);
  });

  test('what was recorded for many fields is found for each, and never across two digests', () => {
    const keys = Array.from({ length: 200 }, (_, index) => `key${index}`);
    const { paths } = ownedFields(object({}, { 'f:data': Object.fromEntries(keys.map((key) => [`f:${key}`, {}])) }), us);
    expect(paths).toHaveLength(1200);
    expect(keys.every((key) => heldBefore(paths, `.data.${key}`))).toBe(true);
    expect(keys.some((key) => heldBefore(paths, `.other.${key}`))).toBe(false);
  });

  test('nothing recorded, nothing held', () => {
    expect(heldBefore('', '.data.a')).toBe(false);
    expect(ownedFields({ apiVersion: 'v1', kind: 'Thing', metadata: { name: 'x' } }, us).paths).toBe('');
  });
});

describe('only our own apply counts', () => {
  test.each([
    ['another manager', { manager: 'kubectl', operation: 'Apply' as const, fieldsV1: { 'f:data': { 'f:a': {} } } }],
    ['an update under our name', { manager: us, operation: 'Update' as const, fieldsV1: { 'f:data': { 'f:a': {} } } }],
    [
      'a subresource under our name',
      { manager: us, operation: 'Apply' as const, subresource: 'status', fieldsV1: { 'f:status': { 'f:a': {} } } },
    ],
  ])('%s', (_, entry) => {
    expect(ownedFields({ apiVersion: 'v1', kind: 'Thing', metadata: { name: 'x', managedFields: [entry] } }, us).paths).toBe('');
  });
});

describe('values', () => {
  const fields = { 'f:data': { 'f:a': {} }, 'f:spec': { 'f:ports': { 'k:{"port":80}': { 'f:name': {} } } } };
  const digest = (more: Record<string, unknown>) => ownedFields(object(more, fields), us).values;
  const before = digest({ data: { a: '1' }, spec: { ports: [{ port: 80, name: 'http' }] } });

  test('fields of others, their order and the order of list items do not count', () => {
    expect(digest({ data: { b: '2', a: '1' }, spec: { ports: [{ port: 443 }, { name: 'http', port: 80, nodePort: 30000 }] } })).toBe(
      before,
    );
  });

  test.each([
    ['a value', { data: { a: '2' }, spec: { ports: [{ port: 80, name: 'http' }] } }],
    ['a field that is gone', { data: {}, spec: { ports: [{ port: 80, name: 'http' }] } }],
    ['a list item that is gone', { data: { a: '1' }, spec: { ports: [] } }],
    ['a list that became something else', { data: { a: '1' }, spec: { ports: 'none' } }],
  ])('%s does', (_, more) => {
    expect(digest(more)).not.toBe(before);
  });
});

describe('differences', () => {
  const fields = { 'f:spec': { 'f:replicas': {}, 'f:containers': { 'k:{"name":"web"}': { '.': {}, 'f:image': {} } }, 'f:args': {} } };
  const result = object({ spec: { replicas: 3, containers: [{ name: 'web', image: 'web:1' }], args: ['a', 'b'] } }, fields);

  test('name the field, both values and who wrote last', () => {
    const live = object({ spec: { replicas: 5, containers: [{ name: 'web', image: 'web:1' }], args: ['a', 'b'] } }, {}, [
      { manager: 'older', operation: 'Update', time: '2026-11-21T09:00:00Z', fieldsV1: { 'f:spec': { 'f:replicas': {} } } },
      { manager: 'kubectl-edit', operation: 'Update', time: '2026-11-21T10:00:00Z', fieldsV1: { 'f:spec': { 'f:replicas': {} } } },
      { manager: 'other', operation: 'Update', time: '2026-11-21T11:00:00Z', fieldsV1: { 'f:spec': { 'f:paused': {} } } },
    ]);
    expect(differences(live, result, us)).toEqual([
      { path: '.spec.replicas', git: 3, live: 5, who: { manager: 'kubectl-edit', time: '2026-11-21T10:00:00Z' } },
    ]);
  });

  test('a removed field names nobody, and another order of keyed items is no difference', () => {
    const live = object({ spec: { replicas: 3, containers: [{ name: 'side' }, { name: 'web', image: 'web:1' }] } }, {});
    expect(differences(live, result, us)).toEqual([{ path: '.spec.args', git: ['a', 'b'], live: undefined, who: undefined }]);
  });

  test('an atomic list is compared whole, in its order', () => {
    const live = object({ spec: { replicas: 3, containers: [{ name: 'web', image: 'web:1' }], args: ['b', 'a'] } }, {});
    expect(differences(live, result, us).map((one) => one.path)).toEqual(['.spec.args']);
  });

  test('what others added is none', () => {
    const live = object(
      { spec: { replicas: 3, paused: true, containers: [{ name: 'web', image: 'web:1', tty: true }], args: ['a', 'b'] } },
      fields,
    );
    expect(differences(live, result, us)).toEqual([]);
  });
});
