/** One process at a time does a long, repeatable piece of set-up; the others wait for it. */
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { identityOf, isAlive } from '../test/support/cluster/identity.mjs';

/**
 * Runs `work` while no other living process holds `path`. A lock whose holder died is taken over. Two that take over in the same
 * instant may both work: what is done under a lock must end in one atomic rename, so that this costs time and nothing else.
 * @template T
 * @param {string} path
 * @param {() => void} waiting called once, when somebody else holds it
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withLock(path, waiting, work) {
  mkdirSync(dirname(path), { recursive: true });
  const mine = identityOf(process.pid) ?? `${process.pid}:`;
  let said = false;
  while (!taken(path, mine)) {
    const holder = readHolder(path);
    if (holder !== undefined && !isAlive(holder)) discard(path);
    else if (!said) {
      waiting();
      said = true;
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  try {
    return await work();
  } finally {
    if (readHolder(path) === mine) rmSync(path, { force: true });
  }
}

/** @param {string} path @param {string} mine */
function taken(path, mine) {
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, mine);
  try {
    // A link appears with its content or not at all: a lock is never seen without its holder's name.
    linkSync(draft, path);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

/** @param {string} path */
function readHolder(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** @param {string} path */
function discard(path) {
  const aside = `${path}.${process.pid}.old`;
  try {
    renameSync(path, aside);
    rmSync(aside, { force: true });
  } catch {
    // Another process was quicker.
  }
}
