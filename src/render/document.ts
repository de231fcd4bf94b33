/**
 * Text to documents: values with the line of every field, or findings with line and column. Bounded before it is understood:
 * depth, keys, references and documents are counted while the tokens come (notes: faults 8), so that no file can hang or kill us.
 */
import { Composer, type CST, type Document, Lexer, LineCounter, Parser } from 'yaml';
import { type Finding, finding } from '../error.ts';
import type { ErrorCode } from '../error-codes.ts';
import { type Built, buildValue } from './value.ts';

export const yamlLimits = {
  fileBytes: 1024 * 1024,
  depth: 64,
  keys: 2_000,
  references: 1_000,
  documents: 5_000,
  lexemes: 500_000,
} as const;

/** `line` is that of the document's first field; `lines` maps JSON pointers to lines. */
export type ReadDocument = { value: unknown; line: number; lines: Record<string, number> };

export type ReadFile = { documents: ReadDocument[]; findings: Finding[] };

type Fail = { offset: number; code: ErrorCode; message: string; hint?: string };

const findingsOfDocument = 5;

/** Every document of a file that holds something; a document with a fault is left out and its faults are found, all at once. */
export function readDocuments(file: string, text: string): ReadFile {
  const counter = new LineCounter();
  const report = (fail: Fail): Finding => {
    const { line, col } = counter.linePos(fail.offset);
    const hint = fail.hint === undefined ? {} : { hint: fail.hint };
    return finding('error', fail.code, fail.message, { at: { file, line: Math.max(line, 1), column: Math.max(col, 1) }, ...hint });
  };
  const source = text.replace(/^\ufeff/, '');
  const refused = unfit(source);
  if (refused) {
    for (let at = source.indexOf('\n'); at >= 0 && at < refused.offset; at = source.indexOf('\n', at + 1)) counter.addNewLine(at + 1);
    counter.lineStarts.unshift(0);
    return { documents: [], findings: [report(refused)] };
  }
  const tokens = tokenize(source, counter);
  if ('code' in tokens) return { documents: [], findings: [report(tokens)] };
  const json = /\.json$/i.test(file);
  const read: ReadFile = { documents: [], findings: [] };
  const options = { schema: 'failsafe', version: '1.1', uniqueKeys: false, prettyErrors: false, lineCounter: counter } as const;
  for (const document of new Composer(options).compose(tokens)) {
    const fails = failsOf(document, json);
    const built: Built =
      fails.length > 0 ? { value: undefined, lines: {}, fails } : buildValue(document, counter, json ? undefined : source);
    read.findings.push(...built.fails.slice(0, findingsOfDocument).map(report));
    const start = document.contents?.range?.[0];
    if (built.fails.length > 0 || start === undefined || built.value === null) continue;
    read.documents.push({ value: built.value, line: counter.linePos(start).line, lines: built.lines });
  }
  return read;
}

/** What cannot be a manifest whatever its syntax: the first such place. */
function unfit(text: string): Fail | undefined {
  if (Buffer.byteLength(text) > yamlLimits.fileBytes) {
    return { offset: 0, code: 'FILE_NOT_READ', message: `the file holds more than ${yamlLimits.fileBytes} bytes`, hint: 'split the file' };
  }
  if (text.startsWith('version https://git-lfs.github.com/spec/')) {
    return {
      offset: 0,
      code: 'FILE_NOT_READ',
      message: 'this is a Git LFS pointer, not the file itself',
      hint: 'keep manifests out of Git LFS',
    };
  }
  // The three separators are line breaks for Kubernetes' reader and ordinary characters for others.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  const odd = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]/.exec(text);
  if (!odd) return undefined;
  const named = `U+${odd[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
  return { offset: odd.index, code: 'YAML_UNPARSABLE', message: `the control character ${named} is not allowed in a manifest` };
}

/** The tokens of a text within the limits, or the first place beyond one. Lexer and parser keep their own stacks: no recursion. */
function tokenize(text: string, counter: LineCounter): CST.Token[] | Fail {
  const parser = new Parser(counter.addNewLine);
  const tokens: CST.Token[] = [];
  const seen = { lexemes: 0, references: 0, documents: 0 };
  // The parser tells each new line but the first.
  counter.addNewLine(0);
  for (const lexeme of new Lexer().lex(text)) {
    const before = parser.offset;
    for (const token of parser.next(lexeme)) {
      tokens.push(token);
      if (token.type === 'document') seen.documents += 1;
    }
    seen.lexemes += 1;
    if (/^[&*!]./.test(lexeme)) seen.references += 1;
    const wrong = lexeme.startsWith('"') ? wrongEscape(lexeme) : undefined;
    if (wrong) return { ...wrong, offset: before + wrong.offset };
    const beyond = beyondLimit(seen, parser.stack);
    if (beyond) return { offset: parser.offset, code: 'YAML_TOO_COMPLEX', message: beyond, hint: 'split the file' };
  }
  tokens.push(...parser.end());
  return tokens;
}

function beyondLimit(seen: { lexemes: number; references: number; documents: number }, stack: readonly CST.Token[]): string | undefined {
  if (seen.lexemes > yamlLimits.lexemes) return `the file holds more than ${yamlLimits.lexemes} words and signs`;
  if (seen.documents > yamlLimits.documents) return `the file holds more than ${yamlLimits.documents} documents`;
  if (seen.references > yamlLimits.references) return `the file holds more than ${yamlLimits.references} anchors, aliases and tags`;
  if (stack.length > yamlLimits.depth && depthOf(stack) > yamlLimits.depth)
    return `the file is nested deeper than ${yamlLimits.depth} levels`;
  const top = stack.at(-1);
  const mapping = top?.type === 'block-map' || (top?.type === 'flow-collection' && top.start.source === '{');
  return mapping && top.items.length > yamlLimits.keys ? `a mapping holds more than ${yamlLimits.keys} keys` : undefined;
}

/** The first escape that is none: the reader would report each of a million. */
function wrongEscape(quoted: string): Fail | undefined {
  for (const match of quoted.matchAll(/\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0abtnvfreNLP_ "/\\\t\r\n])?/g)) {
    if (match[1] !== undefined) continue;
    const message = `${JSON.stringify(quoted.slice(match.index, match.index + 2))} is not an escape of double quotes`;
    return { offset: match.index, code: 'YAML_UNPARSABLE', message, hint: 'double the backslash, or use single quotes' };
  }
  return undefined;
}

function depthOf(stack: readonly CST.Token[]): number {
  return stack.filter(({ type }) => type === 'block-map' || type === 'block-seq' || type === 'flow-collection').length;
}

function failsOf(document: Document.Parsed, json: boolean): Fail[] {
  const fails: Fail[] = [];
  for (const { code, message, pos } of document.errors) {
    // JSON is indented by tabs as often as not.
    if (json && code === 'TAB_AS_INDENT') continue;
    fails.push({ offset: pos[0], code: 'YAML_UNPARSABLE', message: sentence(message) });
  }
  if (document.directives.yaml.explicit && document.directives.yaml.version !== '1.1') {
    fails.push({
      offset: 0,
      code: 'YAML_UNPARSABLE',
      message: `%YAML ${document.directives.yaml.version} is not read by Kubernetes; remove the line`,
    });
  }
  return fails;
}

/** The reader's sentences in our style: lower case, no full stop, and without the text it quotes, which may be a secret. */
function sentence(message: string): string {
  const bare = message.replace(/(stream|document|token|characters|found): .*$/s, '$1');
  return (bare.charAt(0).toLowerCase() + bare.slice(1)).replace(/\.$/, '');
}
