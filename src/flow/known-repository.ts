/** A repository from memory, asked about only once, with the reading token that its ETags are bound to. */
import { faultOf, PlumblineError } from '../error.ts';
import type { GitHub, Repository, Token } from '../github.ts';
import type { Memory } from './memory.ts';

/** A token is renewed before it can end in the middle of a look. */
const MARGIN_MS = 10 * 60_000;

export async function knownRepository(name: string, memory: Memory, github: GitHub | undefined, now: Date): Promise<Repository> {
  if (!github) {
    throw new PlumblineError('GITHUB_NOT_CONFIGURED', `${name} is on GitHub, and no App is configured`, {
      hint: 'put appId and privateKey of your GitHub App into the Secret plumbline-github in plumbline-system',
      retry: 'later',
    });
  }
  const isRemembered = memory.repositories[name.toLowerCase()] !== undefined;
  try {
    return await lookUp(name, memory, github, now);
  } catch (thrown) {
    const { code } = faultOf(thrown);
    if (!isRemembered || (code !== 'GITHUB_NOT_FOUND' && code !== 'GITHUB_FORBIDDEN')) throw thrown;
    forgetRepository(name, memory);
    return lookUp(name, memory, github, now);
  }
}

/** An App that was removed and installed again is another installation: what was known of the old one leads nowhere. */
export function forgetRepository(name: string, memory: Memory): void {
  delete memory.repositories[name.toLowerCase()];
}

/** Whether that is a name of the repository: its own, or one it had when it was asked for, from which GitHub redirects. */
export function isNameOf(name: string, repository: { id: number; fullName: string }, memory: Memory): boolean {
  const written = name.toLowerCase();
  return written === repository.fullName.toLowerCase() || memory.repositories[written]?.known.id === repository.id;
}

async function lookUp(name: string, memory: Memory, github: GitHub, now: Date): Promise<Repository> {
  const before = memory.repositories[name.toLowerCase()];
  const installationId = before?.known.installationId ?? (await github.installationOf(name)).installationId;
  const token = await readingToken(installationId, memory, github, now);
  if (before?.asOf === token.expiresAt) return github.knownRepository(before.known, token);
  const repository = await github.repository(installationId, name, token.token);
  const { id, fullName, cloneUrl, defaultBranch } = repository;
  const known = { id, fullName, cloneUrl, defaultBranch, installationId };
  memory.repositories[name.toLowerCase()] = {
    known,
    asOf: token.expiresAt,
    heads: before?.heads ?? { pulls: {}, groups: {} },
    comments: before?.comments ?? {},
  };
  return repository;
}

async function readingToken(installationId: number, memory: Memory, github: GitHub, now: Date): Promise<Token> {
  const remembered = memory.tokens[installationId];
  if (remembered && Date.parse(remembered.expiresAt) - now.getTime() > MARGIN_MS) return remembered;
  const token = await github.readingToken(installationId);
  memory.tokens[installationId] = token;
  // ETags answer only to the token that got them.
  for (const repository of Object.values(memory.repositories))
    if (repository.known.installationId === installationId) {
      delete repository.heads.etag;
      delete repository.comments.etag;
    }
  return token;
}
