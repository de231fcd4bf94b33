/**
 * Plain scalars as Kubernetes reads them: YAML 1.1 in the dialect of `sigs.k8s.io/yaml` (`yes` is true, `0777` is 511, `1_000` is
 * 1000, dates and `12:30` stay text). `test/fixtures/render/yaml-verdicts.json` holds that decoder's own answers.
 */

/** A value, or why it would not arrive as it is written; a problem never quotes the value, which may be a secret. */
export type ScalarReading = { value: string | number | boolean | null } | { problem: string };

const words = new Map<string, boolean | null>([
  ...['y', 'yes', 'true', 'on'].flatMap((word) => spellings(word).map((spelled) => [spelled, true] as const)),
  ...['n', 'no', 'false', 'off'].flatMap((word) => spellings(word).map((spelled) => [spelled, false] as const)),
  ...['', '~', 'null', 'Null', 'NULL'].map((spelled) => [spelled, null] as const),
]);

const integer = /^[-+]?(0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|0|[1-9][0-9]*)$/;
const float = /^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/;
const notFinite = /^([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$/;
const longest = 2n ** 64n;

/** A scalar without quotes and without a tag. */
export function readPlain(source: string): ScalarReading {
  const word = words.get(source);
  if (word !== undefined) return { value: word };
  if (!/^[-+.0-9]/.test(source)) return { value: source };
  if (notFinite.test(source)) return { problem: `${source} is not a number that JSON can hold` };
  // Underscores are dropped, but not after a leading point.
  const digits = source.startsWith('.') ? source : source.replaceAll('_', '');
  if (integer.test(digits)) return readInteger(source, digits);
  if (!float.test(digits)) return { value: source };
  const value = Number(digits);
  if (!Number.isFinite(value)) return { value: source };
  if (/^[-+]?[0-9]+$/.test(digits) && !Number.isSafeInteger(value)) return { problem: inexact(source) };
  return { value };
}

/** A scalar with one of YAML's own tags (`!!int "3"`). */
export function readTagged(tag: string, source: string): ScalarReading {
  if (tag === 'tag:yaml.org,2002:str') return { value: source };
  const reading = readPlain(source);
  if ('problem' in reading) return reading;
  const { value } = reading;
  const fits =
    (tag === 'tag:yaml.org,2002:int' && Number.isInteger(value) && isWhole(source)) ||
    (tag === 'tag:yaml.org,2002:float' && typeof value === 'number') ||
    (tag === 'tag:yaml.org,2002:bool' && typeof value === 'boolean') ||
    (tag === 'tag:yaml.org,2002:null' && value === null);
  return fits ? { value } : { problem: `the tag ${tag.replace('tag:yaml.org,2002:', '!!')} does not fit the value` };
}

/** Written as a whole number: `3.0` and `1e3` have the value of one and are none. */
export function isWhole(source: string): boolean {
  return integer.test(source.replaceAll('_', '')) || /^[-+]?[0-9_]+$/.test(source);
}

function spellings(word: string): string[] {
  return [...new Set([word, `${word.charAt(0).toUpperCase()}${word.slice(1)}`, word.toUpperCase()])];
}

function readInteger(source: string, digits: string): ScalarReading {
  const sign = digits.startsWith('-') ? -1n : 1n;
  const bare = digits.replace(/^[-+]/, '');
  const octal = /^0[0-7]+$/.test(bare);
  const value = sign * BigInt(octal ? `0o${bare.slice(1)}` : bare.toLowerCase());
  // Beyond 64 bits a prefixed number stays text, a decimal one is rounded.
  if ((value >= longest || value < -longest / 2n) && /^0[xXoObB]/.test(bare)) return { value: source };
  const number = Number(value);
  return Number.isSafeInteger(number) ? { value: number } : { problem: inexact(source) };
}

function inexact(source: string): string {
  return `a number of ${source.length} digits is too long to arrive unchanged; quote it when it is meant as text`;
}
