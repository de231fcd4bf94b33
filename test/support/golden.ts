/**
 * Golden files: what was once looked at by a person and must stay. `UPDATE_GOLDEN=1 npm test` writes them anew, to be read in the diff.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { expect } from '@jest/globals';
import type { TreeFile } from '../../src/render/render.ts';

export function expectGolden(file: string, text: string): void {
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file, text);
  expect(existsSync(file)).toBe(true);
  expect(text).toBe(readFileSync(file, 'utf8'));
}

/** The manifests of a folder as `readTree` gives them, sorted by path. */
export function treeOf(folder: string): TreeFile[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(ya?ml|json)$/i.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((place) => ({ path: relative(folder, place).split(sep).join('/'), text: readFileSync(place, 'utf8') }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** The cases of a room: every folder below its fixtures. */
export function casesOf(room: string): string[] {
  const folder = join(import.meta.dirname, '..', 'fixtures', room);
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort();
}

export function fixture(...parts: string[]): string {
  return join(import.meta.dirname, '..', 'fixtures', ...parts);
}
