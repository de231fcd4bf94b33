/**
 * How an object is: one pure function of the object alone. Argo CD's verdict for the kinds it knows, kstatus' rules for the rest
 * (SPEC 4; notes: engine 12). Whether a sync waits for it is another question.
 */
import { groupOf, type KubeObject } from '../object.ts';

export type Health = 'Healthy' | 'Progressing' | 'Degraded' | 'Suspended' | 'Missing' | 'Unknown';
export type HealthVerdict = { health: Health; reason: string };

type Condition = { type: string; status: string; reason?: string; message?: string };
type Fields = Record<string, unknown>;
type Rule = (spec: Fields, status: Fields) => HealthVerdict;
type Rules = Record<string, Rule>;

const healthy: HealthVerdict = { health: 'Healthy', reason: '' };
const verdict = (health: Health, reason: string): HealthVerdict => ({ health, reason });

export function healthOf(object: KubeObject): HealthVerdict {
  if (object.metadata.deletionTimestamp) {
    const held = object.metadata.finalizers ?? [];
    return verdict('Progressing', held.length > 0 ? `is being deleted, held by ${held.join(', ')}` : 'is being deleted');
  }
  const rule = rules.get(`${groupOf(object.apiVersion)}/${object.kind}`);
  const status = fields(object['status']);
  // What a controller has never seen says nothing yet, and reads as "0 of 0 pods".
  const observed = count(status['observedGeneration'], observesAlways.has(object.kind) && rule ? 0 : Number.POSITIVE_INFINITY);
  if (observed < (object.metadata.generation ?? 0)) return verdict('Progressing', 'its controller has not seen the last change');
  return rule ? rule(fields(object['spec']), status) : byConditions(status);
}

/** Worst first. */
const order: Health[] = ['Degraded', 'Missing', 'Unknown', 'Progressing', 'Suspended', 'Healthy'];

/** The worst of a project's objects; a project of nothing is healthy. */
export function worstHealth(all: Health[]): Health {
  return order.find((health) => all.includes(health)) ?? 'Healthy';
}

const observesAlways = new Set(['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet']);

const apps: Rules = {
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
    const strategy = fields(spec['updateStrategy']);
    if (strategy['type'] === 'OnDelete') return healthy;
    const partition = count(fields(strategy['rollingUpdate'])['partition']);
    // Below the partition the old revision stays on purpose.
    if (partition > 0) {
      const updated = count(status['updatedReplicas']);
      return updated < wanted - partition ? verdict('Progressing', `${updated} of ${wanted - partition} replicas updated`) : healthy;
    }
    if (status['updateRevision'] !== status['currentRevision']) return verdict('Progressing', 'the update is rolling out');
    return healthy;
  },
  DaemonSet(spec, status) {
    const wanted = count(status['desiredNumberScheduled']);
    if (fields(spec['updateStrategy'])['type'] === 'OnDelete') return healthy;
    if (count(status['updatedNumberScheduled']) < wanted)
      return verdict('Progressing', `${count(status['updatedNumberScheduled'])} of ${wanted} pods updated`);
    if (count(status['numberAvailable']) < wanted)
      return verdict('Progressing', `${count(status['numberAvailable'])} of ${wanted} pods available`);
    return healthy;
  },
  ReplicaSet(spec, status) {
    const failure = isTrue(status, 'ReplicaFailure');
    if (failure) return verdict('Degraded', failure.message ?? 'its pods cannot be made');
    const wanted = count(spec['replicas'], 1);
    return count(status['availableReplicas']) < wanted
      ? verdict('Progressing', `${count(status['availableReplicas'])} of ${wanted} replicas available`)
      : healthy;
  },
};

const batch: Rules = {
  Job(spec, status) {
    const failed = isTrue(status, 'Failed');
    if (failed) return verdict('Degraded', failed.message ?? 'the Job failed');
    if (isTrue(status, 'Complete')) return healthy;
    return spec['suspend'] === true ? verdict('Suspended', 'the Job is suspended') : verdict('Progressing', 'the Job is running');
  },
  CronJob: (spec) => (spec['suspend'] === true ? verdict('Suspended', 'the CronJob is suspended') : healthy),
};

const core: Rules = {
  Pod(spec, status) {
    const phase = status['phase'];
    const stuck = (spec['restartPolicy'] ?? 'Always') === 'Always' ? waitingFor(status) : undefined;
    if (stuck) return verdict('Degraded', stuck);
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
  Namespace: (_, status) => (status['phase'] === 'Terminating' ? verdict('Progressing', 'is being deleted') : healthy),
};

const networking: Rules = {
  Ingress: (_, status) => (hasAddress(status) ? healthy : verdict('Progressing', 'no address yet')),
};

const autoscaling: Rules = {
  HorizontalPodAutoscaler(_, status) {
    const blind = conditionsOf(status).find((one) => one.type === 'ScalingActive' && one.status === 'False');
    return blind ? verdict('Progressing', `no metrics yet: ${blind.reason ?? ''}`) : healthy;
  },
};

const apiextensions: Rules = {
  CustomResourceDefinition(_, status) {
    const refused = conditionsOf(status).find((one) => one.type === 'NamesAccepted' && one.status === 'False');
    if (refused) return verdict('Degraded', refused.message ?? 'its names are taken');
    return isTrue(status, 'Established') ? healthy : verdict('Progressing', 'the API is not served yet');
  },
};

/** By group and kind: a Knative Service is no core Service. */
const rules = new Map<string, Rule>(
  Object.entries({
    '': core,
    apps,
    batch,
    autoscaling,
    'networking.k8s.io': networking,
    'apiextensions.k8s.io': apiextensions,
  }).flatMap(([group, kinds]) => Object.entries(kinds).map(([kind, rule]): [string, Rule] => [`${group}/${kind}`, rule])),
);

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
  const { conditions } = status;
  if (!Array.isArray(conditions)) return [];
  return conditions.filter((one): one is Condition => typeof one === 'object' && one !== null);
}

/** Why a container cannot start, where trying again has not helped: `web: ImagePullBackOff`. */
function waitingFor(status: Fields): string | undefined {
  const all = [status['initContainerStatuses'], status['containerStatuses']].flatMap((list) => (Array.isArray(list) ? list : []));
  for (const one of all.map(fields)) {
    const reason = fields(fields(one['state'])['waiting'])['reason'];
    if (typeof reason === 'string' && /^Err|Error$|BackOff$/.test(reason)) return `${one['name']}: ${reason}`;
  }
  return undefined;
}

function hasAddress(status: Fields): boolean {
  const ingress = fields(status['loadBalancer'])['ingress'];
  return Array.isArray(ingress) && ingress.length > 0;
}

const count = (value: unknown, otherwise = 0): number => (typeof value === 'number' ? value : otherwise);
const fields = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {});
