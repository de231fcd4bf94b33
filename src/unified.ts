/** Two versions of an object as a line diff of their YAML. Pure. */
import { stringify } from 'yaml';
import type { KubeObject } from './object.ts';

type Edit = { sign: ' ' | '-' | '+'; line: string };

const context = 3;
/** Beyond so many differing lines the search for the smallest diff stops: everything goes, everything comes. */
const mostEdits = 1_500;

/** Lines that begin with `+`, `-`, a blank, or `@@` between two places; all `+` for a new object, all `-` for one that goes. */
export function unifiedDiff(before: KubeObject | undefined, after: KubeObject | undefined): string[] {
  const edits = editsOf(linesOf(before), linesOf(after));
  const near = edits.map(() => false);
  for (const [index, { sign }] of edits.entries()) {
    if (sign === ' ') continue;
    for (let at = Math.max(0, index - context); at <= Math.min(edits.length - 1, index + context); at += 1) near[at] = true;
  }
  const shown: string[] = [];
  let line = 0;
  for (const [index, { sign, line: text }] of edits.entries()) {
    if (sign !== '-') line += 1;
    if (!near[index]) continue;
    if (index > 0 && !near[index - 1]) shown.push(`@@ line ${Math.max(1, line)} @@`);
    shown.push(`${sign}${text}`);
  }
  return shown;
}

function linesOf(object: KubeObject | undefined): string[] {
  if (!object) return [];
  return stringify(object, { lineWidth: 0, aliasDuplicateObjects: false, version: '1.1' }).trimEnd().split('\n');
}

function editsOf(was: string[], is: string[]): Edit[] {
  let start = 0;
  while (start < was.length && start < is.length && was[start] === is[start]) start += 1;
  let end = 0;
  while (end < was.length - start && end < is.length - start && was[was.length - 1 - end] === is[is.length - 1 - end]) end += 1;
  const kept = (lines: string[]): Edit[] => lines.map((line) => ({ sign: ' ', line }));
  const middle = smallest(was.slice(start, was.length - end), is.slice(start, is.length - end));
  return [...kept(is.slice(0, start)), ...middle, ...kept(is.slice(is.length - end))];
}

/** Myers, "An O(ND) Difference Algorithm": the furthest line reached on each diagonal, remembered for every number of edits. */
function smallest(was: string[], is: string[]): Edit[] {
  const replaced = (): Edit[] => [...was.map((line): Edit => ({ sign: '-', line })), ...is.map((line): Edit => ({ sign: '+', line }))];
  if (was.length === 0 || is.length === 0) return replaced();
  const reached = new Map<number, number>([[1, 0]]);
  const history: Map<number, number>[] = [];
  for (let edits = 0; edits <= Math.min(was.length + is.length, mostEdits); edits += 1) {
    history.push(new Map(reached));
    for (let diagonal = -edits; diagonal <= edits; diagonal += 2) {
      const down = diagonal === -edits || (diagonal !== edits && at(reached, diagonal - 1) < at(reached, diagonal + 1));
      let x = down ? at(reached, diagonal + 1) : at(reached, diagonal - 1) + 1;
      while (x < was.length && x - diagonal < is.length && was[x] === is[x - diagonal]) x += 1;
      reached.set(diagonal, x);
      if (x >= was.length && x - diagonal >= is.length) return walkBack(history, was, is);
    }
  }
  return replaced();
}

function walkBack(history: Map<number, number>[], was: string[], is: string[]): Edit[] {
  const edits: Edit[] = [];
  let [x, y] = [was.length, is.length];
  for (let round = history.length - 1; round >= 0; round -= 1) {
    const reached = history[round] ?? new Map<number, number>();
    const diagonal = x - y;
    const down = diagonal === -round || (diagonal !== round && at(reached, diagonal - 1) < at(reached, diagonal + 1));
    const previous = down ? diagonal + 1 : diagonal - 1;
    const fromX = round === 0 ? 0 : at(reached, previous);
    const fromY = round === 0 ? 0 : fromX - previous;
    while (x > fromX && y > fromY && (round === 0 || x > (down ? fromX : fromX + 1) || y > (down ? fromY + 1 : fromY))) {
      x -= 1;
      y -= 1;
      edits.push({ sign: ' ', line: is[y] ?? '' });
    }
    if (round === 0) break;
    if (down) edits.push({ sign: '+', line: is[fromY] ?? '' });
    else edits.push({ sign: '-', line: was[fromX] ?? '' });
    [x, y] = [fromX, fromY];
  }
  return edits.reverse();
}

function at(reached: Map<number, number>, diagonal: number): number {
  return reached.get(diagonal) ?? 0;
}
