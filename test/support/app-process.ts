/** The App as a process of its own, started as `npm start` starts it, with its service account's rights. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Cluster } from './cluster/control-plane.ts';
import { until } from './cluster/until.ts';
import type { GitHub } from './github/github.ts';
import type { RegisteredApp } from './github/owners.ts';

export type AppProcess = { url: string; pid: number; secret: string; output(): string; stop(signal?: NodeJS.Signals): Promise<void> };

/** Resolves when it listens; GitHub is told where, when `deliverTo` is not false. */
export async function startAppProcess(
  cluster: Cluster,
  github: GitHub,
  app: RegisteredApp,
  options: { secret?: string; deliver?: boolean } = {},
): Promise<AppProcess> {
  const secret = options.secret ?? randomBytes(32).toString('hex');
  const kubeconfig = await cluster.kubeconfigFor({ serviceAccount: { namespace: 'plumbline-system', name: 'plumbline-app' } });
  const child = spawn(process.execPath, [join(import.meta.dirname, '../../app/main.ts')], {
    env: {
      PATH: process.env['PATH'],
      KUBECONFIG: kubeconfig,
      APP_ID: String(app.appId),
      PRIVATE_KEY: app.privateKey,
      WEBHOOK_SECRET: secret,
      GITHUB_API_URL: github.apiUrl,
      PORT: '0',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let ended: number | NodeJS.Signals | undefined;
  const keep = (text: string) => {
    output += text;
  };
  child.stdout.setEncoding('utf8').on('data', keep);
  child.stderr.setEncoding('utf8').on('data', keep);
  const end = new Promise<void>((done) => {
    child.once('close', (code, signal) => {
      ended = signal ?? code ?? 0;
      done();
    });
  });
  const url = await until('the App listens', 30_000, async () => {
    if (ended !== undefined) throw new Error(`the App ended with ${ended}:\n${output}`);
    return /"listening":"([^"]+)"/.exec(output)?.[1];
  });
  if (options.deliver !== false) github.owners.setWebhook(app.appId, `${url}/api/github/webhooks`, secret);
  return {
    url,
    pid: child.pid ?? 0,
    secret,
    output: () => output,
    async stop(signal = 'SIGTERM') {
      if (ended === undefined) child.kill(signal);
      await end;
    },
  };
}
