/** A runner's process that a test may kill: KUBECONFIG NAMESPACE URL SCRATCH; one reconcile of the Project `api`, over real Git. */
import { connectCluster } from '../../src/cluster.ts';
import { reconcile } from '../../src/flow/reconcile.ts';
import { listRemote, openClone } from '../../src/git.ts';
import { renderInProcess } from '../../src/render/render.ts';

const [kubeconfig = '', namespace = '', url = '', scratch = ''] = process.argv.slice(2);
await reconcile({ namespace, name: 'api' }, 'test', {
  cluster: connectCluster({ kubeconfig }),
  remoteOf: async () => ({ url }),
  refs: (remote) => listRemote(remote),
  clone: (remote) => openClone(remote, scratch),
  render: renderInProcess,
  clock: {
    now: () => new Date(),
    monotonic: () => performance.now(),
    pause: (milliseconds) => new Promise((done) => setTimeout(done, milliseconds)),
  },
  holder: `process-${process.pid}`,
  signal: new AbortController().signal,
});
