import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { parse } from 'yaml';
import { commitFiles, git, newRepository, serveGit } from '../support/git-server.ts';

jest.setTimeout(60_000);
const root = join(import.meta.dirname, '..', '..');
const bundle = join(root, 'dist', 'index.js');
const action = parse(await readFile(join(root, 'action.yml'), 'utf8')) as {
  inputs: Record<string, { default: string }>;
  outputs: Record<string, unknown>;
  runs: { using: string; main: string };
};

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

const configMap = (name: string, colour: string): string =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ${name}\ndata:\n  colour: ${colour}\n`;

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'plumbline-action-'));
  folders.push(made);
  return made;
}

type Ran = { status: number; log: string; outputs: Record<string, string>; summary: string };

/** As GitHub's runner starts it: inputs with their defaults, event, output and summary files, and the workspace. */
async function runAction(
  workspace: string,
  options: { event?: string; inputs?: Record<string, string>; bundle?: string } = {},
): Promise<Ran> {
  const files = await folder();
  const [event, output, summary] = ['event.json', 'output', 'summary'].map((name) => join(files, name)) as [string, string, string];
  const pull = { number: 7, base: { ref: 'main' } };
  await writeFile(event, JSON.stringify(options.event === 'push' ? {} : { pull_request: pull }));
  await writeFile(output, '');
  await writeFile(summary, '');
  const defaults = Object.entries(action.inputs).map(([name, { default: value }]) => [name, value] as const);
  const inputs = [...defaults, ...Object.entries(options.inputs ?? {})].map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value]);
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: files,
    CI: 'true',
    GITHUB_ACTIONS: 'true',
    GITHUB_EVENT_NAME: options.event ?? 'pull_request',
    GITHUB_EVENT_PATH: event,
    GITHUB_OUTPUT: output,
    GITHUB_STEP_SUMMARY: summary,
    GITHUB_WORKSPACE: workspace,
    GITHUB_REPOSITORY: 'acme/api',
    ...Object.fromEntries(inputs),
  };
  const ended = await promisify(execFile)(process.execPath, [options.bundle ?? bundle], { cwd: workspace, env, maxBuffer: 1e8 }).then(
    ({ stdout }) => ({ status: 0, log: stdout }),
    (error: { code: number; stdout: string; stderr: string }) => ({ status: error.code, log: error.stdout + error.stderr }),
  );
  return { ...ended, outputs: outputsOf(await readFile(output, 'utf8')), summary: await readFile(summary, 'utf8') };
}

function outputsOf(text: string): Record<string, string> {
  return Object.fromEntries([...text.matchAll(/^(.+)<<(ghadelimiter_.*)\n([\s\S]*?)\n\2$/gm)].map(([, name, , value]) => [name, value]));
}

/** What actions/checkout leaves on a pull request: GitHub's merge commit, detached. */
async function pullRequest(base: Record<string, string>, head: Record<string, string | undefined>): Promise<string> {
  const workspace = await newRepository();
  folders.push(workspace);
  await commitFiles(workspace, 'base', base);
  await git(workspace, 'checkout', '--quiet', '-b', 'feature');
  await commitFiles(workspace, 'head', head);
  await git(workspace, 'checkout', '--quiet', '--detach', 'main');
  await git(workspace, 'merge', '--quiet', '--no-ff', '-m', 'Merge', 'feature');
  return workspace;
}

describe('the Action on a pull request', () => {
  test('says what changes, on the lines, in the summary and in its outputs', async () => {
    const workspace = await pullRequest(
      { 'k8s/a.yaml': configMap('a', 'blue'), 'compose.yaml': 'services: {}\n' },
      { 'k8s/a.yaml': configMap('a', 'green') },
    );
    const { status, log, outputs, summary } = await runAction(workspace);
    expect({ status, outputs }).toEqual({
      status: 0,
      outputs: { valid: 'true', findings: '0', digest: expect.stringMatching(/^[0-9a-f]{64}$/), changed: '1' },
    });
    expect(Object.keys(outputs).sort()).toEqual(Object.keys(action.outputs).sort());
    expect(log).toContain('::notice title=ConfigMap/a,file=k8s/a.yaml,line=6,endLine=6::data.colour blue → green');
    expect(summary).toContain('-  colour: blue\n+  colour: green');
    expect(summary).toContain('Looked at `k8s`');
  });

  test('fails on a manifest that cannot be read, with its line; fail-on none only says it', async () => {
    const workspace = await pullRequest(
      { 'k8s/a.yaml': configMap('a', 'blue') },
      { 'k8s/b.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: B_b\n' },
    );
    const failed = await runAction(workspace);
    expect(failed.status).toBe(1);
    expect(failed.log).toContain('::error title=OBJECT_NAME_INVALID,file=k8s/b.yaml,line=4,endLine=4::');
    expect(failed.outputs).toMatchObject({ valid: 'false', findings: '1' });
    const told = await runAction(workspace, { inputs: { 'fail-on': 'none' } });
    expect(told).toMatchObject({ status: 0, outputs: { valid: 'false' } });
  });

  test('looks only below its path', async () => {
    const workspace = await pullRequest(
      { 'a/a.yaml': configMap('a', 'blue') },
      { 'a/b.yaml': 'kind: x\napiVersion: [\n', 'b/b.yaml': configMap('b', 'blue') },
    );
    expect(await runAction(workspace, { inputs: { path: 'b' } })).toMatchObject({ status: 0, outputs: { changed: '1' } });
  });

  test('skips what it does not render yet, and says so', async () => {
    const workspace = await pullRequest(
      { 'README.md': 'x' },
      {
        'chart/Chart.yaml': 'apiVersion: v2\nname: c\n',
        'chart/templates/a.yaml': 'apiVersion: v1\nkind: ConfigMap\n{{ bad }}\n',
        'over/kustomization.yaml': 'resources: []\n',
        'k8s/a.yaml': configMap('a', 'x'),
      },
    );
    const { status, summary } = await runAction(workspace);
    expect(status).toBe(0);
    expect(summary).toContain('- skipped `chart`: a Helm chart, which is not rendered yet');
    expect(summary).toContain('- skipped `over`: a kustomization, which is not rendered yet');
  });

  test('fetches the base that a shallow clone lacks, or says how to have it', async () => {
    const server = await serveGit(await pullRequest({ 'k8s/a.yaml': configMap('a', 'blue') }, { 'k8s/a.yaml': configMap('a', 'green') }));
    try {
      const shallow = async (): Promise<string> => {
        const workspace = await folder();
        await git(workspace, 'clone', '--quiet', '--depth=1', server.url, '.');
        return workspace;
      };
      const forbidden = await runAction(await shallow(), { inputs: { fetch: 'false' } });
      expect(forbidden.status).toBe(1);
      expect(forbidden.log).toMatch(/GIT_COMMIT_NOT_FOUND.*is not in this clone.*fetch-depth: 2/);
      expect(await runAction(await shallow())).toMatchObject({ status: 0, outputs: { changed: '1' } });
    } finally {
      await server.close();
    }
  });

  test('does not compare a head that is no merge commit, and says so', async () => {
    const workspace = await pullRequest({ 'k8s/a.yaml': configMap('a', 'blue') }, { 'k8s/a.yaml': configMap('a', 'green') });
    await git(workspace, 'checkout', '--quiet', 'feature');
    const { status, log, outputs } = await runAction(workspace);
    expect({ status, changed: outputs['changed'] }).toEqual({ status: 0, changed: '' });
    expect(log).toContain('::warning::HEAD is not the merge commit');
  });

  test('a push is read and compared with nothing', async () => {
    const workspace = await pullRequest({ 'k8s/a.yaml': configMap('a', 'blue') }, { 'k8s/a.yaml': configMap('a', 'green') });
    const { outputs, summary } = await runAction(workspace, { event: 'push' });
    expect(outputs).toMatchObject({ valid: 'true', changed: '' });
    expect(summary).toContain('1 objects in 1 folders can be read');
  });

  test('an input that it does not take is named', async () => {
    const workspace = await pullRequest({ 'k8s/a.yaml': configMap('a', 'blue') }, {});
    const { status, log } = await runAction(workspace, { inputs: { 'fail-on': 'always' } });
    expect(status).toBe(1);
    expect(log).toContain('INPUT_INVALID  the input fail-on is "always": error, warning, none were expected');
  });

  test('hostile names and values start no workflow command', async () => {
    const name = 'k8s/%0A::add-mask::x ##[error]y.yaml';
    const evil = (value: string) => `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: e}\ndata:\n  "::stop-commands::t": "${value}"\n`;
    const workspace = await pullRequest(
      { [name]: evil('a') },
      {
        [name]: evil('\\n::set-output name=valid::no\\n##[error]b'),
        'k8s/b.yaml': 'apiVersion: v1\nkind: "::error::x"\nmetadata: {name: b}\n',
      },
    );
    const { log } = await runAction(workspace, { inputs: { 'fail-on': 'none' } });
    const commands = log.split('\n').flatMap((line) => /^\s*::([a-z-]+)/.exec(line)?.[1] ?? []);
    expect(new Set(commands)).toEqual(new Set(['notice', 'error']));
    expect(log).not.toContain('##[');
  });
});

describe('what a workflow downloads', () => {
  test('is small, holds no sources, and runs without node_modules', async () => {
    const archive = await folder();
    const { stdout } = await promisify(execFile)('git', ['archive', '--format=tar', 'HEAD'], {
      cwd: root,
      encoding: 'buffer',
      maxBuffer: 1e8,
    });
    expect(stdout.length).toBeLessThan(8 * 1024 * 1024);
    await writeFile(join(archive, 'a.tar'), stdout);
    await promisify(execFile)('tar', ['-xf', 'a.tar'], { cwd: archive });
    const { stdout: listing } = await promisify(execFile)('tar', ['-tf', 'a.tar'], { cwd: archive });
    expect(listing.split('\n').filter((line) => /^(src|test|app|node_modules)\//.test(line))).toEqual([]);
    expect(listing).toMatch(/^action\.yml$/m);
    // The bundle of this checkout: the archive holds that of the last commit.
    await cp(join(root, 'dist'), join(archive, 'dist'), { recursive: true });
    const workspace = await pullRequest({ 'k8s/a.yaml': configMap('a', 'blue') }, { 'k8s/a.yaml': configMap('a', 'green') });
    expect(await runAction(workspace, { bundle: join(archive, action.runs.main) })).toMatchObject({ status: 0, outputs: { changed: '1' } });
    expect(action.runs.using).toBe('node24');
    expect(process.version).toMatch(/^v24\./);
  });
});
