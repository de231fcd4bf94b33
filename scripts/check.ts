/**
 * What must hold for the whole repository, each a check with a name and a way to mend it. `npm run check [NAME…]` runs them; so does
 * `test/repository.test.ts`.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { generatedFiles } from './generate.ts';
import { brokenRings, readSources } from './rings.ts';

/** `run` answers what is wrong, a line each; nothing when all is well. */
export type RepositoryCheck = { name: string; fix: string; run(): Promise<string[]> };

const root = join(import.meta.dirname, '..');
const bin = join(root, 'node_modules', '.bin');

export const checks: RepositoryCheck[] = [
  {
    name: 'format and lint',
    fix: 'npm exec biome check -- --write',
    run: () => tool('biome', ['ci', '--colors=off', '--error-on-warnings']),
  },
  { name: 'types', fix: 'correct what tsc says', run: () => tool('tsc', ['-p', '.', '--pretty', 'false']) },
  { name: 'dead code', fix: 'remove it, or export it where it is used', run: () => tool('knip', ['--no-progress']) },
  { name: 'promises that nobody awaits', fix: 'await it, return it or catch it', run: promises },
  { name: 'rings', fix: 'see docs/architecture.md, "Rings"', run: async () => brokenRings(readSources(root)) },
  { name: 'generated files are current', fix: 'npm run generate', run: generatedIsCurrent },
  { name: 'dist is current', fix: 'npm run build, and commit dist', run: distIsCurrent },
  {
    name: 'lock file names no host',
    fix: 'npm install with the registry of .npmrc; drop "resolved" from package-lock.json',
    run: lockNamesNoHost,
  },
  { name: 'no machine paths', fix: 'make the path relative, or take it from the environment', run: machinePaths },
  { name: 'no unscoped npx', fix: 'write npm exec plumbline: the unscoped name belongs to somebody else', run: unscopedNpx },
  { name: 'licence and notice', fix: 'keep LICENSE, npm run build, npm run generate', run: licences },
];

/** The output of a tool that did not end with 0. */
async function tool(command: string, operands: string[], environment: Record<string, string> = {}): Promise<string[]> {
  const env = { ...process.env, ...environment, PATH: `${bin}:${process.env['PATH'] ?? ''}` };
  return await new Promise((resolve) => {
    execFile(join(bin, command), operands, { cwd: root, env, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      const said = `${stdout}\n${stderr}`.split('\n').filter((line) => line.trim() !== '');
      resolve(error === null ? [] : said.length > 0 ? said : [`${command} ended with ${error.code}`]);
    });
  });
}

/** Type-aware, since a linter without types misses calls of other packages. */
async function promises(): Promise<string[]> {
  const program = join(root, 'node_modules', '@oxlint-tsgolint', `${process.platform}-${process.arch}`, 'tsgolint');
  // The package brings it for Linux, where CI runs.
  if (!existsSync(program)) return process.platform === 'linux' ? [`${program} is missing: npm ci`] : [];
  const rules = ['typescript/no-floating-promises', 'typescript/no-misused-promises'].flatMap((rule) => ['-D', rule]);
  const folders = ['src', 'app', 'action', 'scripts', 'test', 'bench'].filter((folder) => existsSync(join(root, folder)));
  return await tool('oxlint', ['--type-aware', '-A', 'all', ...rules, ...folders], { OXLINT_TSGOLINT_PATH: program });
}

async function generatedIsCurrent(): Promise<string[]> {
  return [...generatedFiles()].flatMap(([path, text]) => {
    const place = join(root, path);
    if (!existsSync(place)) return [`${path} is missing`];
    return readFileSync(place, 'utf8') === text ? [] : [`${path} is not what its source says`];
  });
}

/** Built anew, byte for byte. Inside the repository, so that packages are found, in a folder that git ignores. */
async function distIsCurrent(): Promise<string[]> {
  mkdirSync(join(root, 'build'), { recursive: true });
  const folder = mkdtempSync(join(root, 'build', 'check-'));
  try {
    const compiled = await tool('tsc', ['-p', 'tsconfig.build.json', '--outDir', join(folder, 'build')]);
    if (compiled.length > 0) return compiled;
    const bundled = await tool('ncc', [
      'build',
      join(folder, 'build', 'action', 'main.js'),
      '-o',
      join(folder, 'dist'),
      '--license',
      'licenses.txt',
      '--no-cache',
    ]);
    if (bundled.length > 0) return bundled;
    const names = [...new Set([...readdirSync(join(root, 'dist')), ...readdirSync(join(folder, 'dist'))])];
    // ncc notes in comments from where, below the repository, each module came.
    const here = `./${relative(root, folder)}/build/`;
    const built = (name: string): string => contentOf(join(folder, 'dist', name)).replaceAll(here, './build/');
    return names
      .filter((name) => contentOf(join(root, 'dist', name)) !== built(name))
      .map((name) => `dist/${name} is not what the sources build`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function contentOf(place: string): string {
  return existsSync(place) ? readFileSync(place, 'utf8') : '';
}

async function lockNamesNoHost(): Promise<string[]> {
  const lines = readFileSync(join(root, 'package-lock.json'), 'utf8').split('\n');
  return lines.flatMap((line, index) =>
    /"resolved"|https?:[^"]*\.tgz/.test(line) ? [`package-lock.json:${index + 1} ${line.trim()}`] : [],
  );
}

async function machinePaths(): Promise<string[]> {
  // Put together, so that this file does not find itself.
  const machine = new RegExp(
    ['work', 'root', 'home/[a-z]+', 'tmp/[a-z]+', 'Users/[A-Za-z]+'].map((folder) => `(?<![\\w.:@})*$/])/${folder}/`).join('|'),
  );
  return await linesMatching(machine, (path) => !/^(dist|package-lock\.json|test\/support\/github\/contract\.json)/.test(path));
}

async function unscopedNpx(): Promise<string[]> {
  const wrong = new RegExp(`${'npx'} (-y |--yes )?plumbline\\b`);
  return await linesMatching(wrong, (path) => /\.(md|ya?ml|ts|mjs|json)$/.test(path) && !path.startsWith('dist/'));
}

async function linesMatching(pattern: RegExp, wanted: (path: string) => boolean): Promise<string[]> {
  const files = await gitFiles();
  return files.filter(wanted).flatMap((path) => {
    const place = join(root, path);
    const text = existsSync(place) ? readFileSync(place, 'utf8') : '';
    if (text.includes('\0')) return [];
    return text.split('\n').flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1} ${line.trim().slice(0, 160)}`] : []));
  });
}

async function gitFiles(): Promise<string[]> {
  return await new Promise((resolve, reject) => {
    execFile('git', ['ls-files', '-z'], { cwd: root, maxBuffer: 64 * 1024 * 1024 }, (error, stdout) => {
      if (error) reject(error);
      else resolve(stdout.split('\0').filter(Boolean));
    });
  });
}

/** NOTICE is a generated file; what it says of dist is checked with the others. */
async function licences(): Promise<string[]> {
  return ['LICENSE', 'NOTICE', 'dist/licenses.txt'].filter((path) => !existsSync(join(root, path))).map((path) => `${path} is missing`);
}

if (import.meta.main) {
  const asked = process.argv.slice(2);
  for (const name of asked.filter((one) => !checks.some((check) => check.name === one))) {
    console.error(`"${name}" is no check; there is: ${checks.map((check) => check.name).join(', ')}`);
    process.exitCode = 1;
  }
  for (const { name, fix, run } of checks.filter((check) => asked.length === 0 || asked.includes(check.name))) {
    const wrong = await run();
    console.log(`${wrong.length === 0 ? 'ok    ' : 'FAILED'} ${name}`);
    if (wrong.length === 0) continue;
    console.error(`${wrong.map((line) => `       ${line}`).join('\n')}\n       to mend: ${fix}`);
    process.exitCode = 1;
  }
}
