import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { readDocuments } from '../../src/render/document.ts';

const fixtures = join(import.meta.dirname, '..', 'fixtures', 'render');
const cases = JSON.parse(readFileSync(join(fixtures, 'yaml-cases.json'), 'utf8')) as string[];
// Written by test/support/yaml-oracle, which is sigs.k8s.io/yaml, Kubernetes' own reader.
const verdicts = JSON.parse(readFileSync(join(fixtures, 'yaml-verdicts.json'), 'utf8')) as (string | null)[];
// What Kubernetes takes and we refuse, on purpose: two documents are two here, and the rest would not arrive as it is written.
const stricter = JSON.parse(readFileSync(join(fixtures, 'yaml-stricter.json'), 'utf8')) as string[];

describe("a value is read as Kubernetes' own reader reads it, or refused with its line", () => {
  test('there is a verdict for every case', () => {
    expect(verdicts).toHaveLength(cases.length);
    expect(stricter.filter((text) => !cases.includes(text))).toEqual([]);
  });

  test.each(cases.map((text, index) => [JSON.stringify(text), text, verdicts[index] ?? null] as const))('%s', (_, text, verdict) => {
    const { documents, findings } = readDocuments('case.yaml', text);
    for (const { at } of findings) expect(at?.line).toBeGreaterThanOrEqual(1);
    if (verdict === null || stricter.includes(text)) expect(findings).not.toEqual([]);
    else {
      expect(findings).toEqual([]);
      expect(documents[0] === undefined ? null : documents[0].value).toEqual(JSON.parse(verdict));
    }
  });
});
