/**
 * The cheap look at what a project has applied (DESIGN "Reading live cheaply"): metadata first, by resourceVersion; an object that
 * somebody wrote to is read; what then differs from our record is suspect, and settled by a sync's dry run.
 */
import type { Cluster } from '../cluster.ts';
import { type KubeObject, keyOf, refOf } from '../object.ts';
import { applySetOf, fieldManagerOf, type Project } from '../project.ts';
import { applySetLabel } from './desired.ts';
import { each } from './each.ts';
import { type Health, healthOf, worstHealth } from './health.ts';
import { goneMark, type Inventory, type InventoryEntry, refOfEntry } from './inventory.ts';
import { ownedFields } from './managed-fields.ts';

/** `updates`: entries whose record moved on without a difference. `suspects`: ids whose object is not as we left it. */
export type Look = { updates: InventoryEntry[]; suspects: string[]; health: Health };

const CONCURRENT = 8;

export async function lookAt(project: Project, inventory: Inventory, account: Cluster): Promise<Look> {
  const listed = await listApplied(project, inventory, account);
  const updates: InventoryEntry[] = [];
  const suspects: string[] = [];
  const health = new Map<string, Health>();
  await each([...inventory.entries.values()], CONCURRENT, async (entry) => {
    const item = listed.get(entry.id);
    health.set(entry.id, entry.health ?? 'Unknown');
    if (item && isUntouched(entry, item) && entry.health !== 'Progressing') return;
    const ref = refOfEntry(entry);
    // With its kind the object is gone too.
    const live = (await account.resource(ref)) ? await account.read(ref) : undefined;
    if (!live) {
      health.set(entry.id, 'Missing');
      if (entry.drifted !== goneMark) suspects.push(entry.id);
      return;
    }
    const now = healthOf(live).health;
    health.set(entry.id, now);
    const { resourceVersion } = live.metadata;
    // What was looked into at this very version and left as it is needs no second look.
    if (entry.drifted !== undefined && entry.drifted === resourceVersion) return;
    if (!isOurs(entry, live, project)) suspects.push(entry.id);
    else if (resourceVersion !== entry.resourceVersion || now !== entry.health) {
      updates.push({ ...entry, ...(resourceVersion ? { resourceVersion } : {}), health: now });
    }
  });
  return { updates, suspects, health: inventory.complete ? worstHealth([...health.values()]) : 'Unknown' };
}

function isUntouched(entry: InventoryEntry, item: KubeObject): boolean {
  const { uid, resourceVersion, deletionTimestamp } = item.metadata;
  return entry.uid === uid && entry.resourceVersion === resourceVersion && entry.drifted === undefined && !deletionTimestamp;
}

/** Still the object that we applied, with our fields and our values. Of a Secret no values are kept: any write to it is suspect. */
function isOurs(entry: InventoryEntry, live: KubeObject, project: Project): boolean {
  if (live.metadata.uid !== entry.uid || live.metadata.deletionTimestamp) return false;
  if (live.metadata.labels?.[applySetLabel] !== applySetOf(project)) return false;
  if (live.kind === 'Secret') return live.metadata.resourceVersion === entry.resourceVersion;
  const fields = ownedFields(live, fieldManagerOf(project));
  return fields.paths === entry.owned && fields.values === entry.values;
}

/** One metadata list per kind and namespace, the label checked again: an aggregated API may ignore the selector. */
async function listApplied(project: Project, inventory: Inventory, account: Cluster): Promise<Map<string, KubeObject>> {
  const label = applySetOf(project);
  const places = new Map<string, { apiVersion: string; kind: string; namespace: string | undefined }>();
  for (const entry of inventory.entries.values()) {
    const { apiVersion, kind, namespace } = refOfEntry(entry);
    places.set(`${apiVersion} ${kind} ${namespace ?? ''}`, { apiVersion, kind, namespace });
  }
  const found = new Map<string, KubeObject>();
  await each([...places.values()], CONCURRENT, async ({ apiVersion, kind, namespace }) => {
    if (!(await account.resource({ apiVersion, kind }))) return;
    const items = await account.listMetadata(
      { apiVersion, kind },
      { labels: `${applySetLabel}=${label}`, ...(namespace ? { namespace } : {}) },
    );
    for (const item of items) if (item.metadata.labels?.[applySetLabel] === label) found.set(keyOf(refOf(item)), item);
  });
  return found;
}
