/**
 * What a control plane leaves on disk while it lives, and how leftovers of dead ones are found.
 *
 *     FOLDER/owners.json      who asked for it (written first, by them); when one of these is gone, so is the plane
 *     FOLDER/supervisor.json  the process that starts, restarts and ends everything else
 *     FOLDER/plane.json       where it answers; written when it answers
 */
import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { isAlive, signalTo } from './identity.mjs';

export type Component = 'etcd' | 'kube-apiserver' | 'kube-controller-manager' | 'kube-scheduler';

export type PlaneRecord = {
  url: string;
  /** PEM. */
  ca: string;
  /** Of `system:masters`. */
  token: string;
  /** Path. */
  kubeconfig: string;
  components: Record<Component, string>;
};

/** Every plane of this user on this machine lives below this folder. */
export function planesFolder(): string {
  // Pods put Unix sockets below it, whose paths may have 107 bytes: some systems' own temporary folder is too deep for that.
  const base = tmpdir().length > 32 ? '/tmp' : tmpdir();
  const folder = join(base, `plumbline-cluster-${userInfo().uid}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const stat = lstatSync(folder);
  // The name can be guessed, so in a shared temporary folder somebody else may have made it first.
  if (!stat.isDirectory() || (process.getuid !== undefined && stat.uid !== process.getuid()))
    throw new Error(`${folder} belongs to somebody else: remove it, or set TMPDIR to a folder of your own`);
  chmodSync(folder, 0o700);
  return folder;
}

export function readRecord<T>(folder: string, name: 'owners' | 'supervisor' | 'plane'): T | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')) as T;
  } catch {
    return undefined;
  }
}

/** By rename, so that a reader sees all of it or nothing. */
export function writeRecord(folder: string, name: 'owners' | 'supervisor' | 'plane', value: unknown): void {
  const draft = join(folder, `${name}.json.draft`);
  writeFileSync(draft, JSON.stringify(value), { mode: 0o600 });
  renameSync(draft, join(folder, `${name}.json`));
}

/** A process of a pod notes itself here, so that it ends with the plane even when its node was killed. */
export function processesFolder(folder: string): string {
  return join(folder, 'processes');
}

export function noteProcess(folder: string, identity: string): () => void {
  const note = join(processesFolder(folder), identity);
  writeFileSync(note, '');
  return () => rmSync(note, { force: true });
}

/** Ends what is left of a plane whose supervisor is gone (or is about to go), and removes its folder. */
export function removePlane(folder: string): void {
  const record = readRecord<PlaneRecord>(folder, 'plane');
  const processes = [...Object.values(record?.components ?? {}), ...namesIn(processesFolder(folder))];
  for (const identity of processes) signalTo(identity, 'SIGKILL', 'group');
  // The killed may still be writing their last file.
  rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
}

/** Removes what planes left behind whose owner or supervisor was killed together with everything that would have cleaned up. */
export function sweep(): void {
  const base = planesFolder();
  for (const name of namesIn(base)) {
    const folder = join(base, name);
    const supervisor = readRecord<string>(folder, 'supervisor');
    if (supervisor !== undefined && isAlive(supervisor)) continue;
    const owners = readRecord<string[]>(folder, 'owners');
    // Living owners and no supervisor yet: it is just being started.
    if (supervisor === undefined && owners?.every(isAlive)) continue;
    if (owners === undefined && isYoung(folder)) continue;
    removePlane(folder);
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function isYoung(folder: string): boolean {
  try {
    return Date.now() - lstatSync(folder).mtimeMs < 10_000;
  } catch {
    return true;
  }
}
