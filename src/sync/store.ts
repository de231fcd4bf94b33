/** Where the inventory lives: `inventories.plumbline.dev` beside the Project. Written with resourceVersion, and only what changed. */
import type { Cluster } from '../cluster.ts';
import { isPlumblineError, PlumblineError } from '../error.ts';
import { type KubeObject, refOf } from '../object.ts';
import { type Inventory, type InventoryEntry, inventoryKind, projectLabel, readInventory, writeInventory } from './inventory.ts';

/** `status.objects`: how many entries it had when its status was last written. */
type Owner = { namespace: string; name: string; uid: string; status?: { objects?: number } };

export async function loadInventory(cluster: Cluster, project: Owner): Promise<Inventory> {
  const objects = await cluster.list(inventoryKind, { namespace: project.namespace, labels: `${projectLabel}=${project.name}` });
  // Those of a deleted Project of the same name wait for the garbage collector; they are not ours.
  const own = objects.filter((object) => isOwn(object, project));
  const inventory = readInventory(own);
  // All of it gone is no new project: something was applied, and nobody knows what.
  return own.length === 0 && (project.status?.objects ?? 0) > 0 ? { ...inventory, complete: false } : inventory;
}

/** Makes `entries` what is stored; API_CONFLICT when somebody else wrote meanwhile. Returns the inventory as it is stored now. */
export async function storeInventory(
  cluster: Cluster,
  project: Owner,
  stored: Inventory,
  entries: Map<string, InventoryEntry>,
): Promise<Inventory> {
  const write = writeInventory(project, stored, entries);
  if (write.create.length + write.replace.length + write.remove.length === 0) return stored;
  try {
    for (const object of write.create) await createShard(cluster, project, object);
    for (const object of write.replace) await cluster.replace(object);
  } catch (error) {
    // Another look wrote meanwhile.
    if (!isPlumblineError(error) || error.code !== 'API_CONFLICT') throw error;
    throw new PlumblineError('API_CONFLICT', error.message, { retry: 'later', cause: error });
  }
  // An older layout goes only when the new one is whole.
  for (const object of write.remove) {
    const { namespace, name, uid = '' } = object.metadata;
    await cluster.delete({ ...inventoryKind, ...(namespace ? { namespace } : {}), name }, { uid });
  }
  return loadInventory(cluster, project);
}

/** Under its name may still lie the shard of a deleted Project, for which the garbage collector takes its time. */
async function createShard(cluster: Cluster, project: Owner, object: KubeObject): Promise<void> {
  try {
    await cluster.create(object);
  } catch (error) {
    const there = isPlumblineError(error) && error.code === 'API_CONFLICT' ? await cluster.read(refOf(object)) : undefined;
    if (!there || isOwn(there, project)) throw error;
    await cluster.delete(refOf(there), { uid: there.metadata.uid ?? '' });
    await cluster.create(object);
  }
}

function isOwn(object: KubeObject, project: Owner): boolean {
  return object.metadata.ownerReferences?.some((owner) => owner.uid === project.uid) === true;
}
