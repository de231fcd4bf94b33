/** Where the inventory lives: `inventories.plumbline.dev` beside the Project. Written with resourceVersion, and only what changed. */
import type { Cluster } from '../cluster.ts';
import { type Inventory, type InventoryEntry, inventoryKind, projectLabel, readInventory, writeInventory } from './inventory.ts';

type Owner = { namespace: string; name: string; uid: string };

export async function loadInventory(cluster: Cluster, project: Owner): Promise<Inventory> {
  const objects = await cluster.list(inventoryKind, { namespace: project.namespace, labels: `${projectLabel}=${project.name}` });
  // Those of a deleted Project of the same name wait for the garbage collector; they are not ours.
  return readInventory(objects.filter((object) => object.metadata.ownerReferences?.some((owner) => owner.uid === project.uid)));
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
  for (const object of write.create) await cluster.create(object);
  for (const object of write.replace) await cluster.replace(object);
  // An older layout goes only when the new one is whole.
  for (const object of write.remove) {
    const { namespace, name, uid = '' } = object.metadata;
    await cluster.delete({ ...inventoryKind, ...(namespace ? { namespace } : {}), name }, { uid });
  }
  return loadInventory(cluster, project);
}
