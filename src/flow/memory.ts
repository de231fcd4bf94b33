/**
 * What the runner remembers between ticks, in one Secret: a reading token per installation (ETags are bound to it) and, per repository,
 * its ids, ETags and which heads have their check. Losing it costs one full look and nothing else (DESIGN "State").
 */
import type { Cluster } from '../cluster.ts';
import { isPlumblineError } from '../error.ts';
import type { KnownRepository, Token } from '../github.ts';
import { canonicalJson, type KubeObject } from '../object.ts';
import { productNamespace } from '../work.ts';

/** `base`: the branch that it is to be merged into. `checked`: our check on that head is completed. */
export type KnownHead = { head: string; base: string; checked: boolean };
/** Open pull requests by number, merge queue groups by ref. `newest`: the latest update of a pull request that was handled. */
export type KnownHeads = { etag?: string; newest?: string; pulls: Record<string, KnownHead>; groups: Record<string, KnownHead> };
/** `newest`: the highest id of a comment that was seen. */
export type KnownComments = { etag?: string; newest?: number };
/** `known` is asked for again with every new token: repositories are renamed and change their default branch. */
export type RepositoryMemory = { known: KnownRepository; asOf: string; heads: KnownHeads; comments: KnownComments };
/** `tokens` by installation id, `repositories` by full name in lower case. */
export type Memory = { tokens: Record<string, Token>; repositories: Record<string, RepositoryMemory> };

const ref = { apiVersion: 'v1', kind: 'Secret', namespace: productNamespace, name: 'plumbline-memory' };

export async function loadMemory(cluster: Cluster): Promise<{ memory: Memory; stored: KubeObject | undefined }> {
  const stored = await cluster.read(ref);
  const data = (stored?.['data'] as Record<string, string> | undefined)?.['memory'];
  return { memory: data === undefined ? empty() : parsed(Buffer.from(data, 'base64').toString('utf8')), stored };
}

/** Nothing is written when nothing is new. Of two that look at once, what one of them remembers is enough. */
export async function saveMemory(cluster: Cluster, memory: Memory, stored: KubeObject | undefined): Promise<void> {
  const data = { memory: Buffer.from(canonicalJson(memory)).toString('base64') };
  if ((stored?.['data'] as Record<string, string> | undefined)?.['memory'] === data.memory) return;
  const fresh = { apiVersion: 'v1', kind: 'Secret', metadata: { name: ref.name, namespace: ref.namespace }, type: 'Opaque', data };
  try {
    if (stored) await cluster.replace({ ...stored, data });
    else await cluster.create(fresh);
  } catch (error) {
    if (!isPlumblineError(error) || error.code !== 'API_CONFLICT') throw error;
  }
}

function empty(): Memory {
  return { tokens: {}, repositories: {} };
}

/** Memory that cannot be read is as good as lost. */
function parsed(text: string): Memory {
  try {
    const value = JSON.parse(text) as Partial<Memory>;
    return { tokens: value.tokens ?? {}, repositories: value.repositories ?? {} };
  } catch {
    return empty();
  }
}
