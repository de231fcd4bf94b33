/**
 * What must never be shown: credentials in free text, and the values of Secrets in objects.
 * Pure. Masking is decided from the parsed object, never from what a caller says it is (notes: CVE-2026-42880).
 */

const credentials: [RegExp, string][] = [
  // GitHub tokens of every known prefix; since 2026 installation tokens may hold a JWT of any length.
  [/\b(gh[pousr]_|github_pat_)[A-Za-z0-9_.-]{10,}/g, '$1***'],
  [/\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}/g, '***'],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)/g, '*** private key ***'],
  [/\b(Basic|Bearer|token)\s+[A-Za-z0-9+/_=.-]{12,}/gi, '$1 ***'],
  [/(\w[\w+.-]*:\/\/)[^/\s:@]*:[^/\s@]+@/g, '$1***@'],
  [/\b(A3T[A-Z0-9]|AKIA|ASIA)[A-Z0-9]{16}\b/g, '***'],
];

/** Free text without credentials. Runs when an error is made, so that no later place can forget it. */
export function removeSecrets(text: string): string {
  return credentials.reduce((left, [pattern, replacement]) => left.replace(pattern, replacement), text);
}
