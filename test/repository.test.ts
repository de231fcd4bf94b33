import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, jest, test } from '@jest/globals';
import { checks } from '../scripts/check.ts';
import { generatedFiles } from '../scripts/generate.ts';
import { brokenRings, sourceFile } from '../scripts/rings.ts';

jest.setTimeout(300_000);

describe('the repository', () => {
  test.each(checks.map((check) => [check.name, check] as const))('%s', async (_, { run, fix }) => {
    expect({ wrong: await run(), mend: fix }).toEqual({ wrong: [], mend: fix });
  });

  test('every code has its section in docs/errors.md', () => {
    const page = generatedFiles().get('docs/errors.md') ?? '';
    const table = readFileSync(join(import.meta.dirname, '..', 'src', 'error-codes.ts'), 'utf8');
    const codes = [...table.matchAll(/^ {2}([A-Z][A-Z_]+):/gm)].map(([, code]) => code);
    expect(codes.length).toBeGreaterThan(30);
    expect(codes.filter((code) => !page.includes(`## ${code}\n`))).toEqual([]);
  });
});

describe('the ring check', () => {
  const files = (sources: Record<string, string>) => Object.entries(sources).map(([path, text]) => sourceFile(path, text));

  test.each([
    ['a pure room that reads files', { 'src/diff.ts': "import { readFileSync } from 'node:fs';" }, 'src/diff.ts → node:fs'],
    [
      'a pure room that reaches the network through another file',
      { 'src/diff.ts': "import { a } from './object.ts';", 'src/object.ts': "import { request } from 'node:http';" },
      'src/diff.ts → src/object.ts → node:http',
    ],
    [
      'a flow that imports a door',
      { 'src/flow/check.ts': "import { openClone } from '../git.ts';", 'src/git.ts': '' },
      'src/flow/check.ts → src/git.ts',
    ],
    ['a pure room that looks at the clock', { 'src/report.ts': 'export const a = Date.now();' }, 'src/report.ts uses Date.now'],
    ['a pure room that rolls dice', { 'src/report.ts': 'export const a = Math.random();' }, 'src/report.ts uses Math.random'],
    ['a pure room that reads the environment', { 'src/report.ts': "export const a = process.env['A'];" }, 'src/report.ts uses process.e'],
    [
      'a door that imports a room',
      { 'src/github.ts': "import { a } from './report.ts';", 'src/report.ts': '' },
      'src/github.ts imports src/report.ts',
    ],
    [
      'something that imports an entry',
      { 'src/diff.ts': "import { a } from './runner.ts';", 'src/runner.ts': '' },
      'src/diff.ts imports the entry src/runner.ts',
    ],
    [
      'src that imports a shell',
      { 'src/diff.ts': "import type { a } from '../app/front.ts';", 'app/front.ts': '' },
      'src/diff.ts imports app/front.ts',
    ],
    [
      'an Action that reaches the cluster',
      {
        'action/main.ts': "import { a } from '../src/flow/a.ts';",
        'src/flow/a.ts': "const b = await import('../cluster.ts');",
        'src/cluster.ts': '',
      },
      'action/main.ts → src/flow/a.ts → src/cluster.ts',
    ],
    [
      'two files that import each other',
      { 'src/a.ts': "export { b } from './b.ts';", 'src/b.ts': "import './a.ts';" },
      'src/a.ts, src/b.ts import each other',
    ],
    ['a file of 301 lines', { 'src/a.ts': 'x;\n'.repeat(301) }, 'src/a.ts has 301 lines'],
  ] as [string, Record<string, string>, string][])('finds %s', (_, sources, words) => {
    expect(brokenRings(files(sources)).filter((fault) => fault.startsWith(words))).toHaveLength(1);
  });

  test('lets types through, and words in comments and texts', () => {
    const sources = {
      'src/flow/check.ts':
        "import type { Clone } from '../git.ts';\nimport { type GitHub, type Check } from '../github.ts';\n// never Date.now()\n/* nor\n process.env */\n",
      'src/git.ts': "import { run } from './exec.ts';\nimport type { TreeFile } from './render/render.ts';",
      'src/exec.ts': "import { spawn } from 'node:child_process';",
      'src/github.ts': "import { Octokit } from '@octokit/rest';",
      'src/render/render.ts': "import { createHash } from 'node:crypto';\nimport { parse } from 'yaml';",
    };
    expect(brokenRings(files(sources))).toEqual([]);
  });
});
