/** The cluster of the demo: one that the person has, when they name its context, else a control plane of our own. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kubeconfigText } from './components.ts';
import { type Cluster, type ControlPlane, startControlPlane } from './control-plane.ts';
import { type KubectlOptions, kubectl, tryKubectl } from './kubectl.ts';

export type Opened = { cluster: Cluster /** Of our own; undefined for a cluster that the person has. */; plane: ControlPlane | undefined };

/** `context`: a context of the person's kubeconfig; PLUMBLINE_CONTEXT when left out. Whatever is opened here ends with `cluster.stop()`. */
export async function openCluster(options: { context?: string | undefined } = {}): Promise<Opened> {
  const context = options.context ?? process.env['PLUMBLINE_CONTEXT'];
  if (context) return { cluster: await openContext(context), plane: undefined };
  const plane = await startControlPlane();
  return { cluster: plane, plane };
}

type View = { clusters: { cluster: { server: string; 'certificate-authority-data'?: string } }[] };

/**
 * Works on a copy of that one context: nothing is ever written to the person's own file, and a context switched meanwhile in another
 * terminal changes nothing here.
 */
async function openContext(context: string): Promise<Cluster> {
  const view = await tryKubectl(['config', 'view', '--raw', '--minify', '--flatten', '-o', 'json'], { context });
  if (view.code !== 0) throw new Error(`context ${context} cannot be used: ${view.stderr.trim()}; see kubectl config get-contexts`);
  const folder = mkdtempSync(join(tmpdir(), 'plumbline-context-'));
  const kubeconfig = join(folder, 'kubeconfig');
  writeFileSync(kubeconfig, view.stdout, { mode: 0o600 });
  const server = (JSON.parse(view.stdout) as View).clusters[0]?.cluster;
  const namespaces: string[] = [];
  const run = (args: string[], more: Partial<KubectlOptions> = {}) => kubectl(args, { kubeconfig, ...more });
  return {
    url: server?.server ?? '',
    kubeconfig,
    async kubeconfigFor(who, namespace) {
      const account = 'token' in who ? undefined : who.serviceAccount;
      const made = account ? await run(['create', 'token', account.name, `--namespace=${account.namespace}`, '--duration=1h']) : '';
      const token = 'token' in who ? who.token : made.trim();
      const ca = Buffer.from(server?.['certificate-authority-data'] ?? '', 'base64').toString();
      const path = join(folder, `${randomBytes(6).toString('hex')}.kubeconfig`);
      writeFileSync(path, kubeconfigText(server?.server ?? '', ca, token, namespace), { mode: 0o600 });
      return path;
    },
    kubectl: (args, more) => kubectl(args, { kubeconfig, ...more }),
    tryKubectl: (args, more) => tryKubectl(args, { kubeconfig, ...more }),
    async freshNamespace(prefix = 'plumbline') {
      const name = `${prefix}-${randomBytes(4).toString('hex')}`;
      await run(['create', 'namespace', name]);
      namespaces.push(name);
      await run(['wait', '--for=create', 'serviceaccount/default', '--timeout=60s'], { namespace: name });
      return name;
    },
    async stop() {
      try {
        // What we made there, and nothing else.
        if (namespaces.length > 0) await run(['delete', 'namespace', ...namespaces, '--wait=false', '--ignore-not-found']);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  };
}
