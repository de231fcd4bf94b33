/**
 * What strangers wrote, made harmless where it is shown: no mention, link, HTML, workflow command, colour or reversed text comes of
 * a name or a value (notes: faults F48). Pure.
 */

// Control characters, what reverses or hides text, and lone halves of surrogate pairs.
const unseen =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** Every character that cannot be seen as its escape; line breaks and tabs stay. */
export function visible(text: string): string {
  return text.replace(unseen, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** One line of Markdown in which the text means nothing but itself; fits into a table. */
export function code(text: string, length = 200): string {
  const line = shortened(visible(text).replace(/\s+/g, ' ').trim(), length) || ' ';
  const quotes = '`'.repeat(longestRun(line) + 1);
  const padding = line.startsWith('`') || line.endsWith('`') ? ' ' : '';
  return `${quotes}${padding}${line}${padding}${quotes}`.replaceAll('|', '\\|');
}

/** A block that nothing inside can close. */
export function fence(language: string, text: string): string {
  const quotes = '`'.repeat(Math.max(3, longestRun(text) + 1));
  return `${quotes}${language}\n${visible(text)}\n${quotes}\n`;
}

/** Plain words in a title or log line: nothing that GitHub or the Actions log would act on. */
export function plain(text: string, length = 200): string {
  const line = visible(text).replace(/\s+/g, ' ').replaceAll('::', ': :').replaceAll('##[', '## [').replaceAll('@', '@\u2060');
  return shortened(line.replaceAll('<', '‹').replaceAll('>', '›').replaceAll('`', "'"), length);
}

/** At most `length` characters, cut between characters and never inside one. */
export function shortened(text: string, length: number): string {
  if (text.length <= length) return text;
  const cut = text.slice(0, length - 1);
  return `${/[\ud800-\udbff]$/.test(cut) ? cut.slice(0, -1) : cut}…`;
}

function longestRun(text: string): number {
  return Math.max(0, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
}
