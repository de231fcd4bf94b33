/**
 * What a work Job is for, and which Job that is. Pure.
 *
 * A request is a hint of ids only: the runner reads everything else from GitHub and the cluster itself, so whoever can write one can
 * make the runner look, and nothing more (DESIGN promise 5).
 */
import { createHash } from 'node:crypto';
import type { KubeObject } from './object.ts';

export const productNamespace = 'plumbline-system';
export const runnerCronJob = 'runner';
export const requestAnnotation = 'plumbline.dev/request';
export const keyLabel = 'plumbline.dev/key';
/** Set by the runner on its own Job before it reads anything: later deliveries need a Job of their own. */
export const startedLabel = 'plumbline.dev/started';

export type WorkRequest =
  | { kind: 'pull'; installation: number; repository: number; number: number }
  | { kind: 'ref'; installation: number; repository: number; ref: string }
  | { kind: 'issue'; installation: number; repository: number; number: number }
  | { kind: 'button'; installation: number; repository: number; delivery: string }
  | { kind: 'project'; namespace: string; name: string };

/** One Job at a time waits per key (notes: platform 5). Valid as a label value and, with `-N`, as a Job's name (at most 63). */
export function keyOfWork(request: WorkRequest): string {
  switch (request.kind) {
    case 'pull':
      return `pr-${request.repository}-${request.number}`;
    case 'issue':
      return `issue-${request.repository}-${request.number}`;
    case 'ref':
      return `ref-${request.repository}-${shortHash(request.ref)}`;
    case 'button':
      return `act-${shortHash(request.delivery)}`;
    case 'project':
      return `project-${shortHash(`${request.namespace}/${request.name}`)}`;
  }
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 10);
}

/** The request in a Job's annotation; undefined when there is none or it is not one of ours: then the Job is a plain tick. */
export function readWorkRequest(annotation: string | undefined): WorkRequest | undefined {
  if (annotation === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(annotation);
  } catch {
    return undefined;
  }
  return isWorkRequest(value) ? value : undefined;
}

function isWorkRequest(value: unknown): value is WorkRequest {
  if (typeof value !== 'object' || value === null) return false;
  const { kind, installation, repository, number, ref, delivery, namespace, name } = value as Record<string, unknown>;
  if (kind === 'project') return isName(namespace) && isName(name);
  if (!isId(installation) || !isId(repository)) return false;
  if (kind === 'pull' || kind === 'issue') return isId(number);
  if (kind === 'ref') return typeof ref === 'string' && ref.startsWith('refs/');
  return kind === 'button' && typeof delivery === 'string' && delivery !== '';
}

const isId = (value: unknown) => Number.isSafeInteger(value) && (value as number) > 0;
const isName = (value: unknown) => typeof value === 'string' && /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(value);

/**
 * Which Job serves a key: one that waits and has not read anything yet covers the request; else the next number is to be made.
 * A Job is covering only until it marks itself started, so whatever happened before this look is seen by it.
 */
export function jobFor(key: string, jobs: KubeObject[]): { covered: string } | { create: string } {
  const own = jobs.filter((job) => job.metadata.labels?.[keyLabel] === key);
  const waiting = own.find((job) => !job.metadata.labels?.[startedLabel] && !job.metadata.deletionTimestamp && !isFinished(job));
  if (waiting) return { covered: waiting.metadata.name };
  const numbers = own.map((job) => Number(/-(\d+)$/.exec(job.metadata.name)?.[1] ?? 0));
  return { create: `${key}-${Math.max(0, ...numbers) + 1}` };
}

function isFinished(job: KubeObject): boolean {
  const status = job['status'] as { conditions?: { type: string; status: string }[] } | undefined;
  const ended = ['Complete', 'Failed', 'FailureTarget', 'SuccessCriteriaMet'];
  return (status?.conditions ?? []).some((condition) => ended.includes(condition.type) && condition.status === 'True');
}

/** The Job as `kubectl create job --from=cronjob/runner` makes it, plus what it is for. The API server refuses any other. */
export function jobOf(cronJob: KubeObject, name: string, request: WorkRequest): KubeObject {
  const template = (cronJob['spec'] as { jobTemplate: { metadata?: { labels?: Record<string, string> }; spec: unknown } }).jobTemplate;
  const key = keyOfWork(request);
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name,
      namespace: cronJob.metadata.namespace ?? productNamespace,
      labels: { ...template.metadata?.labels, [keyLabel]: key },
      annotations: { [requestAnnotation]: JSON.stringify(request) },
      // controller: false, or the CronJob controller reports the Job as unexpected and counts it in its history.
      ownerReferences: [
        { apiVersion: 'batch/v1', kind: 'CronJob', name: cronJob.metadata.name, uid: cronJob.metadata.uid ?? '', controller: false },
      ],
    },
    spec: template.spec,
  };
}

/** A merge queue's branch: `refs/heads/gh-readonly-queue/BASE/pr-NUMBER-SHA`. */
export function mergeGroupOf(ref: string): { baseRef: string; number: number } | undefined {
  const match = /^refs\/heads\/gh-readonly-queue\/(.+)\/pr-(\d+)-[0-9a-f]{40}$/.exec(ref);
  return match?.[1] && match[2] ? { baseRef: match[1], number: Number(match[2]) } : undefined;
}
