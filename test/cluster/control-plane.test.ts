import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { findBinaries } from '../support/cluster/binaries.mjs';
import { type ControlPlane, startControlPlane } from '../support/cluster/control-plane.ts';
import { identityOf, isAlive, signalTo } from '../support/cluster/identity.mjs';
import { type PlaneRecord, readRecord, sweep } from '../support/cluster/state.ts';
import { until } from '../support/cluster/until.ts';
import { useCluster } from '../support/cluster/use-cluster.ts';
import { openSandbox } from '../support/sandbox.ts';

const configMap = (name: string) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } });

describe('the shared control plane', () => {
  let cluster: ControlPlane;
  beforeAll(async () => {
    cluster = await useCluster();
  });

  test('it is the Kubernetes whose version stands in go.mod, and kubectl is of the same', async () => {
    const version = JSON.parse(await cluster.kubectl(['version', '-o', 'json']));
    expect(version.serverVersion.gitVersion).toBe('v1.34.2');
    expect(version.clientVersion.gitVersion).toBe('v1.34.2');
  });

  test('a second use finds the same one', async () => {
    expect((await useCluster()).url).toBe(cluster.url);
  });

  test('a service account may do what its role says and nothing else', async () => {
    const namespace = await cluster.freshNamespace();
    await cluster.kubectl(['create', 'serviceaccount', 'reader'], { namespace });
    await cluster.kubectl(['create', 'role', 'reader', '--verb=list', '--resource=configmaps'], { namespace });
    await cluster.kubectl(['create', 'rolebinding', 'reader', '--role=reader', `--serviceaccount=${namespace}:reader`], { namespace });
    const kubeconfig = await cluster.kubeconfigFor({ serviceAccount: { namespace, name: 'reader' } }, namespace);
    expect(await cluster.kubectl(['get', 'configmaps', '-o', 'name'], { kubeconfig })).toContain('configmap/kube-root-ca.crt');
    const refused = await cluster.tryKubectl(['get', 'secrets'], { kubeconfig });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(`User "system:serviceaccount:${namespace}:reader" cannot list resource "secrets"`);
  });

  test('pod security, quota and admission policies are enforced', async () => {
    const namespace = await cluster.freshNamespace();
    await cluster.kubectl(['label', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=restricted']);
    const pod = await cluster.tryKubectl(['run', 'p', '--image=none', '--privileged'], { namespace });
    expect(pod.stderr).toContain('violates PodSecurity "restricted:latest"');
    await cluster.kubectl(['create', 'quota', 'q', '--hard=count/configmaps=0'], { namespace });
    const full = await cluster.tryKubectl(['create', 'configmap', 'c'], { namespace });
    expect(full.stderr).toMatch(/exceeded quota|status unknown for quota/);
  });

  test('controllers work: a Job makes a pod, a deleted namespace disappears', async () => {
    const namespace = await cluster.freshNamespace();
    await cluster.kubectl(['create', 'job', 'j', '--image=none'], { namespace });
    await until('the Job has a pod', 30_000, async () => (await cluster.kubectl(['get', 'pods', '-o', 'name'], { namespace })) !== '');
    await cluster.api.ok('DELETE', `/api/v1/namespaces/${namespace}`);
    const path = `/api/v1/namespaces/${namespace}`;
    await until('the namespace is gone', 60_000, async () => (await cluster.api.request('GET', path)).status === 404);
  });

  test('requests are counted per user', async () => {
    const namespace = await cluster.freshNamespace();
    const api = await cluster.apiFor({ serviceAccount: { namespace, name: 'default' } });
    const user = `system:serviceaccount:${namespace}:default`;
    expect((await api.request('GET', `/api/v1/namespaces/${namespace}/secrets`)).status).toBe(403);
    api.close();
    expect(cluster.requests(user)).toEqual([{ user, verb: 'list', uri: `/api/v1/namespaces/${namespace}/secrets`, code: 403 }]);
  });
});

describe('faults of the control plane', () => {
  test('a frozen API server answers nothing; thawed, it answers what it was asked', async () => {
    const cluster = await useCluster();
    const namespace = await cluster.freshNamespace();
    cluster.apiServer.freeze();
    try {
      await expect(cluster.api.request('GET', '/readyz', { timeout: 500 })).rejects.toThrow('no answer in time');
    } finally {
      cluster.apiServer.thaw();
    }
    expect((await cluster.api.request('GET', `/api/v1/namespaces/${namespace}`)).status).toBe(200);
  });

  test('a restarted API server is at the same address with the same objects', async () => {
    const cluster = await useCluster();
    const namespace = await cluster.freshNamespace();
    await cluster.api.ok('POST', `/api/v1/namespaces/${namespace}/configmaps`, { body: configMap('kept') });
    await cluster.apiServer.restart();
    expect(await cluster.kubectl(['get', 'configmap', 'kept', '-o', 'name'], { namespace })).toBe('configmap/kept\n');
  });
});

describe('the end of a control plane', () => {
  const processesOf = (folder: string): string[] => {
    const record = readRecord<PlaneRecord>(folder, 'plane');
    const supervisor = readRecord<string>(folder, 'supervisor');
    return [supervisor ?? '', ...Object.values(record?.components ?? {})];
  };
  const gone = (folder: string, processes: string[]) =>
    until('no process of the plane is left', 20_000, async () => !processes.some(isAlive) && !existsSync(folder));

  test('stopping it leaves neither process nor folder', async () => {
    const plane = await startControlPlane();
    const processes = processesOf(plane.folder);
    expect(processes.filter(isAlive)).toHaveLength(5);
    await plane.stop();
    await gone(plane.folder, processes);
  });

  test('kill -9 of the process that asked for it leaves neither process nor folder', async () => {
    const module = join(import.meta.dirname, '../support/cluster/control-plane.ts');
    const script = `const { startControlPlane } = await import(process.argv[1]);
      console.log((await startControlPlane()).folder); setInterval(() => {}, 1000);`;
    const owner = spawn(process.execPath, ['--input-type=module', '-e', script, module], { stdio: ['ignore', 'pipe', 'inherit'] });
    const folder = await new Promise<string>((resolve) =>
      owner.stdout.setEncoding('utf8').once('data', (text: string) => resolve(text.trim())),
    );
    const processes = processesOf(folder);
    expect(processes.filter(isAlive)).toHaveLength(5);
    owner.kill('SIGKILL');
    await gone(folder, processes);
  });

  test("kill -9 of jest's main process, with its workers still in their suites, leaves nothing", async () => {
    const sandbox = openSandbox({ packages: true });
    try {
      const suite = `import { renameSync, writeFileSync } from 'node:fs';
        import { test } from '@jest/globals';
        import { useCluster } from '../support/cluster/use-cluster.ts';
        test('hangs', async () => {
          const { folder } = await useCluster();
          const note = import.meta.filename + '.json';
          writeFileSync(note + '.draft', JSON.stringify({ folder, pid: process.pid }));
          renameSync(note + '.draft', note);
          await new Promise((resolve) => setTimeout(resolve, 100_000));
        });`;
      const suites = ['test/cluster/a.test.ts', 'test/cluster/b.test.ts'];
      for (const path of suites) sandbox.write(path, suite);
      const argv = ['--experimental-vm-modules', 'node_modules/jest/bin/jest.js', '--maxWorkers=2'];
      const jest = sandbox.start(process.execPath, argv, { KUBEBUILDER_ASSETS: findBinaries().folder });
      const notes = suites.map((path) => join(sandbox.folder, `${path}.json`));
      const early = jest.ended.then(({ stderr }) => Promise.reject(new Error(stderr)));
      await Promise.race([early, until('both workers have a plane', 90_000, async () => notes.every((note) => existsSync(note)))]);
      const planes = notes.map((note) => JSON.parse(readFileSync(note, 'utf8')) as { folder: string; pid: number });
      expect(new Set(planes.map((plane) => plane.folder)).size).toBe(2);
      const processes = planes.flatMap((plane) => processesOf(plane.folder));
      expect(processes.filter(isAlive)).toHaveLength(10);
      process.kill(jest.pid, 'SIGKILL');
      for (const plane of planes) await gone(plane.folder, processes);
      // The workers have nobody left to tell, and would wait for the end of their test.
      for (const { pid } of planes) signalTo(identityOf(pid) ?? '', 'SIGKILL');
      await expect(early).rejects.toThrow();
    } finally {
      sandbox.remove();
    }
  });

  test('kill -9 of its supervisor ends every program, and the next start removes the folder', async () => {
    const plane = await startControlPlane();
    const processes = processesOf(plane.folder);
    expect(processes.filter(isAlive)).toHaveLength(5);
    signalTo(processes[0] ?? '', 'SIGKILL');
    // On Linux the kernel ends them; elsewhere the sweep of the next start does.
    if (process.platform === 'linux') await until('no process is left', 20_000, async () => !processes.some(isAlive));
    sweep();
    await gone(plane.folder, processes);
  });

  test('a program that is killed is started again', async () => {
    const plane = await startControlPlane();
    const before = readRecord<PlaneRecord>(plane.folder, 'plane')?.components['kube-controller-manager'] ?? '';
    signalTo(before, 'SIGKILL');
    await until('another controller manager runs', 20_000, async () => {
      const now = readRecord<PlaneRecord>(plane.folder, 'plane')?.components['kube-controller-manager'] ?? '';
      return now !== before && isAlive(now);
    });
    await plane.freshNamespace();
    await plane.stop();
  });

  test('a process is known by pid and start time, a dead one is not alive', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    const identity = identityOf(child.pid ?? 0) ?? '';
    expect(isAlive(identity)).toBe(true);
    expect(isAlive(`${child.pid}:1`)).toBe(false);
    child.kill('SIGKILL');
    await until('it is dead', 5000, async () => !isAlive(identity));
    expect(signalTo(identity, 'SIGTERM')).toBe(false);
  });
});
