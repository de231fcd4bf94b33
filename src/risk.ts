/** Which changes deserve a second look before a merge (SPEC 6), worst first. Pure. */
import type { ChangeSet, FieldChange, ImageChange, ObjectChange } from './diff.ts';
import { groupOf, nameOf, type ObjectRef, valueAt } from './object.ts';

export type RiskKind =
  | 'data removed'
  | 'object removed'
  | 'immutable field'
  | 'replicas to 0'
  | 'rights widened'
  | 'exposed'
  | 'image downgrade';

/** `message` is in our words, `detail` may hold a stranger's. `pointer`: the field in the newer object that brings it. */
export type Risk = { kind: RiskKind; ref: ObjectRef; message: string; detail?: string; pointer?: string; change: ObjectChange };

type Found = Omit<Risk, 'change'>;

const order: readonly RiskKind[] = [
  'data removed',
  'object removed',
  'immutable field',
  'rights widened',
  'exposed',
  'replicas to 0',
  'image downgrade',
];

/** Kinds that take something along which no sync brings back. */
const holdData = new Set(['/Namespace', '/PersistentVolume', '/PersistentVolumeClaim', 'apiextensions.k8s.io/CustomResourceDefinition']);

/** What the API server refuses to change on an object that is there: kind to fields (API reference of each kind). */
const immutable: Readonly<Record<string, RegExp>> = {
  'apps/Deployment': /^\/spec\/selector(\/|$)/,
  'apps/DaemonSet': /^\/spec\/selector(\/|$)/,
  'apps/ReplicaSet': /^\/spec\/selector(\/|$)/,
  'apps/StatefulSet':
    /^\/spec\/(?!replicas|ordinals|template|updateStrategy|revisionHistoryLimit|persistentVolumeClaimRetentionPolicy|minReadySeconds)/,
  'batch/Job': /^\/spec\/(selector|template|completions|completionMode|podFailurePolicy)(\/|$)/,
  '/Service': /^\/spec\/clusterIPs?(\/|$)/,
  '/PersistentVolumeClaim': /^\/spec\/(?!resources\/requests|volumeAttributesClassName)/,
  '/Secret': /^\/type$/,
  'rbac.authorization.k8s.io/RoleBinding': /^\/roleRef(\/|$)/,
  'rbac.authorization.k8s.io/ClusterRoleBinding': /^\/roleRef(\/|$)/,
  'storage.k8s.io/StorageClass': /^\/(provisioner|parameters|reclaimPolicy|volumeBindingMode)(\/|$)/,
  'scheduling.k8s.io/PriorityClass': /^\/(value|preemptionPolicy)$/,
};

export function risksOf({ changes, images }: ChangeSet): Risk[] {
  const risks = changes.flatMap((change) => {
    const found = [...removed(change), ...fieldRisks(change), ...rights(change), ...exposure(change), ...downgrades(change, images)];
    return found.map((one): Risk => ({ ...one, change }));
  });
  return risks.sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind) || (nameOf(a.ref) < nameOf(b.ref) ? -1 : 1));
}

function downgrades({ ref }: ObjectChange, images: readonly ImageChange[]): Found[] {
  const older = images.filter((image) => image.ref === ref && isDowngrade(image.was, image.is));
  return older.map(({ pointer, was, is }) => {
    const detail = `${tagOf(was)} → ${tagOf(is)}`;
    return { kind: 'image downgrade', ref, pointer, message: 'goes back to an older version', detail };
  });
}

/** `v1.4.1` of `ghcr.io/acme/api:v1.4.1`; a short digest where there is no tag. */
export function tagOf(image: string): string {
  const [named = '', digest] = image.split('@', 2);
  const tag = /:([A-Za-z0-9_][\w.-]{0,127})$/.exec(named)?.[1];
  return tag ?? (digest ? digest.slice(0, 19) : 'latest');
}

function kindOf(ref: ObjectRef): string {
  return `${groupOf(ref.apiVersion)}/${ref.kind}`;
}

function removed({ kind, ref }: ObjectChange): Found[] {
  if (kind !== 'removed') return [];
  if (holdData.has(kindOf(ref))) return [{ kind: 'data removed', ref, message: 'is removed with everything it holds' }];
  return [{ kind: 'object removed', ref, message: 'is removed' }];
}

function fieldRisks({ kind, ref, before, fields }: ObjectChange): Found[] {
  if (kind !== 'changed') return [];
  const locked = immutable[kindOf(ref)];
  const frozen = valueAt(before, '/immutable') === true;
  const risks: Found[] = [];
  const fixed = fields.find(({ pointer }) => locked?.test(pointer) || (frozen && /^\/(data|binaryData|immutable)(\/|$)/.test(pointer)));
  if (fixed)
    risks.push({
      kind: 'immutable field',
      ref,
      pointer: fixed.pointer,
      message: 'changes a field that Kubernetes keeps as it is on an object that exists',
      detail: fixed.path,
    });
  const stopped = fields.find((change) => change.pointer === '/spec/replicas' && change.is === 0);
  if (stopped) risks.push({ kind: 'replicas to 0', ref, pointer: stopped.pointer, message: 'is scaled to 0 replicas' });
  return risks;
}

type Rule = { groups: string[]; resources: string[]; verbs: string[] };

function rights(change: ObjectChange): Found[] {
  const { ref, before, after } = change;
  if (groupOf(ref.apiVersion) !== 'rbac.authorization.k8s.io' || !after) return [];
  if (ref.kind.endsWith('Binding')) {
    const had = new Set(listAt(before, '/subjects').map((subject) => JSON.stringify(subject)));
    const fresh = listAt(after, '/subjects').some((subject) => !had.has(JSON.stringify(subject)));
    return fresh ? [{ kind: 'rights widened', ref, pointer: '/subjects', message: 'gives its role to more subjects' }] : [];
  }
  const granted = listAt(before, '/rules').map(ruleOf);
  const wider = listAt(after, '/rules').findIndex((rule) => !isCovered(ruleOf(rule), granted));
  return wider < 0 ? [] : [{ kind: 'rights widened', ref, pointer: `/rules/${wider}`, message: 'allows more than before' }];
}

function ruleOf(rule: unknown): Rule {
  const texts = (pointer: string): string[] => listAt(rule, pointer).map(String);
  const resources = texts('/resources');
  const names = texts('/resourceNames');
  const named = names.length === 0 ? resources : resources.flatMap((resource) => names.map((name) => `${resource}:${name}`));
  return { groups: texts('/apiGroups'), resources: [...named, ...texts('/nonResourceURLs')], verbs: texts('/verbs') };
}

/** Every single right of a rule stands in one of those that were there. */
function isCovered(rule: Rule, granted: readonly Rule[]): boolean {
  const holds = (list: string[], wanted: string): boolean =>
    list.includes('*') || list.includes(wanted) || (wanted.includes(':') && list.includes(wanted.slice(0, wanted.indexOf(':'))));
  const groups = rule.groups.length === 0 ? [''] : rule.groups;
  return groups.every((group) =>
    rule.resources.every((resource) =>
      rule.verbs.every((verb) =>
        granted.some(
          (one) => holds(one.groups.length === 0 ? [''] : one.groups, group) && holds(one.resources, resource) && holds(one.verbs, verb),
        ),
      ),
    ),
  );
}

function exposure({ kind, ref, after, fields }: ObjectChange): Found[] {
  const what = kindOf(ref);
  const opens =
    what === 'networking.k8s.io/Ingress' || what === 'gateway.networking.k8s.io/Gateway' || what === 'gateway.networking.k8s.io/HTTPRoute';
  if (kind === 'added' && opens) return [{ kind: 'exposed', ref, message: 'is new and may be reached from outside' }];
  if (what !== '/Service') return [];
  const type = valueAt(after, '/spec/type');
  const changed = kind === 'added' || fields.some((change: FieldChange) => change.pointer === '/spec/type');
  if (!changed || (type !== 'LoadBalancer' && type !== 'NodePort')) return [];
  return [{ kind: 'exposed', ref, pointer: '/spec/type', message: `is a ${type} and may be reached from outside` }];
}

/** Same repository, and a lower version by its numbers. */
function isDowngrade(was: string, is: string): boolean {
  const repository = (image: string): string => image.split('@', 1)[0]?.replace(/:[\w.-]+$/, '') ?? '';
  const [before, after] = [versionOf(was), versionOf(is)];
  if (repository(was) !== repository(is) || !before || !after) return false;
  for (let index = 0; index < Math.max(before.length, after.length); index += 1) {
    const difference = (after[index] ?? 0) - (before[index] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

function versionOf(image: string): number[] | undefined {
  const numbers = /^v?(\d{1,9}(?:\.\d{1,9}){1,3})(?:[-+].*)?$/.exec(tagOf(image))?.[1];
  return numbers?.split('.').map(Number);
}

function listAt(value: unknown, pointer: string): unknown[] {
  const list = valueAt(value, pointer);
  return Array.isArray(list) ? list : [];
}
