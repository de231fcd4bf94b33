/** What the pages say about this repository is so. Commands are carried out by test/cluster/docs.test.ts. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { errorCodes } from '../../src/error-codes.ts';
import { blocksOf, type Page, readPage, readPages, root } from './pages.ts';

const pages = readPages();
const written = pages.filter(({ path }) => path !== 'docs/errors.md');

/** As GitHub makes them from headings. */
function anchorsOf({ text }: Page): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** `a`, `a.b`, `a[].b` of an OpenAPI schema. */
type Schema = { properties?: Record<string, Schema>; items?: Schema };
function fieldsOf({ properties = {} }: Schema, before = ''): string[] {
  return Object.entries(properties).flatMap(([name, field]) => {
    const below = field.items ? fieldsOf(field.items, `${before}${name}[].`) : fieldsOf(field, `${before}${name}.`);
    return below.length > 0 && !field.items ? below : [`${before}${name}${field.items?.properties ? '[]' : ''}`];
  });
}

type Definition = { spec: { versions: [{ schema: { openAPIV3Schema: { properties: { spec: Schema; status: Schema } } } }] } };
const [version] = (parse(readFileSync(join(root, 'deploy/crds/projects.yaml'), 'utf8')) as Definition).spec.versions;
const schema = version.schema.openAPIV3Schema.properties;

/** The words in the first column of the table below a heading. */
function firstColumn({ text }: Page, heading: string): string[] {
  const section = text.split(new RegExp(`^${heading}$`, 'm'))[1]?.split(/^## /m)[0] ?? '';
  const table = section.split('\n\n').find((part) => part.startsWith('| ')) ?? '';
  return table
    .split('\n')
    .slice(2)
    .flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].map(([, word = '']) => word));
}

describe('the pages', () => {
  test.each(pages.map((page) => [page.path, page] as const))('%s links to what exists', (_, { path, text }) => {
    const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target).filter((target) => !/^https?:/.test(target));
    const broken = links.filter((target) => {
      const [file = '', anchor] = target.split('#');
      const place = file === '' ? path : join(dirname(path), file);
      if (!existsSync(join(root, place))) return true;
      return anchor !== undefined && !anchorsOf(readPage(place)).includes(anchor);
    });
    expect(broken).toEqual([]);
  });

  test('files that are named exist', () => {
    const folders = /^(action|app|bench|deploy|dist|docs|examples|scripts|src|test)\/[\w./-]*$|^\.ci\/\w+$/;
    const named = written.flatMap(({ path, text }) =>
      [...text.matchAll(/`([^`\s]+)`/g)].filter(([, word = '']) => folders.test(word)).map(([, word = '']) => `${path} ${word}`),
    );
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter((one) => !existsSync(join(root, one.split(' ')[1] ?? '')))).toEqual([]);
  });

  test('every npm script that is named is there', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> };
    const named = written.flatMap(({ text }) =>
      [...text.matchAll(/npm (?:run ([\w:]+)|(start|test)\b)/g)].map(([, run, own]) => run ?? own ?? ''),
    );
    expect(named).toEqual(expect.arrayContaining(['demo', 'test', 'check']));
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });

  test('the unscoped package name, which is somebody else’s, is never run', () => {
    expect(pages.filter(({ text }) => new RegExp(`${'npx'} (-\\S+ )*plumbline`).test(text)).map(({ path }) => path)).toEqual([]);
  });

  test('every error code that is named exists', () => {
    const variables = ['KUBEBUILDER_ASSETS', 'PLUMBLINE_CONTEXT', 'UPDATE_GOLDEN', 'XDG_CACHE_HOME', 'WEBHOOK_SECRET'];
    const named = written.flatMap(({ text }) => [...text.matchAll(/`([A-Z]+(?:_[A-Z0-9]+)+)`/g)].map(([, code = '']) => code));
    expect(named.length).toBeGreaterThan(15);
    expect(named.filter((code) => !(code in errorCodes) && !variables.includes(code))).toEqual([]);
  });

  test('no shell block holds a prompt or a placeholder that a shell would take for a redirect', () => {
    const blocks = written.flatMap(blocksOf).filter(({ language }) => language === 'sh');
    expect(blocks.filter(({ text }) => /^\$ |<[a-z-]+>/m.test(text)).map(({ page, line }) => `${page}:${line}`)).toEqual([]);
  });
});

describe('docs/project.md', () => {
  const page = readPage('docs/project.md');

  test('has each field of the spec that the cluster takes, and no other', () => {
    expect(firstColumn(page, '## Spec').toSorted()).toEqual(fieldsOf(schema.spec).toSorted());
  });

  test('has each field of the status, and no other', () => {
    const said = firstColumn(page, '## Status');
    expect(said.toSorted()).toEqual(fieldsOf(schema.status).toSorted());
    const lists = Object.entries(schema.status.properties ?? {}).filter(([, field]) => field.items);
    const row = (name: string) => page.text.split('\n').find((line) => line.startsWith(`| \`${name}[]\``)) ?? '';
    const missing = lists.flatMap(([name, field]) =>
      Object.keys(field.items?.properties ?? {})
        .filter((item) => !row(name).includes(`\`${item}\``))
        .map((item) => `${name}[].${item}`),
    );
    expect(missing).toEqual([]);
  });

  test('says the default that the cluster fills in', () => {
    const rows = page.text.split('\n').filter((line) => /^\| `(source|syncPolicy|serviceAccountName|suspend)/.test(line));
    const wrong = rows.filter((row) => {
      const [name = '', said = ''] = row
        .split('|')
        .slice(1, 3)
        .map((cell) => cell.trim().replaceAll('`', ''));
      let field = schema.spec as Schema & { default?: unknown };
      for (const part of name.split('.')) field = field.properties?.[part] ?? {};
      return field.default === undefined ? said !== '' && said !== 'default branch' : said !== String(field.default);
    });
    expect(rows.length).toBeGreaterThan(10);
    expect(wrong).toEqual([]);
  });
});

describe('docs/action.md', () => {
  const { inputs, outputs } = parse(readFileSync(join(root, 'action.yml'), 'utf8')) as {
    inputs: Record<string, { default: string }>;
    outputs: Record<string, unknown>;
  };
  const tables = readPage('docs/action.md')
    .text.split('\n\n')
    .filter((part) => part.startsWith('| '));

  test('has each input with its default, and each output', () => {
    const rows = (table = '') =>
      table
        .split('\n')
        .slice(2)
        .map((row) =>
          row
            .split('|')
            .slice(1, 3)
            .map((cell) => cell.trim().replaceAll('`', '')),
        );
    expect(rows(tables[0])).toEqual(Object.entries(inputs).map(([name, { default: value }]) => [name, value]));
    expect(rows(tables[1]).map(([name]) => name)).toEqual(Object.keys(outputs));
  });
});
