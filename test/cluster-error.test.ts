import { describe, expect, test } from '@jest/globals';
import { type ApiStatus, apiError, isObjectMissing, refusalOf, unreachable } from '../src/cluster-error.ts';
import type { ObjectRef } from '../src/object.ts';

const settings: ObjectRef = { apiVersion: 'v1', kind: 'ConfigMap', namespace: 'shop', name: 'settings' };
const secret: ObjectRef = { ...settings, kind: 'Secret', name: 'token' };
const status = (code: number, reason: string, message: string, details: ApiStatus['details'] = {}): ApiStatus => ({
  kind: 'Status',
  code,
  reason,
  message,
  details,
});

/** Bodies as kube-apiserver 1.34 sends them. */
const refusals: [string, number, ApiStatus | string, ObjectRef, { code: string; retry: string; field?: string }][] = [
  [
    'a typo, which the server calls its own failure',
    500,
    status(
      500,
      '',
      'failed to create typed patch object (shop/web; apps/v1, Kind=Deployment): .spec.replica: field not declared in schema',
    ),
    settings,
    { code: 'API_INVALID', retry: 'never', field: '.spec.replica' },
  ],
  [
    'a removed version',
    500,
    status(500, '', 'request to convert CR to an invalid group/version: example.com/v1alpha1'),
    settings,
    { code: 'API_INVALID', retry: 'never' },
  ],
  [
    'an object too large for etcd',
    500,
    status(500, '', 'etcdserver: request is too large'),
    settings,
    { code: 'API_INVALID', retry: 'never' },
  ],
  [
    'a request too large for the server',
    413,
    status(413, 'RequestEntityTooLarge', 'Request entity too large: limit is 3145728'),
    settings,
    { code: 'API_INVALID', retry: 'never' },
  ],
  [
    'a failure inside',
    500,
    status(500, 'InternalError', 'Internal error occurred: failed calling webhook "x"'),
    settings,
    { code: 'API_SERVER_ERROR', retry: 'later' },
  ],
  ['a proxy without a server behind it', 502, '<html>Bad Gateway</html>', settings, { code: 'API_SERVER_ERROR', retry: 'later' }],
  ['a server that is starting', 503, 'service unavailable', settings, { code: 'API_SERVER_ERROR', retry: 'later' }],
  [
    'a missing object',
    404,
    status(404, 'NotFound', 'configmaps "settings" not found', { name: 'settings', kind: 'configmaps' }),
    settings,
    { code: 'API_NOT_FOUND', retry: 'never' },
  ],
  [
    'a missing namespace',
    404,
    status(404, 'NotFound', 'namespaces "shop" not found', { name: 'shop', kind: 'namespaces' }),
    settings,
    { code: 'NAMESPACE_NOT_FOUND', retry: 'never' },
  ],
  [
    'a missing Namespace that was asked for itself',
    404,
    status(404, 'NotFound', 'namespaces "shop" not found', { name: 'shop', kind: 'namespaces' }),
    { apiVersion: 'v1', kind: 'Namespace', name: 'shop' },
    { code: 'API_NOT_FOUND', retry: 'never' },
  ],
  ['a path that nobody serves', 404, '404 page not found\n', settings, { code: 'KIND_NOT_SERVED', retry: 'never' }],
  [
    'a missing right',
    403,
    status(403, 'Forbidden', 'configmaps "settings" is forbidden: User "u" cannot patch resource "configmaps"'),
    settings,
    { code: 'API_FORBIDDEN', retry: 'never' },
  ],
  ['an expired token', 401, status(401, 'Unauthorized', 'Unauthorized'), settings, { code: 'API_UNAUTHORIZED', retry: 'never' }],
  [
    'an immutable field',
    422,
    status(422, 'Invalid', 'Service "web" is invalid: spec.clusterIP: Invalid value: field is immutable', {
      causes: [{ field: 'spec.clusterIPs[0]' }],
    }),
    settings,
    { code: 'API_INVALID', retry: 'never', field: 'spec.clusterIPs[0]' },
  ],
  [
    'a list that took too long',
    410,
    status(410, 'Expired', 'The provided continue parameter is too old'),
    settings,
    { code: 'API_EXPIRED', retry: 'later' },
  ],
  [
    'too many requests',
    429,
    status(429, 'TooManyRequests', 'Too many requests, please try again later.'),
    settings,
    { code: 'API_THROTTLED', retry: 'later' },
  ],
];

describe('a refusal', () => {
  test.each(refusals)('%s', (_, code, body, about, { field, ...expected }) => {
    const error = apiError(code, body, about);
    expect({ code: error.code, retry: error.retry }).toEqual(expected);
    expect(error.at?.object).toBe(`${about.kind}/${about.namespace ? `${about.namespace}/` : ''}${about.name}`);
    if (field) expect(error.at?.field).toBe(field);
  });

  test('only a missing object itself is missing', () => {
    const missing = refusals.filter(([, code, body, about]) => isObjectMissing(apiError(code, body, about))).map(([name]) => name);
    expect(missing).toEqual(['a missing object', 'a missing Namespace that was asked for itself']);
  });

  test('a conflict names each field and each manager', () => {
    const message =
      'Apply failed with 2 conflicts: conflicts with "kubectl-edit" using v1:\n- .data.a\nconflicts with "plumbline:shop/web" using v1:\n- .data.b';
    const causes = ['.data.a', '.data.b'].map((field) => ({ reason: 'FieldManagerConflict', field }));
    const error = apiError(409, status(409, 'Conflict', message, { causes }), settings);
    expect(refusalOf(error)).toMatchObject({
      status: 409,
      fields: ['.data.a', '.data.b'],
      managers: ['kubectl-edit', 'plumbline:shop/web'],
    });
    expect(error).toMatchObject({
      code: 'API_CONFLICT',
      hint: expect.stringContaining('kubectl-edit, plumbline:shop/web holds the field'),
    });
  });

  test('no words at all still say which status', () => {
    expect(apiError(500, '').message).toBe('HTTP 500');
    expect(apiError(418, {}).message).toBe('HTTP 418');
  });
});

describe('nothing of a Secret leaves', () => {
  const canary = 'aHVudGVyMi1jYW5hcnk';
  test.each([
    [
      500,
      `failed to create typed patch object (shop/token; /v1, Kind=Secret): .data.password: expected string, got &value.valueUnstructured{Value:"${canary}"}`,
    ],
    [422, `Secret "token" is invalid: data[password]: Invalid value: "${canary}": must be base64`],
    [400, `Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte 4: ${canary}`],
    [403, `admission webhook "policy" denied the request: {"data":{"password":"${canary}"}}`],
  ])('%i', (code, message) => {
    const causes = code === 422 ? [{ field: 'data[password]', message }] : [];
    const error = apiError(code, status(code, 'Invalid', message, { causes }), secret);
    expect(JSON.stringify([error.message, error.hint, error.at, error.cause, error.stack])).not.toContain(canary);
    expect(error.message).toContain('Secret/shop/token: ');
  });
});

test('the usual mistake in a Secret is told in our words', () => {
  const refused = apiError(400, status(400, 'BadRequest', 'illegal base64 data at input byte 4: aHVudGVyMg'), secret);
  expect(refused.message).toBe('Secret/shop/token: a value under data is not base64; plain text goes under stringData');
});

test('an account that the runner may not act as is told with what to do', () => {
  const said = 'serviceaccounts "other" is forbidden: User "runner" cannot impersonate resource "serviceaccounts" in API group ""';
  expect(apiError(403, status(403, 'Forbidden', said), secret).hint).toMatch(/^the runner may act as accounts called plumbline only: /);
});

test('an unreachable server is named with what happened at the bottom of it', () => {
  const cause = new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED 127.0.0.1:6443') });
  expect(unreachable('https://127.0.0.1:6443', cause)).toMatchObject({
    code: 'CLUSTER_UNREACHABLE',
    retry: 'later',
    message: 'the API server https://127.0.0.1:6443 did not answer: connect ECONNREFUSED 127.0.0.1:6443',
  });
});
