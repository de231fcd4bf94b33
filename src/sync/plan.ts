/**
 * What a sync would do, as data: decided here without touching anything, carried out in `run.ts`.
 *
 * Nothing is deleted unless label, inventory and uid agree that it is ours (SPEC 4), and never because something could not be read.
 */
import { createHash } from 'node:crypto';
import { type Finding, finding } from '../error.ts';
import { type KubeObject, keyOf, nameOf, refOf } from '../object.ts';
import { applySetOf, approveAnnotation, fieldManagerOf, type Project } from '../project.ts';
import { applySetLabel, type Desired } from './desired.ts';
import { type Inventory, type InventoryEntry, refOfEntry } from './inventory.ts';

/** `create`: not there. `update`: there, and different or not proven equal. `skip`: nobody has written since we applied exactly this. */
export type Apply = {
  action: 'create' | 'update' | 'skip';
  desired: Desired;
  live: KubeObject | undefined;
  entry: InventoryEntry | undefined;
  reason: string;
};
export type Prune = { entry: InventoryEntry; live: KubeObject; reason: string };
/** An inventory entry whose object is not ours to delete any more, or is gone: it leaves the inventory. */
export type Forget = { entry: InventoryEntry; reason: string };
/** Deletions that wait for a person: `key` names exactly these objects, by uid. */
export type Held = { key: string; prunes: Prune[]; reason: string };

/** `leaving`: left Git and is being deleted already; there is nothing to send, only to wait for. */
export type Plan = {
  applies: Apply[];
  prunes: Prune[];
  leaving: Prune[];
  kept: Prune[];
  forget: Forget[];
  held: Held | undefined;
  findings: Finding[];
};

export type PlanInput = {
  project: Project;
  desired: Desired[];
  inventory: Inventory;
  /** Live objects by id: every desired one and every inventory entry was asked for; absent means the API server said so. */
  live: Map<string, KubeObject>;
};

/** `plumbline.dev/prune: disabled` on an object keeps it when it leaves Git. */
export const pruneAnnotation = 'plumbline.dev/prune';

/** Objects that hold data or whole worlds of other objects. */
const alwaysAsk = new Set(['Namespace', 'CustomResourceDefinition', 'PersistentVolume', 'PersistentVolumeClaim']);

export function planSync({ project, desired, inventory, live }: PlanInput): Plan {
  const findings: Finding[] = [];
  const wanted = new Set(desired.map((one) => one.id));
  const applies = desired.flatMap((one) => {
    const refusal = foreignOwner(one, live.get(one.id), project);
    if (refusal) findings.push(refusal);
    return refusal ? [] : [planApply(one, live.get(one.id), inventory.entries.get(one.id))];
  });
  if (desired.length === 0 && inventory.entries.size > 0 && !project.policy.allowEmpty) {
    findings.push(
      finding(
        'error',
        'NOTHING_RENDERED',
        `${project.source.path || '/'} holds no objects, and ${inventory.entries.size} were applied before`,
        {
          hint: 'correct spec.source.path, or set syncPolicy.allowEmpty: true if everything is to go',
        },
      ),
    );
  }
  const left = leftOver(project, inventory, wanted, live);
  if (!inventory.complete) {
    findings.push(
      finding('warning', 'INVENTORY_INCOMPLETE', 'a part of the inventory is missing, so nothing is deleted', {
        hint: 'objects that left Git before this sync stay; delete them by hand if they are no longer wanted',
      }),
    );
    return { applies, prunes: [], leaving: [], kept: left.prunes, forget: [], held: undefined, findings };
  }
  const { kept, forget } = left;
  if (!project.policy.prune)
    return { applies, prunes: [], leaving: [], kept: [...left.prunes, ...kept], forget, held: undefined, findings };
  const leaving = left.prunes.filter((one) => one.live.metadata.deletionTimestamp !== undefined);
  const staying = left.prunes.filter((one) => !leaving.includes(one));
  const { prunes, held } = withinBudget(project, staying, inventory.entries.size, desired.length);
  return { applies, prunes: inDeletionOrder(prunes), leaving, kept, forget, held, findings };
}

function planApply(desired: Desired, live: KubeObject | undefined, entry: InventoryEntry | undefined): Apply {
  const step = { desired, live, entry };
  if (!live) return { ...step, action: 'create', reason: entry?.uid ? 'it is gone' : 'it is new' };
  if (live.metadata.deletionTimestamp) return { ...step, action: 'update', reason: 'it is being deleted' };
  // Of a Secret no hash of its values is kept, so only the API server can tell whether Git has changed them.
  const untouched =
    live.kind !== 'Secret' &&
    entry?.uid === live.metadata.uid &&
    entry?.resourceVersion === live.metadata.resourceVersion &&
    entry?.desired === desired.hash;
  if (untouched) return { ...step, action: 'skip', reason: 'nobody has written to it since it was applied' };
  if (!entry) return { ...step, action: 'update', reason: 'it was there before' };
  return { ...step, action: 'update', reason: entry.desired === desired.hash ? 'somebody has written to it' : 'Git has changed' };
}

/** The label is a lock between Projects: what another one has applied is never taken. */
function foreignOwner(desired: Desired, live: KubeObject | undefined, project: Project): Finding | undefined {
  const owner = live?.metadata.labels?.[applySetLabel];
  if (!live || owner === undefined || owner === applySetOf(project)) return undefined;
  const manager = (live.metadata.managedFields ?? []).find(
    (one) => one.manager.startsWith('plumbline:') && one.manager !== fieldManagerOf(project),
  )?.manager;
  return finding('error', 'OBJECT_OF_ANOTHER_PROJECT', `${nameOf(refOf(live))} belongs to ${manager ?? `the ApplySet ${owner}`}`, {
    at: { file: desired.source.file, line: desired.source.line, object: nameOf(refOf(live)) },
    hint: 'remove it from one of the two; an object has one Project',
  });
}

function leftOver(project: Project, inventory: Inventory, wanted: Set<string>, live: Map<string, KubeObject>) {
  const prunes: Prune[] = [];
  const kept: Prune[] = [];
  const forget: Forget[] = [];
  for (const entry of inventory.entries.values()) {
    if (wanted.has(entry.id)) continue;
    const object = live.get(entry.id);
    if (!object) {
      forget.push({ entry, reason: 'it is gone' });
      continue;
    }
    const doubt = notOurs(entry, object, project);
    if (doubt) forget.push({ entry, reason: doubt });
    else if (object.metadata.annotations?.[pruneAnnotation] === 'disabled')
      kept.push({ entry, live: object, reason: 'plumbline.dev/prune: disabled' });
    else prunes.push({ entry, live: object, reason: 'it left Git' });
  }
  return { prunes, kept, forget };
}

/** Why an object of that name may not be deleted, or undefined: label, inventory and uid agree. */
export function notOurs(entry: InventoryEntry, live: KubeObject, project: Project): string | undefined {
  if (live.metadata.labels?.[applySetLabel] !== applySetOf(project)) return 'it does not carry our label any more';
  if (entry.uid !== undefined) return entry.uid === live.metadata.uid ? undefined : 'another object has taken its name';
  // Killed between create and record: ours if our manager made it after the entry was written.
  const created = live.metadata.creationTimestamp ?? '';
  const manager = fieldManagerOf(project);
  const isOurs = (live.metadata.managedFields ?? []).some((one) => one.operation === 'Apply' && one.manager === manager);
  // Kubernetes writes whole seconds.
  const since = entry.since.slice(0, 19);
  return isOurs && created.slice(0, 19) >= since ? undefined : 'nobody has confirmed that we made it';
}

/** `objects` in the inventory, `wanted` in Git. One object that becomes another is a rename; the last one that goes is asked for. */
function withinBudget(project: Project, prunes: Prune[], objects: number, wanted: number): { prunes: Prune[]; held: Held | undefined } {
  const approved = /^delete-([0-9a-f]{6})$/.exec(project.annotations[approveAnnotation] ?? '')?.[1];
  const everything = prunes.length === objects && (prunes.length > 1 || wanted === 0);
  const tooMany = everything || prunes.length > project.policy.deletionBudget(objects);
  const ask = tooMany ? prunes : prunes.filter((one) => alwaysAsk.has(one.live.kind));
  if (ask.length === 0) return { prunes, held: undefined };
  const key = deletionKey(ask);
  if (approved === key) return { prunes, held: undefined };
  const reason = everything
    ? `all ${prunes.length} objects that were applied would be deleted`
    : tooMany
      ? `${prunes.length} of ${objects} objects would be deleted, more than syncPolicy.maxDeletions allows`
      : `${ask.map((one) => nameOf(refOf(one.live))).join(', ')}: this kind is never deleted unasked`;
  return { prunes: prunes.filter((one) => !ask.includes(one)), held: { key, prunes: ask, reason } };
}

/** Six hex digits over the exact uids, so that a changed list has a changed key. */
function deletionKey(prunes: Prune[]): string {
  const uids = prunes.map((one) => one.live.metadata.uid ?? '').sort();
  return createHash('sha256')
    .update(`delete\n${uids.join('\n')}`)
    .digest('hex')
    .slice(0, 6);
}

/** Earlier ranks are applied first; prunes go the other way. Kinds of one rank do not need each other. */
const ranks = [
  ['Namespace'],
  ['CustomResourceDefinition', 'PriorityClass', 'StorageClass'],
  ['ServiceAccount', 'ResourceQuota', 'LimitRange', 'NetworkPolicy'],
  ['Secret', 'ConfigMap', 'PersistentVolume', 'PersistentVolumeClaim'],
  ['ClusterRole', 'Role'],
  ['ClusterRoleBinding', 'RoleBinding'],
  ['Service'],
];

export function rankOf(kind: string): number {
  const rank = ranks.findIndex((kinds) => kinds.includes(kind));
  if (rank >= 0) return rank;
  return ['ValidatingWebhookConfiguration', 'MutatingWebhookConfiguration', 'APIService'].includes(kind) ? ranks.length + 1 : ranks.length;
}

function inDeletionOrder(prunes: Prune[]): Prune[] {
  return [...prunes].sort((a, b) => rankOf(b.live.kind) - rankOf(a.live.kind) || (keyOf(refOf(a.live)) < keyOf(refOf(b.live)) ? 1 : -1));
}

/** `2 to create, 1 to update, 40 unchanged, 1 to delete`; what is zero is left out. */
export function summaryOf(plan: Plan): string {
  const count = (action: Apply['action']) => plan.applies.filter((one) => one.action === action).length;
  const parts = [
    [count('create'), 'to create'],
    [count('update'), 'to update'],
    [plan.prunes.length, 'to delete'],
    [plan.held?.prunes.length ?? 0, 'to delete when approved'],
    [plan.leaving.length, 'being deleted'],
    [count('skip'), 'unchanged'],
  ] as const;
  return (
    parts
      .filter(([many]) => many > 0)
      .map(([many, what]) => `${many} ${what}`)
      .join(', ') || 'nothing to do'
  );
}

/** Everything that has to be read before a plan can be made: desired objects and what the inventory remembers. */
export function refsToRead(desired: Desired[], inventory: Inventory) {
  const refs = new Map(desired.map((one) => [one.id, refOf(one.object)]));
  for (const entry of inventory.entries.values()) if (!refs.has(entry.id)) refs.set(entry.id, refOfEntry(entry));
  return refs;
}
