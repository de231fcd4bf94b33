/** The pages that people read, and what stands in them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '../..');

/** `path` is relative to the repository's root. */
export type Page = { path: string; text: string };
/** `language`: the first word behind the fence; `isTested`: the second is `tested`, so a test carries it out as it stands. */
export type Block = { page: string; line: number; language: string; isTested: boolean; text: string };

/** README, CONTRIBUTING, AGENTS and everything in docs/; the generated list of codes only when asked for. */
export function readPages(): Page[] {
  const pages = readdirSync(join(root, 'docs')).filter((file) => file.endsWith('.md'));
  return ['README.md', 'CONTRIBUTING.md', 'AGENTS.md', ...pages.map((file) => `docs/${file}`)].map(readPage);
}

export function readPage(path: string): Page {
  return { path, text: readFileSync(join(root, path), 'utf8') };
}

export function blocksOf({ path, text }: Page): Block[] {
  return [...text.matchAll(/^```(\w*)( tested)?\n([\s\S]*?)^```$/gm)].map((match) => ({
    page: path,
    line: text.slice(0, match.index).split('\n').length,
    language: match[1] ?? '',
    isTested: match[2] !== undefined,
    text: match[3] ?? '',
  }));
}
