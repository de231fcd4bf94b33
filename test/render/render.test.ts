import { describe, expect, test } from '@jest/globals';
import { formatFault } from '../../src/error.ts';
import { canonicalJson } from '../../src/object.ts';
import { readDocuments } from '../../src/render/document.ts';
import { nameDigest, render, type TreeFile } from '../../src/render/render.ts';
import { casesOf, expectGolden, fixture, treeOf } from '../support/golden.ts';

function renderAll(files: TreeFile[], manifestType: 'detect' | 'kubernetes' = 'detect') {
  return render({ manifestType, path: '', recurse: true, files });
}

function worded({ objects, findings }: ReturnType<typeof render>): string {
  const found = findings.map((one) => formatFault(one));
  const made = objects.map(({ object, file, line, lines }) => `${file}:${line} ${canonicalJson(object)}\n  ${canonicalJson(lines)}`);
  return [...made, ...found, ''].join('\n');
}

const configMap = (name: string, rest = ''): string => `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}}\n${rest}`;

describe('a folder of manifests', () => {
  test.each(casesOf('render'))('%s renders to the objects, lines and findings of its golden file', (name) => {
    expectGolden(fixture('render', name, 'expected.txt'), worded(renderAll(treeOf(fixture('render', name, 'in')))));
  });

  test('gives the same bytes whatever the order of files and keys, and another digest when a value differs', () => {
    const files = [
      { path: 'a.yaml', text: configMap('a', 'data: {x: "1", y: "2"}\n') },
      { path: 'b.yaml', text: configMap('b') },
    ];
    const turned = [{ path: 'b.yaml', text: `${configMap('b')}---\n${configMap('a', 'data: {y: "2", x: "1"}\n')}` }];
    const { digest } = renderAll(files);
    expect(digest).toMatch(/^[0-9a-f]{64}$/);
    expect(renderAll(turned).digest).toBe(digest);
    expect(renderAll([{ path: 'a.yaml', text: configMap('a') }]).digest).not.toBe(digest);
    expect(nameDigest(digest)).toBe(digest.slice(0, 6));
    expect(nameDigest(digest, ['helm 4.1.4', 'kustomize 5.8'])).toBe(`${digest.slice(0, 6)} · helm 4.1.4, kustomize 5.8`);
  });

  test('of another type is refused whole when detected, and says which type', () => {
    const { objects, findings } = renderAll(treeOf(fixture('render', 'other-types', 'in')));
    expect(objects).toEqual([]);
    expect(findings.map(({ code, at }) => [code, at?.file])).toEqual([
      ['TYPE_NOT_SUPPORTED', 'Chart.yaml'],
      ['TYPE_NOT_SUPPORTED', 'overlay/kustomization.yml'],
      ['TYPE_NOT_SUPPORTED', 'pipeops.yaml'],
    ]);
  });

  test('leaves folders below it alone when it does not recurse', () => {
    const files = [
      { path: 'k8s/a.yaml', text: configMap('a') },
      { path: 'k8s/deep/b.yaml', text: configMap('b') },
    ];
    const { objects } = render({ manifestType: 'kubernetes', path: 'k8s', recurse: false, files });
    expect(objects.map(({ file }) => file)).toEqual(['k8s/a.yaml']);
  });

  test.each([
    ['symlink', 'error'],
    ['too large', 'error'],
    ['not UTF-8', 'error'],
    ['submodule', 'warning'],
  ] as const)('with a %s in it says so as %s', (unread, severity) => {
    const { findings } = renderAll([
      { path: 'a.yaml', text: configMap('a') },
      { path: 'b.yaml', text: '', unread },
    ]);
    expect(findings).toMatchObject([{ code: 'FILE_NOT_READ', severity, at: { file: 'b.yaml' } }]);
  });

  test('with a link to a folder in it says that it is not followed', () => {
    const { findings } = renderAll([
      { path: 'a.yaml', text: configMap('a') },
      { path: 'db', text: '', unread: 'symlink' },
    ]);
    expect(findings).toMatchObject([{ code: 'FILE_NOT_READ', severity: 'warning', at: { file: 'db' } }]);
  });

  test.each([
    ['whose path is a link itself', { path: 'k8s', text: '', unread: 'symlink' as const }],
    ['whose path is a submodule itself', { path: 'k8s', text: '', unread: 'submodule' as const }],
    ['that holds a submodule and nothing else', { path: 'k8s/vendored', text: '', unread: 'submodule' as const }],
  ])('%s is an error: a pull request that swaps all manifests for one must not pass', (_, file) => {
    const { findings } = render({ manifestType: 'detect', path: 'k8s', recurse: true, files: [file] });
    expect(findings.map(({ code, severity }) => [code, severity])).toEqual([['FILE_NOT_READ', 'error']]);
  });

  test.each<[string, boolean]>([
    ['aHVudGVyMg==', true],
    ['', true],
    ['"aHVu\\nZGVy\\n"', true],
    ['ENC[AES256_GCM,data:x]', true],
    ['<path:secret/data/api#password>', true],
    ['hunter2', false],
    ['aHVudGVyMg', false],
    ['"hunter two"', false],
  ])('refuses a Secret whose data is not base64, without its value: %s', (written, valid) => {
    const { findings } = renderAll([
      { path: 's.yaml', text: `apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata:\n  p: ${written}\n` },
    ]);
    const told = {
      code: 'MANIFEST_INVALID',
      message: 'data "p" is not base64',
      hint: 'write plain text under stringData',
      at: { line: 5 },
    };
    expect(findings).toMatchObject(valid ? [] : [told]);
    expect(JSON.stringify(findings)).not.toMatch(/unter/);
  });

  test('never shows the value of a Secret in a finding', () => {
    const text =
      'apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {pin: 8675309, ok: "canary-value"}\ndata: {list: [canary-value]}\n';
    const { findings } = renderAll([{ path: 's.yaml', text }]);
    expect(findings).toHaveLength(2);
    expect(JSON.stringify(findings)).not.toMatch(/8675309|canary/);
  });
});

describe('a file that cannot be read', () => {
  test.each([
    'data: {a: canary-value\n  b: canary-value\n',
    'data:\n  a: 98765432109876543210\n',
    'stringData:\n  a: !!int canary-value\n',
    'data:\n  a: |canary-value\n    x\n',
    'data:\n  a: "x" canary-value\n',
    'data:\n  a: ]canary-value\n  canary-value\n',
    'data:\n  a: "\\qcanary-value"\n',
    'data:\n  a: @canary-value\n',
    'data: canary-value: canary-value\n',
    'data:\n  a: [canary-value: canary-value, {canary-value]\n',
  ])('is never quoted, since it may hold a secret: %j', (rest) => {
    const { findings } = renderAll([{ path: 's.yaml', text: `apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n${rest}` }]);
    expect(findings).not.toEqual([]);
    expect(JSON.stringify(findings)).not.toMatch(/canary|9876543210/);
  });
});

describe('a hostile file', () => {
  const letters = 'abcdefghij';
  const bomb = [...letters].map(
    (letter, index) =>
      `${letter}: &${letter} [${
        index === 0
          ? 'x'
          : Array(9)
              .fill(`*${letters[index - 1]}`)
              .join(', ')
      }]`,
  );
  test.each([
    ['nested 50,000 deep', `a: ${'['.repeat(50_000)}`, 'YAML_TOO_COMPLEX'],
    ['nested in blocks', Array.from({ length: 200 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n'), 'YAML_TOO_COMPLEX'],
    ['nested in dashes', '- '.repeat(50_000), 'YAML_TOO_COMPLEX'],
    ['with 50,000 keys', Array.from({ length: 50_000 }, (_, key) => `k${key}: 1`).join('\n'), 'YAML_TOO_COMPLEX'],
    ['with 50,000 keys in braces', `{${Array.from({ length: 50_000 }, (_, key) => `k${key}: 1`).join(', ')}}`, 'YAML_TOO_COMPLEX'],
    ['with 20,000 anchors', Array.from({ length: 20_000 }, (_, anchor) => `- &a${anchor} 1`).join('\n'), 'YAML_TOO_COMPLEX'],
    ['that multiplies itself by aliases', bomb.join('\n'), 'YAML_TOO_COMPLEX'],
    ['that contains itself', 'a: &x [*x]', 'YAML_UNPARSABLE'],
    ['with 20,000 documents', '---\na: 1\n'.repeat(20_000), 'YAML_TOO_COMPLEX'],
    ['with a million wrong escapes', `a: "${'\\x'.repeat(300_000)}"`, 'YAML_UNPARSABLE'],
    ['with 100,000 tags', `a: ${'!!str '.repeat(100_000)}`, 'YAML_TOO_COMPLEX'],
    ['larger than 1 MiB', `a: ${'x'.repeat(1024 * 1024)}`, 'FILE_NOT_READ'],
  ])('%s is one finding with a line, twice over, and the next file is still read', (_, text, code) => {
    for (let round = 0; round < 2; round += 1) {
      const { documents, findings } = readDocuments('hostile.yaml', text);
      expect(documents).toEqual([]);
      expect(findings).toMatchObject([{ code, severity: 'error', at: { file: 'hostile.yaml' } }]);
    }
    expect(readDocuments('next.yaml', 'a: 1\n').documents).toHaveLength(1);
  });

  test('cannot change what every object inherits', () => {
    renderAll(treeOf(fixture('render', 'prototype-keys', 'in')));
    readDocuments('x.yaml', 'a: {__proto__: {polluted: 1}}\n<<: {__proto__: {polluted: 1}}\n');
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});
