/**
 * What an API server's refusal means, as one error. Pure.
 *
 * Server-side apply answers users' mistakes with HTTP 500 and no reason (`failed to create typed patch object`); a 404 may mean the
 * object, its namespace or its kind; messages echo whole objects. All of that is sorted out here, once.
 */

import { isPlumblineError, PlumblineError, type Retry } from './error.ts';
import type { ErrorCode } from './error-codes.ts';
import { nameOf, type ObjectRef } from './object.ts';

/** `metav1.Status`, as far as we read it. */
export type ApiStatus = {
  kind?: string;
  message?: string;
  reason?: string;
  code?: number;
  details?: { name?: string; kind?: string; group?: string; causes?: { reason?: string; message?: string; field?: string }[] };
};

/** Carried as the error's cause, for those who need to know more than the code. Never holds an object's content. */
export type ApiRefusal = { status: number; reason: string; missing: string | undefined; fields: string[]; managers: string[] };

/** The object's fault although the server says 500: trying again cannot help. */
const objectsFault = /^failed to create typed patch object|^request to convert CR|request is too large/;

export function apiError(status: number, body: ApiStatus | string, about?: ObjectRef): PlumblineError {
  const answer: ApiStatus = typeof body === 'string' ? { message: body.trim() } : body;
  const message = answer.message ?? '';
  const causes = answer.details?.causes ?? [];
  const refusal: ApiRefusal = {
    status,
    reason: answer.reason ?? '',
    missing: status === 404 ? missingThing(answer, about) : undefined,
    fields: fieldsOf(message, causes),
    managers: [...message.matchAll(/conflicts? with "((?:[^"\\]|\\.)*)"/g)].map((match) => match[1] ?? ''),
  };
  const { code, retry } = verdict(refusal, message);
  // A refusal may echo what it refuses; of a Secret only the fields' names may leave.
  const isSecret = about?.kind === 'Secret';
  const words = isSecret
    ? `${secretReason(message) ?? (refusal.reason || `HTTP ${status}`)}${refusal.fields.length ? ` at ${refusal.fields.join(', ')}` : ''}`
    : message;
  const field = refusal.fields[0];
  return new PlumblineError(code, about ? `${nameOf(about)}: ${words}` : words || `HTTP ${status}`, {
    retry,
    cause: refusal,
    ...(about ? { at: { object: nameOf(about), ...(field ? { field } : {}) } } : {}),
    ...hintOf(code, refusal, message),
  });
}

/** In words of ours only. */
function secretReason(message: string): string | undefined {
  return message.includes('illegal base64') ? 'a value under data is not base64; plain text goes under stringData' : undefined;
}

function verdict({ status, missing }: ApiRefusal, message: string): { code: ErrorCode; retry: Retry } {
  if (objectsFault.test(message)) return { code: 'API_INVALID', retry: 'never' };
  if (status === 404 && missing === 'namespace') return { code: 'NAMESPACE_NOT_FOUND', retry: 'never' };
  if (status === 404 && missing === undefined) return { code: 'KIND_NOT_SERVED', retry: 'never' };
  const known: Record<number, { code: ErrorCode; retry: Retry }> = {
    400: { code: 'API_INVALID', retry: 'never' },
    401: { code: 'API_UNAUTHORIZED', retry: 'never' },
    403: { code: 'API_FORBIDDEN', retry: 'never' },
    404: { code: 'API_NOT_FOUND', retry: 'never' },
    409: { code: 'API_CONFLICT', retry: 'never' },
    410: { code: 'API_EXPIRED', retry: 'later' },
    413: { code: 'API_INVALID', retry: 'never' },
    415: { code: 'API_INVALID', retry: 'never' },
    422: { code: 'API_INVALID', retry: 'never' },
    429: { code: 'API_THROTTLED', retry: 'later' },
  };
  return known[status] ?? { code: 'API_SERVER_ERROR', retry: 'later' };
}

/** Which thing a 404 is about: told apart by the body only; a plain-text 404 is a path that nobody serves. */
function missingThing({ kind, reason, details }: ApiStatus, about: ObjectRef | undefined): string | undefined {
  if (kind !== 'Status' || reason !== 'NotFound' || !details?.name) return undefined;
  return details.kind === 'namespaces' && about?.kind !== 'Namespace' ? 'namespace' : 'object';
}

/** Fields as JSON pointers or dotted paths, as the server gave them: causes first, else `.spec.x` in the message. */
function fieldsOf(message: string, causes: { field?: string }[]): string[] {
  const named = causes.map((cause) => cause.field).filter((field): field is string => !!field);
  if (named.length > 0) return [...new Set(named)];
  const path = /(?:^|\s)(\.(?:spec|data|metadata|stringData|rules)[\w.[\]="-]*)/.exec(message);
  return path?.[1] ? [path[1].replace(/[:.]$/, '')] : [];
}

function hintOf(code: ErrorCode, { managers }: ApiRefusal, message: string): { hint?: string } {
  if (code === 'API_CONFLICT' && managers.length > 0) {
    return { hint: `${managers.join(', ')} holds the field: remove it from Git, or let Plumbline take it over` };
  }
  if (code === 'API_FORBIDDEN' && message.includes('cannot impersonate resource "serviceaccounts"')) {
    return {
      hint: 'the runner may act as accounts called plumbline only: leave serviceAccountName out, or grant it impersonate on that account',
    };
  }
  return {};
}

/** The API server said: this very object is not there. Not its namespace, not its kind. */
export function isObjectMissing(thrown: unknown): boolean {
  return isPlumblineError(thrown) && thrown.code === 'API_NOT_FOUND';
}

export function refusalOf(thrown: unknown): ApiRefusal | undefined {
  if (!isPlumblineError(thrown) || typeof thrown.cause !== 'object' || thrown.cause === null || !('managers' in thrown.cause))
    return undefined;
  return thrown.cause as ApiRefusal;
}

export function unreachable(server: string, cause: unknown): PlumblineError {
  const deepest = rootOf(cause);
  return new PlumblineError('CLUSTER_UNREACHABLE', `the API server ${server} did not answer: ${deepest}`, {
    retry: 'later',
    cause,
    hint: 'check that the cluster runs and that this machine may reach it',
  });
}

/** fetch says only "fetch failed"; what happened stands in the innermost cause. */
function rootOf(cause: unknown): string {
  let at = cause;
  while (typeof at === 'object' && at !== null && 'cause' in at && at.cause) at = at.cause;
  return typeof at === 'object' && at !== null && 'message' in at ? String(at.message) : String(at);
}
