/**
 * How an object is: one pure function of the object alone. Argo CD's verdict for the kinds it knows, kstatus' rules for the rest
 * (SPEC 4; notes: engine 12). Whether a sync waits for it is another question.
 */
import type { KubeObject } from '../object.ts';

export type Health = 'Healthy' | 'Progressing' | 'Degraded' | 'Suspended' | 'Missing' | 'Unknown';
export type HealthVerdict = { health: Health; reason: string };

type Condition = { type: string; status: string; reason?: string; message?: string };
type Fields = Record<string, unknown>;

const healthy: HealthVerdict = { health: 'Healthy', reason: '' };
const verdict = (health: Health, reason: string): HealthVerdict => ({ health, reason });

export function healthOf(object: KubeObject): HealthVerdict {
  if (object.metadata.deletionTimestamp) {
    const held = object.metadata.finalizers ?? [];
    return verdict('Progressing', held.length > 0 ? `is being deleted, held by ${held.join(', ')}` : 'is being deleted');
  }
  const rule = rules[object.kind];
  const status = fields(object['status']);
  const observed = status['observedGeneration'];
  if (typeof observed === 'number' && observed < (object.metadata.generation ?? 0))
    return verdict('Progressing', 'its controller has not seen the last change');
  return rule ? rule(fields(object['spec']), status) : byConditions(status);
}

/** Worst first. */
const order: Health[] = ['Degraded', 'Missing', 'Unknown', 'Progressing', 'Suspended', 'Healthy'];

/** The worst of a project's objects; a project of nothing is healthy. */
export function worstHealth(all: Health[]): Health {
  return order.find((health) => all.includes(health)) ?? 'Healthy';
}

const rules: Record<string, (spec: Fields, status: Fields) => HealthVerdict> = {
  Deployment(spec, status) {
    if (spec['paused'] === true) return verdict('Suspended', 'the Deployment is paused');
    const stuck = conditionsOf(status).find((one) => one.type === 'Progressing' && one.reason === 'ProgressDeadlineExceeded');
    if (stuck) return verdict('Degraded', stuck.message ?? 'the progress deadline is exceeded');
    const wanted = count(spec['replicas'], 1);
    if (count(status['updatedReplicas']) < wanted)
      return verdict('Progressing', `${count(status['updatedReplicas'])} of ${wanted} replicas updated`);
    if (count(status['replicas']) > count(status['updatedReplicas'])) return verdict('Progressing', 'old replicas are still there');
    if (count(status['availableReplicas']) < wanted)
      return verdict('Progressing', `${count(status['availableReplicas'])} of ${wanted} replicas available`);
    return healthy;
  },
  StatefulSet(spec, status) {
    const wanted = count(spec['replicas'], 1);
    if (count(status['readyReplicas']) < wanted)
      return verdict('Progressing', `${count(status['readyReplicas'])} of ${wanted} replicas ready`);
    const isRolling = fields(spec['updateStrategy'])['type'] !== 'OnDelete';
    if (isRolling && status['updateRevision'] !== status['currentRevision']) return verdict('Progressing', 'the update is rolling out');
    return healthy;
  },
  DaemonSet(_, status) {
    const wanted = count(status['desiredNumberScheduled']);
    if (count(status['updatedNumberScheduled']) < wanted)
      return verdict('Progressing', `${count(status['updatedNumberScheduled'])} of ${wanted} pods updated`);
    if (count(status['numberAvailable']) < wanted)
      return verdict('Progressing', `${count(status['numberAvailable'])} of ${wanted} pods available`);
    return healthy;
  },
  ReplicaSet(spec, status) {
    const wanted = count(spec['replicas'], 1);
    return count(status['availableReplicas']) < wanted
      ? verdict('Progressing', `${count(status['availableReplicas'])} of ${wanted} replicas available`)
      : healthy;
  },
  Job(spec, status) {
    const failed = isTrue(status, 'Failed');
    if (failed) return verdict('Degraded', failed.message ?? 'the Job failed');
    if (isTrue(status, 'Complete')) return healthy;
    return spec['suspend'] === true ? verdict('Suspended', 'the Job is suspended') : verdict('Progressing', 'the Job is running');
  },
  CronJob: (spec) => (spec['suspend'] === true ? verdict('Suspended', 'the CronJob is suspended') : healthy),
  Pod(_, status) {
    const phase = status['phase'];
    if (phase === 'Succeeded' || (phase === 'Running' && isTrue(status, 'Ready'))) return healthy;
    return phase === 'Failed'
      ? verdict('Degraded', String(status['message'] ?? 'the pod failed'))
      : verdict('Progressing', `the pod is ${phase ?? 'not started'}`);
  },
  PersistentVolumeClaim(_, status) {
    if (status['phase'] === 'Bound') return healthy;
    return status['phase'] === 'Lost' ? verdict('Degraded', 'its volume is lost') : verdict('Progressing', 'no volume is bound yet');
  },
  Service(spec, status) {
    if (spec['type'] !== 'LoadBalancer') return healthy;
    return hasAddress(status) ? healthy : verdict('Progressing', 'no address yet');
  },
  Ingress: (_, status) => (hasAddress(status) ? healthy : verdict('Progressing', 'no address yet')),
  HorizontalPodAutoscaler(_, status) {
    const blind = conditionsOf(status).find((one) => one.type === 'ScalingActive' && one.status === 'False');
    return blind ? verdict('Progressing', `no metrics yet: ${blind.reason ?? ''}`) : healthy;
  },
  CustomResourceDefinition: (_, status) => (isTrue(status, 'Established') ? healthy : verdict('Progressing', 'the API is not served yet')),
  Namespace: (_, status) => (status['phase'] === 'Terminating' ? verdict('Progressing', 'is being deleted') : healthy),
};

/** kstatus: Stalled, Reconciling, then Ready; without conditions an object is as it should be. */
function byConditions(status: Fields): HealthVerdict {
  const stalled = isTrue(status, 'Stalled');
  if (stalled) return verdict('Degraded', stalled.message ?? 'stalled');
  const reconciling = isTrue(status, 'Reconciling');
  if (reconciling) return verdict('Progressing', reconciling.message ?? 'reconciling');
  const ready = conditionsOf(status).find((one) => one.type === 'Ready' || one.type === 'Available');
  if (!ready || ready.status === 'True') return healthy;
  return verdict('Progressing', ready.message ?? `${ready.type} is ${ready.status}`);
}

function isTrue(status: Fields, type: string): Condition | undefined {
  return conditionsOf(status).find((one) => one.type === type && one.status === 'True');
}

function conditionsOf(status: Fields): Condition[] {
  return Array.isArray(status['conditions']) ? (status['conditions'] as Condition[]) : [];
}

function hasAddress(status: Fields): boolean {
  const ingress = fields(status['loadBalancer'])['ingress'];
  return Array.isArray(ingress) && ingress.length > 0;
}

const count = (value: unknown, otherwise = 0): number => (typeof value === 'number' ? value : otherwise);
const fields = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {});
