/**
 * Asks the API server what it would say to every step of a plan, and learns from the answers which fields may be taken, which steps
 * change anything, and what cannot be known yet.
 */
import type { Applied, Cluster } from '../cluster.ts';
import { type ApiRefusal, refusalOf } from '../cluster-error.ts';
import { type Fault, type Finding, faultOf, finding, isPlumblineError, PlumblineError } from '../error.ts';
import { canonicalJson, type KubeObject, nameOf, refOf } from '../object.ts';
import { fieldManagerOf, type Project } from '../project.ts';
import { each } from './each.ts';
import { heldBefore, ownedFields } from './managed-fields.ts';
import type { Apply, Plan } from './plan.ts';

/** An object as the dry run left it, and as it is. `changes`: an apply would write something, be it only that the fields are ours again. */
export type Tried = { apply: Apply; live: KubeObject | undefined; result: KubeObject; force: boolean; changes: boolean };
export type DryRun = { tried: Tried[]; refused: Finding[]; warnings: Finding[]; unknown: Apply[] };
const CONCURRENT = 8;

/** Asks the API server what it would say to every step, deletions too. One refusal: nothing may be applied. */
export async function dryRun(plan: Plan, project: Project, account: Cluster): Promise<DryRun> {
  const outcome: DryRun = { tried: [], refused: [], warnings: [], unknown: [] };
  const brought = broughtBy(plan);
  await each(
    plan.applies.filter((one) => one.action !== 'skip'),
    CONCURRENT,
    async (apply) => {
      try {
        const { object, warnings, force } = await tryApply(apply, project, account);
        outcome.tried.push({
          apply,
          live: apply.live,
          result: object,
          force,
          changes: wouldChange(apply.live, object, fieldManagerOf(project)),
        });
        for (const text of warnings)
          outcome.warnings.push(finding('warning', 'API_WARNING', `${nameOf(refOf(object))}: ${text}`, { at: placeOf(apply) }));
      } catch (error) {
        if (!isPlumblineError(error) || error.retry === 'later') throw error;
        if (brought.explains(error, apply)) outcome.unknown.push(apply);
        else outcome.refused.push(refused(error, apply));
      }
    },
  );
  await each(plan.prunes, CONCURRENT, async (prune) => {
    try {
      await account.delete(refOf(prune.live), { uid: prune.live.metadata.uid ?? '', dryRun: true });
    } catch (error) {
      if (!isPlumblineError(error) || error.retry === 'later') throw error;
      outcome.refused.push({ ...faultOf(error), severity: 'error' });
    }
  });
  return outcome;
}

function wouldChange(live: KubeObject | undefined, result: KubeObject, manager: string): boolean {
  if (!live || live.metadata.deletionTimestamp) return true;
  return contentOf(live) !== contentOf(result) || ownedFields(live, manager).paths !== ownedFields(result, manager).paths;
}

/** Everything but what the server counts and signs, and the status: its controller may have moved it between the two answers. */
function contentOf({ status: _, ...object }: KubeObject): string {
  const { managedFields: __, resourceVersion: ___, generation: ____, ...metadata } = object.metadata;
  return canonicalJson({ ...object, metadata });
}

/** What the same set brings, and so cannot be known to a dry run yet. */
function broughtBy(plan: Plan) {
  const objects = plan.applies.map((one) => one.desired.object);
  const has = (kind: string) => objects.some((object) => object.kind === kind);
  const namespaces = new Set(objects.filter((object) => object.kind === 'Namespace').map((object) => object.metadata.name));
  return {
    explains(error: PlumblineError, { desired: { object } }: Apply): boolean {
      if (error.code === 'NAMESPACE_NOT_FOUND') return namespaces.has(object.metadata.namespace ?? '');
      if (error.code === 'KIND_NOT_SERVED' || (error.code === 'API_INVALID' && refusalOf(error)?.status === 500)) {
        return has('CustomResourceDefinition') && object.kind !== 'CustomResourceDefinition';
      }
      if (error.code === 'API_NOT_FOUND' && object.kind.endsWith('RoleBinding')) return has('Role') || has('ClusterRole');
      return error.code === 'API_FORBIDDEN' && object.kind === 'Pod' && (has('ServiceAccount') || has('PriorityClass'));
    },
  };
}

/**
 * A field that we held at the last apply and somebody took since is drift, and taken back. One that we never held is theirs: a conflict.
 * A field of another Project is never taken.
 */
async function tryApply(apply: Apply, project: Project, account: Cluster): Promise<Applied & { force: boolean }> {
  const attempt = async (force: boolean) => ({
    ...(await account.apply(apply.desired.object, { manager: fieldManagerOf(project), force, dryRun: true })),
    force,
  });
  try {
    return await attempt(false);
  } catch (error) {
    const refusal = refusalOf(error);
    if (!isPlumblineError(error) || error.code !== 'API_CONFLICT' || !apply.live || !refusal?.managers.length) throw error;
    const conflict = conflictOf(refusal, apply, apply.live, project);
    if (conflict) throw conflict;
    return attempt(true);
  }
}

function conflictOf(refusal: ApiRefusal, apply: Apply, live: KubeObject, project: Project): PlumblineError | undefined {
  const name = nameOf(refOf(live));
  const rival = refusal.managers.find((manager) => manager.startsWith('plumbline:') && manager !== fieldManagerOf(project));
  if (rival)
    return new PlumblineError('OBJECT_OF_ANOTHER_PROJECT', `${name} is also written by ${rival}`, {
      hint: 'remove it from one of the two',
    });
  const owned = apply.entry?.uid === live.metadata.uid ? (apply.entry?.owned ?? '') : '';
  const theirs = refusal.fields.filter((field) => !heldBefore(owned, field));
  const [first] = theirs;
  if (first === undefined) return undefined;
  const managers = [...new Set(refusal.managers)].join(', ');
  return new PlumblineError('FIELD_CONFLICT', `${name}: ${theirs.join(', ')} ${theirs.length === 1 ? 'is' : 'are'} held by ${managers}`, {
    hint: `remove that from Git, or let ${managers} give it up`,
    at: { object: name, field: first },
  });
}

export function refused(error: unknown, apply: Apply): Finding {
  const fault: Fault = faultOf(error);
  return finding('error', fault.code, fault.message, {
    ...(fault.hint ? { hint: fault.hint } : {}),
    at: { ...fault.at, ...placeOf(apply) },
  });
}

function placeOf({ desired }: Apply) {
  return { file: desired.source.file, line: desired.source.line, object: nameOf(refOf(desired.object)) };
}
