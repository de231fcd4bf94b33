/**
 * The process that a control plane hangs on: starts the programs, starts again what ends, ends all when it is told to or when
 * one of the plane's owners is gone. Run as `node supervisor.ts FOLDER BINARIES`; what it writes is described in state.ts.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { openApi } from './api.ts';
import { argumentsOf, kubeconfigText, type Ports, prepareFiles } from './components.ts';
import { diesWithParent, identityOf, isAlive } from './identity.mjs';
import { type Component, type PlaneRecord, processesFolder, readRecord, removePlane, writeRecord } from './state.ts';

const [folder = '', binaries = ''] = process.argv.slice(2);
const running = new Map<Component, ChildProcess>();
let ending = false;

function end(): void {
  if (ending) return;
  ending = true;
  for (const child of running.values()) child.kill('SIGKILL');
  removePlane(folder);
  process.exit(0);
}

function watchOwners(): void {
  const owners = readRecord<string[]>(folder, 'owners') ?? [];
  if (owners.length === 0 || !owners.every(isAlive)) end();
}

async function freePorts(): Promise<Ports> {
  // All are held at once: asked for one after the other, the same number might come twice.
  const servers = await Promise.all([listen(), listen(), listen()]);
  const [etcd = 0, peer = 0, api = 0] = servers.map(portOf);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return { etcd, peer, api };
}

function listen(): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve(server));
  });
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function launch(component: Component, ports: Ports): ChildProcess {
  const log = openSync(join(folder, `${component}.log`), 'a');
  const [program, args] = diesWithParent(join(binaries, component), argumentsOf(component, folder, ports));
  const child = spawn(program, args, { cwd: folder, stdio: ['ignore', log, log], env: { PATH: process.env['PATH'], HOME: folder } });
  closeSync(log);
  running.set(component, child);
  return child;
}

/** Keeps a program running, as a kubelet keeps a static pod; `changed` is told each new process. */
function keep(component: Component, ports: Ports, changed: (child: ChildProcess) => void): void {
  const again = () => {
    if (ending) return;
    const child = launch(component, ports);
    child.once('exit', () => setTimeout(again, 200));
    changed(child);
  };
  running.get(component)?.once('exit', () => setTimeout(again, 200));
}

/** Resolves when the API server answers; false when a program ended before, which is how a port taken meanwhile shows. */
async function answers(url: string, token: string, children: ChildProcess[]): Promise<boolean> {
  const certificate = join(folder, 'certs/apiserver.crt');
  for (;;) {
    if (children.some((child) => child.exitCode !== null || child.signalCode !== null)) return false;
    if (existsSync(certificate)) {
      const api = openApi({ url, ca: readFileSync(certificate, 'utf8'), token });
      const status = await api.request('GET', '/readyz', { timeout: 1000 }).then(
        (answer) => answer.status,
        () => 0,
      );
      api.close();
      if (status === 200) return true;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function start(attempt = 1): Promise<void> {
  const credentials = prepareFiles(folder);
  const ports = await freePorts();
  const url = `https://127.0.0.1:${ports.api}`;
  const first = [launch('etcd', ports), launch('kube-apiserver', ports)];
  if (!(await answers(url, credentials.admin, first))) {
    for (const child of first) child.kill('SIGKILL');
    if (attempt === 5) throw new Error(`the control plane did not start: see the logs in ${folder}`);
    for (const left of ['etcd', 'certs']) rmSync(join(folder, left), { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    return start(attempt + 1);
  }
  const ca = readFileSync(join(folder, 'certs/apiserver.crt'), 'utf8');
  const kubeconfig = join(folder, 'kubeconfig');
  const write = (path: string, token: string) => writeFileSync(path, kubeconfigText(url, ca, token), { mode: 0o600 });
  write(kubeconfig, credentials.admin);
  write(join(folder, 'controllers.kubeconfig'), credentials.controllers);
  write(join(folder, 'scheduler.kubeconfig'), credentials.scheduler);
  launch('kube-controller-manager', ports);
  launch('kube-scheduler', ports);
  publish({ url, ca, token: credentials.admin, kubeconfig }, ports);
}

function publish(plane: Omit<PlaneRecord, 'components'>, ports: Ports): void {
  const components = {} as Record<Component, string>;
  const note = (component: Component, child: ChildProcess) => {
    components[component] = identityOf(child.pid ?? 0) ?? '';
  };
  for (const [component, child] of running) {
    note(component, child);
    keep(component, ports, (next) => {
      note(component, next);
      writeRecord(folder, 'plane', { ...plane, components });
    });
  }
  writeRecord(folder, 'plane', { ...plane, components });
}

process.on('SIGTERM', end);
process.on('SIGINT', end);
mkdirSync(processesFolder(folder), { recursive: true });
writeRecord(folder, 'supervisor', identityOf(process.pid));
setInterval(watchOwners, 250);
watchOwners();
await start();
