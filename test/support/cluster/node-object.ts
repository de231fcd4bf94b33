/** The process node as the cluster sees it: a Node that says honestly what it is, and the Lease that says that it lives. */
import { cpus, hostname, totalmem } from 'node:os';
import { type Api, ApiError } from './api.ts';
import { now } from './pod-process.ts';

const architecture = process.arch === 'x64' ? 'amd64' : process.arch;

/** Also when a node of that name was there before. `port`: where it serves its logs. */
export async function register(api: Api, name: string, port: number): Promise<void> {
  const labels = {
    'kubernetes.io/hostname': name,
    'kubernetes.io/os': 'linux',
    'kubernetes.io/arch': architecture,
    'plumbline.dev/process-node': 'true',
  };
  const status = nodeStatus(port);
  try {
    await api.ok('POST', '/api/v1/nodes', { body: { apiVersion: 'v1', kind: 'Node', metadata: { name, labels }, status } });
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 409) throw error;
    await api.ok('PATCH', `/api/v1/nodes/${name}/status`, { patch: 'strategic-merge-patch+json', body: { status } });
  }
  await beat(api, name);
}

/** Node lifecycle calls a node dead whose Lease is older than 50 s. */
export async function beat(api: Api, name: string): Promise<void> {
  const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases';
  const renewTime = new Date().toISOString().replace('Z', '000Z');
  const spec = { holderIdentity: name, leaseDurationSeconds: 40, renewTime };
  const answer = await api.request('PATCH', `${leases}/${name}`, { patch: 'merge-patch+json', body: { spec } });
  if (answer.status !== 404) return;
  await api.ok('POST', leases, { body: { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name }, spec } });
}

/** A new node is tainted until the controllers have seen that it is ready. */
export async function isUntainted(api: Api, name: string): Promise<boolean> {
  const node = await api.ok<{ spec?: { taints?: unknown[] } }>('GET', `/api/v1/nodes/${name}`);
  return (node.spec?.taints ?? []).length === 0;
}

function nodeStatus(port: number) {
  const room = { cpu: String(cpus().length), memory: `${Math.floor(totalmem() / 1024)}Ki`, pods: '110', 'ephemeral-storage': '10Gi' };
  const time = now();
  const times = { lastHeartbeatTime: time, lastTransitionTime: time };
  const notMeasured = { status: 'False', reason: 'NotMeasured', message: 'a process node does not measure this', ...times };
  return {
    capacity: room,
    allocatable: room,
    addresses: [
      { type: 'Hostname', address: hostname() },
      { type: 'InternalIP', address: '127.0.0.1' },
    ],
    daemonEndpoints: { kubeletEndpoint: { Port: port } },
    conditions: [
      { type: 'Ready', status: 'True', reason: 'ProcessNode', message: "runs Plumbline's own pods as processes of this machine", ...times },
      { type: 'MemoryPressure', ...notMeasured },
      { type: 'DiskPressure', ...notMeasured },
      { type: 'PIDPressure', ...notMeasured },
    ],
    nodeInfo: {
      machineID: '',
      systemUUID: '',
      bootID: '',
      kernelVersion: '',
      osImage: 'processes of this machine',
      containerRuntimeVersion: `process://${process.versions.node}`,
      kubeletVersion: 'process-node',
      kubeProxyVersion: '',
      operatingSystem: 'linux',
      architecture,
    },
  };
}
