/** Files that are made from others and committed. `npm run generate` writes them; `npm run check` fails when one is stale. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errorCodes } from '../src/error-codes.ts';

const root = join(import.meta.dirname, '..');

/** Path in the repository to content. */
export function generatedFiles(): Map<string, string> {
  return new Map([
    ['docs/errors.md', errorsPage()],
    ['NOTICE', notice()],
  ]);
}

function errorsPage(): string {
  const sections = Object.entries(errorCodes)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([code, { means, fix }]) => `## ${code}\n\n${means}\n\n**What to do:** ${fix}\n`);
  return [
    '# Error codes\n',
    'Every fault that Plumbline reports has a code. A code is never renamed or reused. This page is generated from `src/error-codes.ts` by `npm run generate`.\n',
    ...sections,
  ].join('\n');
}

/** What `dist` ships besides our own code; the texts of the licences are in `dist/licenses.txt`. */
function notice(): string {
  const packages = shippedPackages().map(({ name, version, license }) => `- ${name} ${version} (${license})`);
  const head = 'Plumbline\nCopyright the Plumbline authors. Licensed under the Apache License, Version 2.0 (LICENSE).\n';
  return `${head}\nThe bundle in dist/ holds these packages, under the licences in dist/licenses.txt:\n\n${packages.join('\n')}\n`;
}

/** `dist/licenses.txt`: a package's name and its licence's text, between blank lines. */
function shippedPackages(): { name: string; version: string; license: string }[] {
  const file = join(root, 'dist', 'licenses.txt');
  if (!existsSync(file)) throw new Error('dist/licenses.txt is missing: npm run build');
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.flatMap((line, index) => {
    const manifest = join(root, 'node_modules', line, 'package.json');
    const isName = /^(@[\w.-]+\/)?[\w.-]+$/.test(line) && (index === 0 || lines[index - 1] === '') && existsSync(manifest);
    if (!isName) return [];
    const { version, license } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string; license: string };
    return [{ name: line, version, license }];
  });
}

if (import.meta.main) {
  for (const [path, text] of generatedFiles()) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
    console.log(`wrote ${path}`);
  }
}
