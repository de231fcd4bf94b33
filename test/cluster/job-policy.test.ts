/**
 * What the App's own token may do on a real API server: start the runner, and nothing else. The plane is this suite's own, because
 * policy and quota bind the product's namespace for everybody.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { connectCluster } from '../../src/cluster.ts';
import { ensureJob } from '../../src/flow/ensure-job.ts';
import type { KubeObject } from '../../src/object.ts';
import { jobOf, type WorkRequest } from '../../src/work.ts';
import type { Api } from '../support/cluster/api.ts';
import { type ControlPlane, startControlPlane } from '../support/cluster/control-plane.ts';
import { until } from '../support/cluster/until.ts';

type Json = Record<string, unknown>;
type PodSpec = Json & { containers: Json[]; initContainers: Json[]; volumes: Json[] };
type Job = KubeObject & { spec: Json & { template: { metadata: { labels: Record<string, string>; annotations?: Json }; spec: PodSpec } } };
type Status = { message?: string };

const app = { namespace: 'plumbline-system', name: 'plumbline-app' };
const jobsPath = '/apis/batch/v1/namespaces/plumbline-system/jobs';
const cronJobPath = '/apis/batch/v1/namespaces/plumbline-system/cronjobs/runner';
const pullRequest = (number: number): WorkRequest => ({ kind: 'pull', installation: 1, repository: 42, number });

let plane: ControlPlane;
let api: Api;
let cronJob: KubeObject;

beforeAll(async () => {
  plane = await startControlPlane();
  await plane.kubectl(['apply', '-k', 'deploy']);
  await plane.kubectl(['apply', '-k', 'deploy/app']);
  api = await plane.apiFor({ serviceAccount: app });
  cronJob = await plane.api.ok('GET', cronJobPath);
  await until('the policy is in force', 20_000, async () => {
    const answer = await tryJob((job) => Object.assign(job.spec, { parallelism: 7 }));
    return answer.status === 422;
  });
});

afterAll(async () => {
  api?.close();
  await plane?.stop();
});

const freshJob = (): Job => structuredClone(jobOf(cronJob, 'pr-42-7-1', pullRequest(7))) as Job;

/** Sends the Job that the App would make, changed, as a dry run: policies see it, nothing stays. */
function tryJob(change: (job: Job) => unknown, as: Api = api) {
  const job = freshJob();
  change(job);
  return as.request<Status>('POST', `${jobsPath}?dryRun=All`, { body: job });
}

const pod = (change: (spec: PodSpec) => unknown) => (job: Job) => change(job.spec.template.spec);
const runner = (change: (container: Json) => unknown) => pod((spec) => change(spec.containers[0] ?? {}));
const spec = (fields: Json) => (job: Job) => Object.assign(job.spec, fields);
const labels = (fields: Record<string, string>) => (job: Job) => Object.assign(job.spec.template.metadata.labels, fields);
const notOurs = 'the pod is not the one of cronjob/runner';
const onePod = 'one pod at a time, as cronjob/runner has it';
const bounds = 'retries, deadline and time to live are those of cronjob/runner';
const noOwn = 'no selector, suspension, manager or success policy of its own';
const noOwner = 'no finalizers, and no owner but cronjob/runner';
const oneAnnotation = 'only the annotation plumbline.dev/request';

const refused: [string, (job: Job) => unknown, string][] = [
  ['another command', runner((one) => Object.assign(one, { command: ['sh', '-c', 'env'] })), notOurs],
  ['another image', runner((one) => Object.assign(one, { image: 'evil:latest' })), notOurs],
  ['one more variable', runner((one) => (one['env'] as Json[]).push({ name: 'NODE_OPTIONS', value: '--import=/scratch/x.mjs' })), notOurs],
  ['a second container', pod((one) => one.containers.push({ name: 'second', image: 'evil' })), notOurs],
  ['no render container', pod((one) => one.initContainers.splice(0)), notOurs],
  [
    'the token in the render container',
    pod((one) => one.initContainers[0] && Object.assign(one.initContainers[0], { volumeMounts: one.containers[0]?.['volumeMounts'] })),
    notOurs,
  ],
  ['the process table of the node', pod((one) => Object.assign(one, { hostPID: true })), notOurs],
  ['a folder of the node', pod((one) => one.volumes.push({ name: 'host', hostPath: { path: '/' } })), notOurs],
  ['another account', pod((one) => Object.assign(one, { serviceAccountName: 'default' })), notOurs],
  ['a token in every container', pod((one) => Object.assign(one, { automountServiceAccountToken: true })), notOurs],
  [
    'an annotation that makes an injector add a container',
    (job) => Object.assign(job.spec.template.metadata, { annotations: { 'vault.hashicorp.com/agent-inject-command-x': 'env' } }),
    "the pod's annotations are not those of cronjob/runner",
  ],
  ['a label that a Service selects', labels({ app: 'shop' }), 'a label that cronjob/runner does not have'],
  ['another value of its label', labels({ 'app.kubernetes.io/name': 'plumbline-app' }), 'a label that cronjob/runner does not have'],
  ['ten thousand pods at once', spec({ parallelism: 10_000 }), onePod],
  ['no pod at all', spec({ parallelism: 0 }), onePod],
  ['five pods in turn', spec({ completions: 5 }), onePod],
  ['an index', spec({ completionMode: 'Indexed', completions: 1 }), onePod],
  ['two billion retries', spec({ backoffLimit: 2_000_000_000 }), bounds],
  ['a deadline of one second', spec({ activeDeadlineSeconds: 1 }), bounds],
  ['no deadline', spec({ activeDeadlineSeconds: undefined }), bounds],
  ['evidence that goes at once', spec({ ttlSecondsAfterFinished: 0 }), bounds],
  ['evidence that stays for good', spec({ ttlSecondsAfterFinished: undefined }), bounds],
  [
    'all failures ignored',
    spec({ podFailurePolicy: { rules: [{ action: 'Ignore', onExitCodes: { operator: 'NotIn', values: [0] } }] } }),
    bounds,
  ],
  ['no rule for failures', spec({ podFailurePolicy: undefined }), bounds],
  [
    'a selector over pods of others',
    (job) => {
      Object.assign(job.spec, { manualSelector: true, selector: { matchLabels: { 'app.kubernetes.io/name': 'plumbline-runner' } } });
    },
    noOwn,
  ],
  ['suspension', spec({ suspend: true }), noOwn],
  ['another controller', spec({ managedBy: 'example.com/never' }), noOwn],
  ['a success policy', spec({ completionMode: 'Indexed', completions: 1, successPolicy: { rules: [{ succeededCount: 1 }] } }), onePod],
  ['retries by index', spec({ completionMode: 'Indexed', completions: 1, backoffLimitPerIndex: 9 }), onePod],
  ['failed indexes', spec({ completionMode: 'Indexed', completions: 1, backoffLimitPerIndex: 9, maxFailedIndexes: 1 }), onePod],
  ['a finalizer that keeps it', (job) => Object.assign(job.metadata, { finalizers: ['example.com/stay'] }), noOwner],
  [
    'an owner that is somebody else',
    (job) =>
      Object.assign(job.metadata, { ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'x', uid: cronJob.metadata.uid }] }),
    noOwner,
  ],
  [
    'an owner of the right name and another uid',
    (job) => Object.assign(job.metadata, { ownerReferences: [{ apiVersion: 'batch/v1', kind: 'CronJob', name: 'runner', uid: 'd0d0' }] }),
    noOwner,
  ],
  ['one more annotation', (job) => Object.assign(job.metadata.annotations ?? {}, { 'example.com/note': 'x' }), oneAnnotation],
  [
    'a request of 1,024 characters',
    (job) => Object.assign(job.metadata.annotations ?? {}, { 'plumbline.dev/request': 'x'.repeat(1024) }),
    oneAnnotation,
  ],
  [
    'a request of 200 KiB',
    (job) => Object.assign(job.metadata.annotations ?? {}, { 'plumbline.dev/request': 'x'.repeat(204_800) }),
    oneAnnotation,
  ],
];

describe('a Job in our namespace is refused with', () => {
  test.each(refused)('%s', async (_name, change, message) => {
    const { status, body } = await tryJob(change);
    expect(body.message).toContain(message);
    expect(body.message).toContain('plumbline-jobs');
    expect(status).toBe(422);
  });

  test('the same changes when an administrator makes them: the rule binds everyone', async () => {
    const { body } = await tryJob(
      runner((one) => Object.assign(one, { command: ['sh'] })),
      plane.api,
    );
    expect(body.message).toContain(notOurs);
    const typed = await plane.tryKubectl(['create', 'job', 'mine', '--image=busybox', '-n', 'plumbline-system']);
    expect(typed.stderr).toContain(notOurs);
  });

  test('nothing else is held to the template: other namespaces are free', async () => {
    const namespace = await plane.freshNamespace();
    const made = await plane.kubectl(['create', 'job', 'mine', '--image=busybox', '-n', namespace]);
    expect(made).toContain('job.batch/mine created');
  });
});

describe('a Job is allowed when', () => {
  test('it is the one that the App makes', async () => {
    expect(await tryJob(() => undefined)).toMatchObject({ status: 201 });
  });

  test('the App makes it through its own door, and the second request meets the first', async () => {
    const cluster = connectCluster({ kubeconfig: await plane.kubeconfigFor({ serviceAccount: app }) });
    expect(await ensureJob(cluster, pullRequest(1))).toEqual({ job: 'pr-42-1-1', created: true });
    expect(await ensureJob(cluster, pullRequest(1))).toEqual({ job: 'pr-42-1-1', created: false });
    // What the Job controller adds does not make the Job unexpected, and it starts its pod.
    const podOf = await until('the Job has a pod', 20_000, async () => {
      const list = await plane.api.ok<{ items: KubeObject[] }>(
        'GET',
        '/api/v1/namespaces/plumbline-system/pods?labelSelector=batch.kubernetes.io/job-name=pr-42-1-1',
      );
      return list.items[0];
    });
    expect(podOf['spec']).toMatchObject({ serviceAccountName: 'plumbline-runner' });
  });

  test('a person makes it with `kubectl create job --from`', async () => {
    const kubeconfig = await plane.kubeconfigFor({ serviceAccount: app });
    const made = await plane.kubectl(['create', 'job', 'by-hand', '--from=cronjob/runner', '-n', 'plumbline-system'], { kubeconfig });
    expect(made).toContain('job.batch/by-hand created');
  });

  test('the CronJob controller makes it', async () => {
    const job = await until('the CronJob made a Job', 100_000, async () => {
      const list = await plane.api.ok<{ items: KubeObject[] }>('GET', jobsPath);
      return list.items.find((one) => one.metadata.annotations?.['batch.kubernetes.io/cronjob-scheduled-timestamp'] !== undefined);
    });
    expect(job.metadata.ownerReferences).toMatchObject([{ kind: 'CronJob', name: 'runner', controller: true }]);
  });

  test('the CronJob was changed, and then only the new pod', async () => {
    const old = freshJob();
    await plane.kubectl(['set', 'env', 'cronjob/runner', '-c', 'runner', 'EXTRA=1', '-n', 'plumbline-system']);
    const cluster = connectCluster({ kubeconfig: await plane.kubeconfigFor({ serviceAccount: app }) });
    await until(
      'the new template is allowed',
      20_000,
      async () => (await ensureJob(cluster, pullRequest(2)).catch(() => undefined))?.created,
    );
    const { body } = await api.request<Status>('POST', `${jobsPath}?dryRun=All`, { body: old });
    expect(body.message).toContain(notOurs);
    cronJob = await plane.api.ok('GET', cronJobPath);
  });
});

const inSystem = '/api/v1/namespaces/plumbline-system';
const aPod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'x' }, spec: { containers: [{ name: 'x', image: 'x' }] } };
const forbidden: [string, ...Parameters<Api['request']>][] = [
  ['list Secrets of its namespace', 'GET', `${inSystem}/secrets`],
  ['read its own key', 'GET', `${inSystem}/secrets/plumbline-github`],
  ['list Secrets of all namespaces', 'GET', '/api/v1/secrets'],
  ['read settings', 'GET', `${inSystem}/configmaps/plumbline-config`],
  ['create a pod', 'POST', `${inSystem}/pods`, { body: aPod }],
  ['list pods', 'GET', `${inSystem}/pods`],
  ['run something in a pod', 'POST', `${inSystem}/pods/x/exec?command=env`],
  ['make a token of the runner', 'POST', `${inSystem}/serviceaccounts/plumbline-runner/token`, { body: { spec: {} } }],
  ['change the CronJob', 'PATCH', cronJobPath, { body: { spec: { suspend: true } }, patch: 'merge-patch+json' }],
  ['read another CronJob', 'GET', cronJobPath.replace('runner', 'other')],
  ['change a Job', 'PATCH', `${jobsPath}/pr-42-1-1`, { body: { spec: { suspend: true } }, patch: 'merge-patch+json' }],
  ['delete a Job', 'DELETE', `${jobsPath}/pr-42-1-1`],
  [
    'create a Job elsewhere',
    'POST',
    '/apis/batch/v1/namespaces/default/jobs',
    {
      body: {
        apiVersion: 'batch/v1',
        kind: 'Job',
        metadata: { name: 'x' },
        spec: { template: { spec: { ...aPod.spec, restartPolicy: 'Never' } } },
      },
    },
  ],
  ['change the policy', 'DELETE', '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/plumbline-jobs'],
  ['raise its quota', 'DELETE', `${inSystem}/resourcequotas/plumbline-jobs`],
  ['delete a namespace', 'DELETE', '/api/v1/namespaces/default'],
  [
    'change a Project',
    'PATCH',
    '/apis/plumbline.dev/v1alpha1/namespaces/default/projects/x',
    { body: { spec: {} }, patch: 'merge-patch+json' },
  ],
  ['take a Lease', 'GET', '/apis/coordination.k8s.io/v1/namespaces/plumbline-system/leases'],
];

describe('with its own token the App cannot', () => {
  test.each(forbidden)('%s', async (_name, ...request) => {
    const { status, body } = await api.request<Status>(...request);
    expect(body.message).toContain('system:serviceaccount:plumbline-system:plumbline-app');
    expect(status).toBe(403);
  });

  test('act as somebody else', async () => {
    const kubeconfig = await plane.kubeconfigFor({ serviceAccount: app });
    for (const who of ['system:serviceaccount:plumbline-system:plumbline-runner', 'system:admin']) {
      const tried = await plane.tryKubectl(['get', 'projects', '-A', `--as=${who}`], { kubeconfig });
      expect(tried).toMatchObject({ code: 1, stderr: expect.stringContaining('Forbidden') });
    }
  });

  test('do anything beyond reading Projects and making Jobs: its rights are exactly these', async () => {
    const kubeconfig = await plane.kubeconfigFor({ serviceAccount: app });
    const list = await plane.kubectl(['auth', 'can-i', '--list', '-n', 'plumbline-system', '--no-headers'], { kubeconfig });
    const rights = list.split('\n').filter((line) => !/^\s|selfsubject|selfsubjectrules/.test(line) && line.trim() !== '');
    expect(rights.map((line) => line.replace(/ {2,}/g, ' ').trim()).sort()).toEqual([
      'cronjobs.batch [] [runner] [get]',
      'jobs.batch [] [] [get list create]',
      'projects.plumbline.dev [] [] [get list watch]',
    ]);
  });
});

test("the App's own pods are let in by the Pod Security of its namespace", async () => {
  const pods = await until('both replicas have their pod', 20_000, async () => {
    const list = await plane.api.ok<{ items: KubeObject[] }>('GET', `${inSystem}/pods?labelSelector=app.kubernetes.io/name=plumbline-app`);
    return list.items.length === 2 && list.items;
  });
  expect(pods[0]?.['spec']).toMatchObject({ serviceAccountName: 'plumbline-app' });
});

describe('how many Jobs', () => {
  test('the quota refuses the next one, and says so', async () => {
    const used = (await plane.api.ok<{ items: KubeObject[] }>('GET', jobsPath)).items.length;
    const patch = { body: { spec: { hard: { 'count/jobs.batch': String(used) } } }, patch: 'merge-patch+json' } as const;
    await plane.api.ok('PATCH', `${inSystem}/resourcequotas/plumbline-jobs`, patch);
    const cluster = connectCluster({ kubeconfig: await plane.kubeconfigFor({ serviceAccount: app }) });
    const thrown = await until('the quota is full', 20_000, async () => {
      const error = await ensureJob(cluster, pullRequest(Date.now() % 1_000_000)).then(
        () => undefined,
        (caught: Error) => caught,
      );
      return error;
    });
    expect(thrown).toMatchObject({ code: 'API_FORBIDDEN', message: expect.stringContaining('exceeded quota: plumbline-jobs') });
  });
});

test('without the CronJob no Job is allowed at all', async () => {
  const job = freshJob();
  await plane.kubectl(['delete', 'cronjob', 'runner', '-n', 'plumbline-system', '--cascade=orphan']);
  await plane.kubectl(['delete', 'resourcequota', 'plumbline-jobs', '-n', 'plumbline-system']);
  const message = await until('the missing template is noticed', 20_000, async () => {
    const { status, body } = await api.request<Status>('POST', `${jobsPath}?dryRun=All`, {
      body: { ...job, metadata: { ...job.metadata, ownerReferences: [] } },
    });
    return status === 201 ? undefined : body.message;
  });
  expect(message).toMatch(/no params found for policy binding|not found/);
});
