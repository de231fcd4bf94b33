import { describe, expect, test } from '@jest/globals';
import { faultOfGit } from '../../src/git-fault.ts';

const url = 'https://github.com/acme/api.git';

describe("git's sentences", () => {
  test.each([
    ["remote: Repository not found.\nfatal: repository 'https://github.com/acme/api.git/' not found", 'GIT_NO_ACCESS', 'never'],
    ["fatal: could not read Username for 'https://github.com': terminal prompts disabled", 'GIT_NO_ACCESS', 'never'],
    ['fatal: unable to access: The requested URL returned error: 403', 'GIT_NO_ACCESS', 'never'],
    ['fatal: unable to access: The requested URL returned error: 429', 'GIT_UNREACHABLE', 'later'],
    ['fatal: unable to access: Could not resolve host: github.com', 'GIT_UNREACHABLE', 'later'],
    ['error: RPC failed; curl 92 HTTP/2 stream 5 was not closed cleanly\nfatal: early EOF', 'GIT_UNREACHABLE', 'later'],
    ["fatal: couldn't find remote ref refs/heads/gone", 'GIT_REF_NOT_FOUND', 'never'],
    ['fatal: remote error: upload-pack: not our ref 1111', 'GIT_COMMIT_NOT_FOUND', 'never'],
    ['usage: git merge-tree <base-tree> <branch1> <branch2>', 'GIT_TOO_OLD', 'never'],
    ['fatal: refusing to merge unrelated histories', 'GIT_NO_COMMON_HISTORY', 'never'],
    ['fatal: something new', 'GIT_FAILED', 'later'],
  ])('%j is %s, to be tried again: %s', (said, code, retry) => {
    expect(faultOfGit(['fetch'], said, url)).toMatchObject({ code, retry });
  });

  test('name the branch that is missing, and what git said', () => {
    const { message } = faultOfGit(['fetch'], "fatal: couldn't find remote ref refs/heads/gone", url);
    expect(message).toBe(
      "branch gone is not there in https://github.com/acme/api.git (git: fatal: couldn't find remote ref refs/heads/gone)",
    );
  });
});
