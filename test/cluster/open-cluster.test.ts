import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ControlPlane } from '../support/cluster/control-plane.ts';
import { openCluster } from '../support/cluster/open-cluster.ts';
import { until } from '../support/cluster/until.ts';
import { useCluster } from '../support/cluster/use-cluster.ts';

describe('a cluster that the person has', () => {
  const folder = mkdtempSync(join(tmpdir(), 'plumbline-person-'));
  const own = join(folder, 'config');
  const before = process.env['KUBECONFIG'];
  let there: ControlPlane;
  beforeAll(async () => {
    there = await useCluster();
    // Two contexts, and the current one is not the one that is asked for.
    const config = JSON.parse(readFileSync(there.kubeconfig, 'utf8'));
    config.clusters.push({ name: 'elsewhere', cluster: { server: 'https://127.0.0.1:1' } });
    config.contexts.push({ name: 'elsewhere', context: { cluster: 'elsewhere', user: 'plumbline-test' } });
    config['current-context'] = 'elsewhere';
    writeFileSync(own, JSON.stringify(config));
    process.env['KUBECONFIG'] = own;
  });
  afterAll(() => {
    if (before === undefined) delete process.env['KUBECONFIG'];
    else process.env['KUBECONFIG'] = before;
    rmSync(folder, { recursive: true });
  });

  test('the context named is used, whatever the current one is, and the file of the person stays as it was', async () => {
    const was = readFileSync(own, 'utf8');
    const { cluster, plane } = await openCluster({ context: 'plumbline-test' });
    expect(plane).toBeUndefined();
    expect(cluster.url).toBe(there.url);
    const namespace = await cluster.freshNamespace('mine');
    expect(namespace).toMatch(/^mine-/);
    const kubeconfig = await cluster.kubeconfigFor({ serviceAccount: { namespace, name: 'default' } });
    expect(await cluster.kubectl(['auth', 'whoami'], { kubeconfig })).toContain(`system:serviceaccount:${namespace}:default`);
    expect(readFileSync(own, 'utf8')).toBe(was);
    await cluster.stop();
    expect(existsSync(cluster.kubeconfig)).toBe(false);
    const path = `/api/v1/namespaces/${namespace}`;
    await until('the namespace that was made is gone', 60_000, async () => (await there.api.request('GET', path)).status === 404);
    expect((await there.api.request('GET', '/api/v1/namespaces/default')).status).toBe(200);
  });

  test('PLUMBLINE_CONTEXT names it too', async () => {
    process.env['PLUMBLINE_CONTEXT'] = 'plumbline-test';
    try {
      const { cluster } = await openCluster();
      expect(cluster.url).toBe(there.url);
      await cluster.stop();
    } finally {
      delete process.env['PLUMBLINE_CONTEXT'];
    }
  });

  test('a context that is not there is one sentence with its name', async () => {
    await expect(openCluster({ context: 'prod' })).rejects.toThrow(/^context prod cannot be used: .*; see kubectl config get-contexts$/s);
  });
});
