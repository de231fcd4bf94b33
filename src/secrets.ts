/**
 * What must never be shown: credentials in free text, and the values of Secrets in objects.
 * Pure. Masking is decided from the parsed object, never from what a caller says it is (notes: CVE-2026-42880).
 */

// Every repetition is bounded: a file of a stranger may be one line of a million letters.
const credentials: [RegExp, string][] = [
  // GitHub tokens of every known prefix; since 2026 installation tokens may hold a JWT of any length.
  [/\b(gh[pousr]_|github_pat_)[A-Za-z0-9_.-]{10,}/g, '$1***'],
  [/\beyJ[A-Za-z0-9_-]{8,2000}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}/g, '***'],
  [/-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]{0,40}PRIVATE KEY-----|$)/g, '*** private key ***'],
  [/\b(Basic|Bearer|token)\s{1,8}[A-Za-z0-9+/_=.-]{12,}/gi, '$1 ***'],
  [/(\w[\w+.-]{0,30}:\/\/)[^/\s:@]{0,200}:[^/\s@]{1,2000}@/g, '$1***@'],
  [/\b(A3T[A-Z0-9]|AKIA|ASIA)[A-Z0-9]{16}\b/g, '***'],
];

/** Free text without credentials. Runs when an error is made, so that no later place can forget it. */
export function removeSecrets(text: string): string {
  return credentials.reduce((left, [pattern, replacement]) => left.replace(pattern, replacement), text);
}

type Fields = Record<string, unknown>;
const mask = '***';
/** Shown of a Secret, as long as they are of the type that they have in Kubernetes: anything can be written there. */
const shownOfSecret: Readonly<Record<string, string>> = {
  apiVersion: 'string',
  kind: 'string',
  metadata: 'object',
  type: 'string',
  immutable: 'boolean',
};

/**
 * Two versions of an object as they may be shown: values of a Secret tell only whether they are the same in both (no value, no
 * length, no hash). What is a Secret is decided from the object itself, in any case of letters and at any depth; what is no proper
 * object is masked whole.
 */
export function maskPair<T>(before: T | undefined, after: T | undefined): { before: T | undefined; after: T | undefined } {
  return { before: masked(before, after, false) as T | undefined, after: masked(after, before, true) as T | undefined };
}

/** One object as it may be shown. */
export function maskObject<T>(object: T): T {
  return maskPair(object, undefined).before as T;
}

function masked(value: unknown, other: unknown, after: boolean): unknown {
  if (value === undefined) return undefined;
  const isObject = isFields(value) && typeof value['kind'] === 'string' && typeof value['apiVersion'] === 'string';
  return isObject ? maskedFields(value, other, after) : maskedWhole(value, other, after);
}

function maskedFields(value: Fields, other: unknown, after: boolean): Fields {
  const secret = isSecret(value) || isSecret(other);
  const shown: Fields = {};
  for (const [key, inner] of Object.entries(value)) {
    const beside = fieldOf(other, key);
    if (secret && (!Object.hasOwn(shownOfSecret, key) || typeof inner !== shownOfSecret[key]))
      define(shown, key, maskedWhole(inner, beside, after));
    else if (key === 'annotations') define(shown, key, maskedAnnotations(inner, beside, after));
    else define(shown, key, maskedInside(inner, beside, after));
  }
  return shown;
}

function maskedInside(value: unknown, other: unknown, after: boolean): unknown {
  if (Array.isArray(value)) return value.map((item, index) => maskedInside(item, Array.isArray(other) ? other[index] : undefined, after));
  return isFields(value) ? maskedFields(value, other, after) : value;
}

/** kubectl keeps a copy of the whole object, values of Secrets included, in an annotation. */
function maskedAnnotations(value: unknown, other: unknown, after: boolean): unknown {
  if (!isFields(value)) return maskedInside(value, other, after);
  const shown: Fields = {};
  for (const [key, text] of Object.entries(value)) {
    const copy = /last-applied/i.test(key) || (typeof text === 'string' && /"(stringData|data)"\s*:/.test(text));
    define(shown, key, copy ? maskedLeaf(text, fieldOf(other, key), after) : text);
  }
  return shown;
}

function maskedWhole(value: unknown, other: unknown, after: boolean): unknown {
  if (Array.isArray(value)) return value.map((item, index) => maskedWhole(item, Array.isArray(other) ? other[index] : undefined, after));
  if (!isFields(value)) return maskedLeaf(value, other, after);
  const shown: Fields = {};
  for (const [key, inner] of Object.entries(value)) define(shown, key, maskedWhole(inner, fieldOf(other, key), after));
  return shown;
}

function maskedLeaf(value: unknown, other: unknown, after: boolean): string {
  return after && other !== undefined && JSON.stringify(value) !== JSON.stringify(other) ? `${mask} (changed)` : mask;
}

function isSecret(value: unknown): boolean {
  return isFields(value) && typeof value['kind'] === 'string' && value['kind'].trim().toLowerCase() === 'secret';
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function fieldOf(value: unknown, key: string): unknown {
  return isFields(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

/** `__proto__` stays a key like any other. */
function define(into: Fields, key: string, value: unknown): void {
  Object.defineProperty(into, key, { value, enumerable: true, configurable: true, writable: true });
}
