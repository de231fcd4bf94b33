/**
 * Every code a user can meet, with what it means and what to do. `docs/errors.md` is generated from this table.
 * A code is a promise: it is never renamed or reused.
 */
type Explanation = { means: string; fix: string };

export const errorCodes = {
  INTERNAL: {
    means: 'Something happened that Plumbline does not know.',
    fix: 'Run it again; if it stays, open an issue with the message and the log lines before it.',
  },
} as const satisfies Record<string, Explanation>;

export type ErrorCode = keyof typeof errorCodes;
