import { describe, expect, test } from '@jest/globals';
import type { Cluster } from '../../src/cluster.ts';
import { PlumblineError } from '../../src/error.ts';
import { loadMemory, type Memory, saveMemory } from '../../src/flow/memory.ts';
import { canonicalJson, type KubeObject } from '../../src/object.ts';

const memory: Memory = { tokens: { 7: { token: 't', expiresAt: '2026-11-21T13:00:00Z' } }, repositories: {} };

/** Holds one Secret; `refusal` is what every write meets. */
function clusterWith(stored: KubeObject | undefined, refusal?: PlumblineError) {
  const writes: string[] = [];
  const write = (verb: string) => async (object: KubeObject) => {
    writes.push(verb);
    if (refusal) throw refusal;
    return object;
  };
  const used: Pick<Cluster, 'read' | 'create' | 'replace'> = {
    read: async () => stored,
    create: write('create'),
    replace: write('replace'),
  };
  return { cluster: used as Cluster, writes };
}

const secret = (text: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'plumbline-memory' },
  data: { memory: Buffer.from(text).toString('base64') },
});

describe('what the runner remembers', () => {
  test('is made once, and written only when something is new', async () => {
    const first = clusterWith(undefined);
    await saveMemory(first.cluster, memory, undefined);
    expect(first.writes).toEqual(['create']);
    const stored = secret(canonicalJson(memory));
    const again = clusterWith(stored);
    const loaded = await loadMemory(again.cluster);
    expect(loaded.memory).toEqual(memory);
    await saveMemory(again.cluster, loaded.memory, stored);
    expect(again.writes).toEqual([]);
  });

  test('two first ticks at once failed one of their Jobs with AlreadyExists', async () => {
    const conflict = new PlumblineError('API_CONFLICT', 'Secret/plumbline-system/plumbline-memory: AlreadyExists');
    await expect(saveMemory(clusterWith(undefined, conflict).cluster, memory, undefined)).resolves.toBeUndefined();
    await expect(saveMemory(clusterWith(undefined, conflict).cluster, memory, secret('{}'))).resolves.toBeUndefined();
    const outage = new PlumblineError('CLUSTER_UNREACHABLE', 'no answer', { retry: 'later' });
    await expect(saveMemory(clusterWith(undefined, outage).cluster, memory, undefined)).rejects.toMatchObject({
      code: 'CLUSTER_UNREACHABLE',
    });
  });

  test('that cannot be read is as good as lost', async () => {
    expect((await loadMemory(clusterWith(secret('{half')).cluster)).memory).toEqual({ tokens: {}, repositories: {} });
  });
});
