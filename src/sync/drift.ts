/** What differs from Git in the cluster although nothing changed in Git, as people read it (SPEC 5). Pure. */
import { nameOf, refOf } from '../object.ts';
import { type Drifted, fieldManagerOf, type Project } from '../project.ts';
import { removeSecrets } from '../secrets.ts';
import type { Tried } from './dry-run.ts';
import { type Difference, differences } from './managed-fields.ts';

const MOST_FIELDS = 5;
const MOST_VALUE = 60;
const MOST_PATH = 200;

/** Of objects that were applied as Git still wants them: what somebody changed or removed since. A changed commit is no drift. */
export function driftOf(tried: Tried[], project: Project): Drifted[] {
  return tried.flatMap(({ apply, live, result }): Drifted[] => {
    const { entry, desired } = apply;
    if (!entry?.uid || entry.desired !== desired.hash) return [];
    const object = nameOf(refOf(desired.object));
    if (!live || live.metadata.deletionTimestamp) return [{ object, kind: 'resource', fields: ['in Git but not in cluster'] }];
    if (live.metadata.uid !== entry.uid) return [{ object, kind: 'resource', fields: ['somebody deleted it and made it anew'] }];
    const found = differences(live, result, fieldManagerOf(project));
    if (found.length === 0) return [];
    const fields = found.slice(0, MOST_FIELDS).map((one) => words(one, live.kind === 'Secret'));
    if (found.length > MOST_FIELDS) fields.push(`and ${found.length - MOST_FIELDS} more`);
    const kind = found.some((one) => one.path.endsWith('.image')) ? 'image' : 'configuration';
    return [{ object, kind, fields }];
  });
}

/** `.spec.replicas 3 -> 5 live, kubectl-edit 14:02 UTC`; of a Secret only that it changed. */
function words({ path, git, live, who }: Difference, isSecret: boolean): string {
  const change = isSecret ? 'changed' : live === undefined ? `${shown(git)} → removed` : `${shown(git)} → ${shown(live)} live`;
  // The end of a long path tells more than its beginning.
  const place = path.length <= MOST_PATH ? path : `…${path.slice(1 - MOST_PATH)}`;
  return `${place} ${change}${who ? `, ${who.manager}${who.time ? ` ${who.time.slice(11, 16)} UTC` : ''}` : ''}`;
}

function shown(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'nothing');
  const safe = removeSecrets(text);
  return safe.length <= MOST_VALUE ? safe : `${safe.slice(0, MOST_VALUE - 1)}…`;
}
