/**
 * The rings of docs/architecture.md as a check over the import graph: what a file reaches, directly and through others.
 *
 * Doors touch one outside world each; shells wire things up and are imported by nobody; everything else is pure, or gets its doors as
 * arguments and knows only their types. Types cost nothing at run time: `import type` is free.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** `imports`: what is there at run time; `types`: what is there for the compiler only. */
export type SourceFile = { path: string; text: string; imports: string[]; types: string[] };

const doors = /^src\/(exec|git|git-[a-z]+|github|cluster|cluster-transport|registry)\.ts$|^src\/github\/|^src\/render\/remote\.ts$/;
const shells = /^(app|action)\/|^src\/(runner|cli)\.ts$|^src\/render\/serve\.ts$/;
const entries = /^(app|action)\/main\.ts$|^src\/(runner|cli)\.ts$|^src\/render\/serve\.ts$/;
/** What doors share besides their library: words, shapes and nothing that acts. */
const sharedByDoors = /^src\/(error|error-codes|cluster-error|object|secrets|commands)\.ts$/;
/** Node's modules and packages that compute and do nothing else. */
const pureModules = new Set(['node:crypto', 'node:zlib', 'node:util', 'node:path', 'yaml', 'ajv']);
/** What acts without any import. Clock and randomness arrive as arguments. */
const acting =
  /\b(Date\.now\(|new Date\(\)|Math\.random\(|performance\.now\(|process\.[a-z]|setTimeout\(|setInterval\(|(?<!\.)fetch\(|randomUUID\(|randomBytes\(|console\.)/;
/** A Lease is renewed on a timer while its holder works; the clock that decides is an argument all the same. */
const timers: Readonly<Record<string, string>> = { 'src/flow/lease.ts': 'setInterval' };
const mostLines = 300;

/** Every `.ts` file below these folders of the repository. */
export function readSources(root: string, folders: readonly string[] = ['src', 'app', 'action']): SourceFile[] {
  return folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
      .map((entry) => join(entry.parentPath, entry.name))
      .map((place) => sourceFile(place.slice(root.length + 1), readFileSync(place, 'utf8'))),
  );
}

/** @param path relative to the repository's root */
export function sourceFile(path: string, text: string): SourceFile {
  const code = withoutComments(text);
  const file: SourceFile = { path, text: code, imports: [], types: [] };
  for (const [, keyword = '', clause = '', from = ''] of code.matchAll(/^\s*(import|export)\s+([^'";]*?)\s*from\s+'([^']+)'/gm)) {
    const named = /^\{([^}]*)\}$/.exec(clause.trim())?.[1];
    const onlyTypes =
      clause.startsWith('type ') || (named?.split(',').every((name) => /^\s*type\s/.test(name) || name.trim() === '') ?? false);
    (onlyTypes && keyword !== '' ? file.types : file.imports).push(resolved(path, from));
  }
  for (const [, from = ''] of code.matchAll(/^\s*import\s+'([^']+)'|\bimport\('([^']+)'\)/gm)) file.imports.push(resolved(path, from));
  for (const [, from = ''] of code.matchAll(/\bimport\('([^']+)'\)/g)) file.imports.push(resolved(path, from));
  return file;
}

/** Every rule that is broken, as a sentence with the way to it. */
export function brokenRings(files: readonly SourceFile[]): string[] {
  const known = new Map(files.map((file) => [file.path, file]));
  return [
    ...files.flatMap(({ path, imports, types }) =>
      [...imports, ...types]
        .filter((target) => entries.test(target))
        .map((target) => `${path} imports the entry ${target}; nothing imports an entry`),
    ),
    ...files
      .filter(({ path }) => path.startsWith('src/'))
      .flatMap(({ path, imports, types }) =>
        [...imports, ...types]
          .filter((target) => /^(app|action)\//.test(target))
          .map((target) => `${path} imports ${target}; src never imports a shell`),
      ),
    ...files.filter(({ path }) => isPure(path)).flatMap((file) => pureFaults(file, known)),
    ...files.filter(({ path }) => doors.test(path)).flatMap(doorFaults),
    ...files.filter(({ path }) => path.startsWith('action/')).flatMap(({ path }) => actionFaults(path, known)),
    ...cycles(known),
    ...files
      .filter(({ text }) => text.split('\n').length - 1 > mostLines)
      .map(({ path, text }) => `${path} has ${text.split('\n').length - 1} lines, at most ${mostLines}: look at the design`),
  ];
}

function isPure(path: string): boolean {
  return !doors.test(path) && !shells.test(path);
}

function pureFaults(file: SourceFile, known: ReadonlyMap<string, SourceFile>): string[] {
  const faults: string[] = [];
  const act = acting.exec(file.text)?.[1];
  if (act && timers[file.path] !== act.replace('(', ''))
    faults.push(`${file.path} uses ${act.replace('(', '')}; clock, randomness, process and network arrive as arguments`);
  for (const way of waysFrom(file.path, known)) {
    const last = way.at(-1) ?? '';
    const isFile = last.includes('/') && last.endsWith('.ts');
    if (isFile ? !isPure(last) : !pureModules.has(last))
      faults.push(`${way.join(' → ')}: a pure room, or one that gets its doors as arguments, reaches ${last}; import its types only`);
  }
  return faults;
}

function doorFaults({ path, imports }: SourceFile): string[] {
  const family = path
    .replace(/^src\//, '')
    .replace(/\.ts$/, '')
    .replace(/[/-].*$/, '');
  return imports
    .filter((target) => target.startsWith('src/') && !sharedByDoors.test(target))
    .filter((target) => !(doors.test(target) && (target.startsWith(`src/${family}`) || target === 'src/exec.ts')))
    .map((target) => `${path} imports ${target}; a door imports error, object, secrets and its one library`);
}

function actionFaults(entry: string, known: ReadonlyMap<string, SourceFile>): string[] {
  return waysFrom(entry, known)
    .filter((way) => way.at(-1) === 'src/cluster.ts' || way.at(-1)?.startsWith('@kubernetes/client-node'))
    .map((way) => `${way.join(' → ')}: the Action never reaches the cluster's client (it alone is 19 MB)`);
}

/** The shortest way at run time from a file to each thing it reaches. */
function waysFrom(start: string, known: ReadonlyMap<string, SourceFile>): string[][] {
  const ways = new Map<string, string[]>([[start, [start]]]);
  for (const [path, way] of ways) {
    for (const target of known.get(path)?.imports ?? []) if (!ways.has(target)) ways.set(target, [...way, target]);
  }
  ways.delete(start);
  return [...ways.values()];
}

function cycles(known: ReadonlyMap<string, SourceFile>): string[] {
  const found = new Set<string>();
  for (const [path, { imports }] of known) {
    for (const target of imports) {
      const back = target === path ? [path] : waysFrom(target, known).find((way) => way.at(-1) === path);
      if (back) found.add([...new Set([path, target, ...back])].sort().join(', '));
    }
  }
  return [...found].map((files) => `${files} import each other in a circle`);
}

function resolved(path: string, from: string): string {
  return from.startsWith('.') ? join(dirname(path), from) : from;
}

/** Lines stay where they are. A `//` inside a string is no comment. */
function withoutComments(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ''))
    .replace(/^(\s*)\/\/.*$/gm, '$1')
    .replace(/(\s)\/\/ .*$/gm, '$1');
}
