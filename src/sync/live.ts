/** What has to be read of a cluster before a plan can be made. */
import type { Cluster } from '../cluster.ts';
import type { KubeObject, SourcedObject } from '../object.ts';
import type { Desired } from './desired.ts';
import { each } from './each.ts';
import type { Inventory } from './inventory.ts';
import { refsToRead } from './plan.ts';

const CONCURRENT = 16;

/** `APIVERSION KIND` -> whether it lives in a namespace; undefined when the cluster does not serve it. */
export async function scopesOf(objects: SourcedObject[], account: Cluster): Promise<Map<string, boolean | undefined>> {
  const kinds = new Map(objects.map(({ object }) => [`${object.apiVersion} ${object.kind}`, object]));
  const scopes = new Map<string, boolean | undefined>();
  for (const [key, { apiVersion, kind }] of kinds) scopes.set(key, (await account.resource({ apiVersion, kind }))?.namespaced);
  return scopes;
}

/** By id, every desired object and every entry of the inventory; what is absent is not there, the API server said so. */
export async function readLive(desired: Desired[], inventory: Inventory, account: Cluster): Promise<Map<string, KubeObject>> {
  const live = new Map<string, KubeObject>();
  await each([...refsToRead(desired, inventory)], CONCURRENT, async ([id, ref]) => {
    // A kind that nobody serves has no objects.
    if (!(await account.resource(ref))) return;
    const object = await account.read(ref);
    if (object) live.set(id, object);
  });
  return live;
}
