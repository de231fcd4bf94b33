/**
 * What the pages tell a person to type, typed: every block marked `sh tested`, as it stands, in the order of the pages, on a plane of its
 * own with a node for the runner and a GitHub that has acme/shop. The App is applied and not started.
 */
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { type Block, blocksOf, readPage, readPages, root } from '../docs/pages.ts';
import { findBinaries } from '../support/cluster/binaries.mjs';
import { type ControlPlane, startControlPlane } from '../support/cluster/control-plane.ts';
import { type ProcessNode, startProcessNode } from '../support/cluster/process-node.ts';
import { type GitHub, startGitHub } from '../support/github/github.ts';
import type { RegisteredApp } from '../support/github/owners.ts';
import type { Permissions } from '../support/github/state.ts';

const system = { namespace: 'plumbline-system' };
let plane: ControlPlane;
let node: ProcessNode;
let github: GitHub;
let app: RegisteredApp;
let desk: string;

beforeAll(async () => {
  [plane, github] = await Promise.all([startControlPlane(), startGitHub()]);
  node = await startProcessNode(plane);
  const manifests = ['settings.yaml', 'service.yaml'].map((file) => [
    `k8s/${file}`,
    readFileSync(join(root, 'examples/shop/k8s', file), 'utf8'),
  ]);
  await github.people.createRepository({ owner: 'acme', name: 'shop', files: Object.fromEntries(manifests) });
  const { default_permissions: permissions } = parse(readFileSync(join(root, 'app.yml'), 'utf8')) as { default_permissions: Permissions };
  app = await github.owners.registerApp({ permissions });
  github.owners.installApp(app.appId, ['acme/shop']);
  desk = mkdtempSync(join(tmpdir(), 'plumbline-docs-'));
  for (const folder of ['deploy', 'examples']) cpSync(join(root, folder), join(desk, folder), { recursive: true });
  const settings = join(desk, 'examples/install/runner-only/kustomization.yaml');
  writeFileSync(settings, readFileSync(settings, 'utf8').replace('https://api.github.com', github.apiUrl));
  writeFileSync(join(desk, 'app.private-key.pem'), app.privateKey);
}, 120_000);
afterAll(async () => {
  await node?.stop();
  await github?.stop();
  await plane?.stop();
  if (desk) rmSync(desk, { recursive: true, force: true });
});

/** As a person has it: a shell, kubectl on PATH, the clone around them. */
function type(text: string): Promise<{ code: number; output: string }> {
  const path = [findBinaries().folder, process.env['PATH'] ?? ''].join(delimiter);
  const env = { PATH: path, HOME: desk, KUBECONFIG: plane.kubeconfig };
  return new Promise((resolve, reject) => {
    const child = spawn('bash', ['-euo', 'pipefail', '-c', text], { cwd: desk, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (part: string) => {
        output += part;
      });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? 128, output }));
  });
}

/** The one value that a page cannot know. */
async function follow(blocks: Block[]): Promise<void> {
  expect(blocks.length).toBeGreaterThan(0);
  for (const { page, line, text } of blocks) {
    const ticking = text.includes('kubectl wait') ? setInterval(lookNow, 5_000) : undefined;
    const { code, output } = await type(text.replace('123456', String(app.appId)));
    clearInterval(ticking);
    if (code !== 0) throw new Error(`${page}:${line} ended with ${code}:\n${text}${output}\n${await whatHappened()}`);
  }
}

let ticks = 0;
/** Instead of waiting for the minute. */
function lookNow(): void {
  void plane.tryKubectl(['create', 'job', `sooner-${++ticks}`, '--from=cronjob/runner'], system);
}

async function whatHappened(): Promise<string> {
  const { stdout } = await plane.tryKubectl(['get', 'plb', '-A', '-o', 'jsonpath={range .items[*]}{.status.message}{"\\n"}{end}']);
  return `${stdout}${node
    .pods(system.namespace)
    .map((pod) => node.logs(system.namespace, pod))
    .join('')}`;
}

const tested = (path: string) => blocksOf(readPage(path)).filter(({ isTested }) => isTested);
const lineOf = (path: string, heading: string) => readPage(path).text.split('\n').indexOf(heading) + 1;
const identities = async () =>
  (
    await plane.kubectl([
      'get',
      'configmap/web-settings',
      'service/web',
      '-n',
      'shop',
      '-o',
      'jsonpath={range .items[*]}{.metadata.uid} {.metadata.resourceVersion}{"\\n"}{end}',
    ])
  ).trim();

describe('what the pages tell to type', () => {
  const install = tested('docs/install.md');
  const [withApp, uninstall] = ['## With the App', '## Uninstall'].map((heading) => lineOf('docs/install.md', heading));

  test('docs/install.md leads to a project that is in sync', async () => {
    await follow(install.filter(({ line }) => line < (withApp ?? 0)));
    expect(await identities()).toMatch(/^\S+ \d+\n\S+ \d+$/);
  }, 240_000);

  test('every Project that a page shows is one that the cluster takes', async () => {
    const projects = readPages()
      .flatMap(blocksOf)
      .filter(({ language, text }) => language === 'yaml' && text.includes('kind: Project'));
    expect(projects.length).toBeGreaterThan(2);
    for (const { text } of projects) {
      const said = await plane.kubectl(['apply', '--dry-run=server', '--validate=strict', '-f', '-'], { input: text });
      expect(said).toContain('server dry run');
    }
  });

  test.each(['docs/project.md', 'docs/drift.md', 'docs/troubleshooting.md', 'docs/harden.md'])(
    '%s',
    async (path) => {
      await follow(tested(path).filter(({ text }) => !text.includes('plumbline-jobs')));
      expect(github.violations).toEqual([]);
    },
    300_000,
  );

  test('docs/install.md brings the App, its policy and an upgrade', async () => {
    // The App's port is a fixed one: its pods wait for a node.
    await plane.kubectl(['cordon', '--selector=kubernetes.io/os=linux']);
    await follow(install.filter(({ line }) => line > (withApp ?? 0) && line < (uninstall ?? 0)));
    await follow(tested('docs/harden.md').filter(({ text }) => text.includes('plumbline-jobs')));
    expect((await type('kubectl create job nosy -n plumbline-system --image=nosy')).output).toContain(
      'the pod is not the one of cronjob/runner',
    );
  }, 120_000);

  test('docs/install.md uninstalls, and leaves every workload untouched', async () => {
    const before = await identities();
    await follow(install.filter(({ line }) => line > (uninstall ?? 0)));
    expect(await identities()).toBe(before);
    expect((await type('kubectl get crd -o name')).output).not.toContain('plumbline.dev');
    expect((await type('kubectl get namespace plumbline-system')).output).toContain('NotFound');
  }, 240_000);
});
