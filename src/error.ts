/**
 * The one shape of everything that can go wrong, and the one formatter that words it.
 *
 * A {@link Finding} is a value about the user's files, collected all at once. A {@link PlumblineError} is thrown only when we
 * cannot go on. Secrets are removed when either is made, not when it is shown (DESIGN "Errors").
 */
import type { ErrorCode } from './error-codes.ts';
import { removeSecrets } from './secrets.ts';

/** Where: a file of the repository (1-based line and column), an object (`Kind/namespace/name`), a field (JSON pointer). */
export type Location = { file?: string; line?: number; column?: number; object?: string; field?: string };

/** `message` is lower case and names the offending value and what was expected; `hint` says what to do. */
export type Fault = { code: ErrorCode; message: string; hint?: string; at?: Location };

/** A fault in the user's files: a value, never thrown. */
export type Finding = Fault & { severity: 'error' | 'warning' };

/** `later`: the same call may succeed in a while (outage, limit); `never`: somebody has to change something first. */
export type Retry = 'never' | 'later';

type ErrorDetails = { hint?: string; at?: Location; retry?: Retry; cause?: unknown };

/** Thrown when we cannot go on. Test by `code`, never by class: jest runs modules in realms of their own. */
export class PlumblineError extends Error {
  override readonly name = 'PlumblineError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly at: Location | undefined;
  readonly retry: Retry;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(removeSecrets(message), details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.hint = details.hint === undefined ? undefined : removeSecrets(details.hint);
    this.at = details.at;
    this.retry = details.retry ?? 'never';
  }
}

/** A finding with its secrets removed. */
export function finding(
  severity: Finding['severity'],
  code: ErrorCode,
  message: string,
  rest: Omit<Fault, 'code' | 'message'> = {},
): Finding {
  const made: Finding = { severity, code, message: removeSecrets(message) };
  if (rest.hint !== undefined) made.hint = removeSecrets(rest.hint);
  if (rest.at !== undefined) made.at = rest.at;
  return made;
}

/** Anything thrown, as a fault: outermost catches handle whatever arrives. */
export function faultOf(thrown: unknown): Fault & { retry: Retry } {
  if (isPlumblineError(thrown)) {
    const fault: Fault & { retry: Retry } = { code: thrown.code, message: thrown.message, retry: thrown.retry };
    if (thrown.hint !== undefined) fault.hint = thrown.hint;
    if (thrown.at !== undefined) fault.at = thrown.at;
    return fault;
  }
  const text = typeof thrown === 'object' && thrown !== null && 'message' in thrown ? String(thrown.message) : String(thrown);
  return { code: 'INTERNAL', message: removeSecrets(text) || 'something without a message was thrown', retry: 'later' };
}

export function isPlumblineError(thrown: unknown): thrown is PlumblineError {
  return typeof thrown === 'object' && thrown !== null && 'name' in thrown && thrown.name === 'PlumblineError' && 'code' in thrown;
}

/**
 * The only wording machine: logs, comments, checks and the terminal all use it.
 *
 *     error MANIFEST_UNPARSABLE  a mapping was expected, found a list
 *       at k8s/web.yaml:14:5 Deployment/shop/web /spec/replicas
 *       hint: …
 */
export function formatFault(fault: Fault & { severity?: Finding['severity'] }): string {
  const lines = [`${fault.severity ?? 'error'} ${fault.code}  ${fault.message}`];
  const place = formatLocation(fault.at);
  if (place) lines.push(`  at ${place}`);
  if (fault.hint) lines.push(`  hint: ${fault.hint}`);
  return lines.join('\n');
}

/** `k8s/web.yaml:14:5 Deployment/shop/web /spec/replicas`, without what is unknown; empty when nothing is known. */
export function formatLocation(at: Location | undefined): string {
  if (!at) return '';
  const place = [at.file, at.line, at.column].filter((part) => part !== undefined).join(':');
  return [place, at.object, at.field].filter(Boolean).join(' ');
}
