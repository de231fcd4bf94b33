import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import type { KubeObject } from '../../src/object.ts';
import { type Health, healthOf, worstHealth } from '../../src/sync/health.ts';
import { fixture } from '../support/golden.ts';

/** `verdict` is HEALTH, or `HEALTH: reason`. */
type Case = { case: string; verdict: string; object: KubeObject };
const folder = fixture('sync', 'health');

describe.each(readdirSync(folder))('health by %s', (file) => {
  const documents = parseAllDocuments(readFileSync(`${folder}/${file}`, 'utf8'));
  const cases = documents.map((document) => document.toJS() as Case);

  test.each(cases.map((one): [string, Case] => [one.case, one]))('%s', (_, { verdict, object }) => {
    const { health, reason } = healthOf(object);
    expect(reason ? `${health}: ${reason}` : health).toBe(verdict);
  });
});

describe('the worst of many', () => {
  test.each<[Health, Health[]]>([
    ['Healthy', []],
    ['Healthy', ['Healthy', 'Healthy']],
    ['Suspended', ['Healthy', 'Suspended']],
    ['Progressing', ['Suspended', 'Progressing', 'Healthy']],
    ['Unknown', ['Progressing', 'Unknown']],
    ['Missing', ['Unknown', 'Missing', 'Progressing']],
    ['Degraded', ['Missing', 'Degraded', 'Healthy']],
  ])('%s of %j', (worst, all) => {
    expect(worstHealth(all)).toBe(worst);
  });
});
