/**
 * What git said, as our errors. git has no codes, only sentences (fixed by LC_ALL=C): one table turns them into ours.
 */
import { PlumblineError, type Retry } from './error.ts';
import type { ErrorCode } from './error-codes.ts';
import { tailOf } from './exec.ts';

type Meaning = { said: RegExp; code: ErrorCode; message: (url: string, match: RegExpMatchArray) => string; hint?: string; retry?: Retry };

const grant = 'grant the GitHub App access to it, or correct spec.source';

const meanings: readonly Meaning[] = [
  {
    said: /Repository not found|[Rr]epository '[^']*' not found|returned error: 40[34]|Authentication failed|could not read Username|returned error: 401/,
    code: 'GIT_NO_ACCESS',
    message: (url) => `${url} was not found, or may not be read with this token`,
    hint: grant,
  },
  {
    said: /couldn't find remote ref (\S+)/,
    code: 'GIT_REF_NOT_FOUND',
    message: (url, match) => `${shortRef(match[1] ?? '')} is not there in ${url}`,
    hint: 'correct spec.source.revision, or push the branch',
  },
  {
    said: /not our ref ([0-9a-f]+)|unadvertised object ([0-9a-f]+)/,
    code: 'GIT_COMMIT_NOT_FOUND',
    message: (url, match) => `commit ${match[1] ?? match[2]} is not there in ${url}`,
    hint: 'it was replaced by a force push, or belongs to another repository',
  },
  {
    said: /Not a valid object name:? (.*)|bad object (.*)|unknown revision[^']*'?([^'\n]*)|could not parse as commit: (.*)|not something we can merge/,
    code: 'GIT_COMMIT_NOT_FOUND',
    message: (_, match) => `commit ${match.slice(1).find(Boolean) ?? ''} is not in this clone`,
    hint: 'with actions/checkout, set fetch-depth: 2',
  },
  {
    said: /unrelated histories|no merge base/i,
    code: 'GIT_NO_COMMON_HISTORY',
    message: () => 'the two commits have no common history, so they cannot be merged',
    hint: 'rebase the branch onto its base',
  },
  {
    said: /Could not resolve host|Failed to connect|Connection (refused|reset|timed out)|Operation too slow|returned error: (5\d\d|429)|early EOF|unexpected disconnect|the remote end hung up|Empty reply|RPC failed|Couldn't connect/,
    code: 'GIT_UNREACHABLE',
    message: (url) => `${url} did not answer`,
    hint: 'check that the host is reachable from here; the next look tries again',
    retry: 'later',
  },
  {
    said: /not a git repository/,
    code: 'GIT_NO_CLONE',
    message: () => 'this folder is not a git clone',
    hint: 'run actions/checkout first, or run inside a clone',
  },
  {
    said: /usage: git merge-tree/,
    code: 'GIT_TOO_OLD',
    message: () => 'this git cannot merge without a work tree: 2.38 or newer was expected',
    hint: 'install git 2.38 or newer (Debian 12 has 2.39)',
  },
];

/** The error for a git that ended with a status nobody expected; `stderr` is already without the token. */
export function faultOfGit(operands: readonly string[], stderr: string, url: string | undefined): PlumblineError {
  for (const { said, code, message, hint, retry } of meanings) {
    const match = stderr.match(said);
    if (!match) continue;
    return new PlumblineError(code, `${message(url ?? 'the remote', match)} (git: ${tailOf(stderr)})`, {
      ...(hint === undefined ? {} : { hint }),
      retry: retry ?? 'never',
    });
  }
  return new PlumblineError('GIT_FAILED', `git ${operands[0] ?? ''} failed: ${tailOf(stderr)}`, { retry: 'later' });
}

function shortRef(ref: string): string {
  return ref.replace(/^refs\/heads\//, 'branch ').replace(/^refs\/tags\//, 'tag ');
}
