import { describe, expect, test } from '@jest/globals';
import type { KubeObject } from '../src/object.ts';
import { jobFor, jobOf, keyLabel, keyOfWork, readWorkRequest, requestAnnotation, startedLabel, type WorkRequest } from '../src/work.ts';

const pull: WorkRequest = { kind: 'pull', installation: 1, repository: 22, number: 7 };

describe('keys', () => {
  test.each<[string, WorkRequest]>([
    ['pr-22-7', pull],
    ['issue-22-7', { kind: 'issue', installation: 1, repository: 22, number: 7 }],
    ['ref-22-91c0e65a4e', { kind: 'ref', installation: 1, repository: 22, ref: 'refs/heads/main' }],
    ['act-', { kind: 'button', installation: 1, repository: 22, delivery: 'd-1' }],
    ['project-', { kind: 'project', namespace: 'shop', name: 'api' }],
  ])('%s', (key, request) => {
    expect(keyOfWork(request).startsWith(key.replace(/-[0-9a-f]{10}$/, '-'))).toBe(true);
    expect(keyOfWork(request)).toMatch(/^[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])$/);
  });

  test('the installation is no part of a key: a re-installed App does not double the work', () => {
    expect(keyOfWork({ ...pull, installation: 2 })).toBe(keyOfWork(pull));
  });

  test.each<[WorkRequest, WorkRequest]>([
    [
      { kind: 'project', namespace: 'a', name: 'b' },
      { kind: 'project', namespace: 'a', name: 'c' },
    ],
    [
      { kind: 'ref', installation: 1, repository: 22, ref: 'refs/heads/a' },
      { kind: 'ref', installation: 1, repository: 22, ref: 'refs/tags/a' },
    ],
    [
      { kind: 'pull', installation: 1, repository: 2, number: 27 },
      { kind: 'pull', installation: 1, repository: 22, number: 7 },
    ],
  ])('%j and %j are different work', (one, other) => {
    expect(keyOfWork(one)).not.toBe(keyOfWork(other));
  });

  test('the longest ids still make a name of a Job', () => {
    const most = Number.MAX_SAFE_INTEGER;
    expect(`${keyOfWork({ kind: 'issue', installation: most, repository: most, number: most })}-99999`.length).toBeLessThanOrEqual(63);
  });
});

describe('a request in an annotation', () => {
  test.each<WorkRequest>([
    pull,
    { kind: 'issue', installation: 1, repository: 2, number: 3 },
    { kind: 'ref', installation: 1, repository: 2, ref: 'refs/heads/feature/x' },
    { kind: 'button', installation: 1, repository: 2, delivery: '72d3162e-cc78-11e3-81ab-4c9367dc0958' },
    { kind: 'project', namespace: 'shop', name: 'api.v2' },
  ])('%j is read as it was written', (request) => {
    expect(readWorkRequest(JSON.stringify(request))).toEqual(request);
  });

  test.each([
    undefined,
    '',
    'now',
    '{',
    'null',
    '[]',
    '"pull"',
    '{}',
    '{"kind":"pull"}',
    '{"kind":"delete","installation":1,"repository":2,"number":3}',
    '{"kind":"pull","installation":1,"repository":2,"number":"3"}',
    '{"kind":"pull","installation":1,"repository":2,"number":-3}',
    '{"kind":"pull","installation":1,"repository":2,"number":0}',
    '{"kind":"pull","installation":1,"repository":2,"number":1.5}',
    '{"kind":"pull","installation":1,"repository":2,"number":1e99}',
    '{"kind":"pull","installation":null,"repository":2,"number":3}',
    '{"kind":"ref","installation":1,"repository":2,"ref":"main"}',
    '{"kind":"ref","installation":1,"repository":2,"ref":["refs/heads/main"]}',
    '{"kind":"button","installation":1,"repository":2,"delivery":""}',
    '{"kind":"project","namespace":"shop","name":"../api"}',
    '{"kind":"project","namespace":"shop/x","name":"api"}',
    '{"kind":"project","namespace":"shop","name":"API"}',
    '{"kind":"project","namespace":"shop","name":"a\\nb"}',
    `{"kind":"project","namespace":"shop","name":"${'a'.repeat(254)}"}`,
    '{"kind":"project","namespace":{"a":1},"name":"api"}',
    '{"__proto__":{"kind":"project","namespace":"shop","name":"api"}}',
    '{"constructor":{"kind":"pull"},"kind":["pull"]}',
  ])('%j is none: that Job is a plain tick', (annotation) => {
    expect(readWorkRequest(annotation)).toBeUndefined();
  });
});

describe('which Job serves a key', () => {
  const job = (name: string, more: { labels?: Record<string, string>; conditions?: string[]; deleted?: boolean } = {}): KubeObject => ({
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, labels: { [keyLabel]: 'pr-22-7', ...more.labels }, ...(more.deleted ? { deletionTimestamp: 'now' } : {}) },
    status: { conditions: (more.conditions ?? []).map((type) => ({ type, status: 'True' })) },
  });
  const started = { labels: { [startedLabel]: 'true' } };

  test.each<[string, KubeObject[], ReturnType<typeof jobFor>]>([
    ['none is there', [], { create: 'pr-22-7-1' }],
    ['one waits', [job('pr-22-7-1')], { covered: 'pr-22-7-1' }],
    ['one has begun to read', [job('pr-22-7-1', started)], { create: 'pr-22-7-2' }],
    ['one works and one waits behind it', [job('pr-22-7-1', started), job('pr-22-7-2')], { covered: 'pr-22-7-2' }],
    ['one is done', [job('pr-22-7-4', { conditions: ['Complete'] })], { create: 'pr-22-7-5' }],
    ['one ended before it could begin', [job('pr-22-7-1', { conditions: ['FailureTarget'] })], { create: 'pr-22-7-2' }],
    ['one is being deleted', [job('pr-22-7-1', { deleted: true })], { create: 'pr-22-7-2' }],
    ['the numbers have gaps', [job('pr-22-7-9', started), job('pr-22-7-10', started)], { create: 'pr-22-7-11' }],
    ['one is of another key', [job('pr-22-7-1', { labels: { [keyLabel]: 'pr-22-8' } })], { create: 'pr-22-7-1' }],
  ])('when %s', (_, jobs, decision) => {
    expect(jobFor('pr-22-7', jobs)).toEqual(decision);
  });

  test('a Job is the template of the CronJob and one annotation, owned without being controlled', () => {
    const spec = { template: { spec: { containers: [] } }, backoffLimit: 1 };
    const cronJob: KubeObject = {
      apiVersion: 'batch/v1',
      kind: 'CronJob',
      metadata: { name: 'runner', namespace: 'plumbline-system', uid: 'c-1' },
      spec: { jobTemplate: { metadata: { labels: { app: 'runner' } }, spec } },
    };
    expect(jobOf(cronJob, 'pr-22-7-1', pull)).toEqual({
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: {
        name: 'pr-22-7-1',
        namespace: 'plumbline-system',
        labels: { app: 'runner', [keyLabel]: 'pr-22-7' },
        annotations: { [requestAnnotation]: JSON.stringify(pull) },
        ownerReferences: [{ apiVersion: 'batch/v1', kind: 'CronJob', name: 'runner', uid: 'c-1', controller: false }],
      },
      spec,
    });
  });
});
