/**
 * One check for several pull requests. A check belongs to a commit, and one branch may wait to be merged into several others: a report
 * on one of them alone would let the others pass unread. Pure.
 */
import type { CheckAnnotation, CheckReport } from './github.ts';
import { code, plain, shortened } from './inert.ts';
import { limited, reportLimits } from './report.ts';

export type Part = { number: number; baseRef: string; report: CheckReport };

const levels: readonly CheckAnnotation['level'][] = ['failure', 'warning', 'notice'];

/** The one report as it is; of several the worst speaks first, and all of them must succeed. Each gets an equal share of the room. */
export function joinReports(parts: readonly [Part, ...Part[]]): CheckReport {
  const [first] = parts;
  if (parts.length === 1) return first.report;
  const failed = parts.filter(({ report }) => report.conclusion !== 'success');
  const worst = failed[0] ?? first;
  const sorted = [...failed, ...parts.filter((part) => !failed.includes(part))];
  const intro = `This commit is the head of pull requests into ${parts.length} branches. A check belongs to the commit, so it speaks for all of them.`;
  const said = (of: (report: CheckReport) => string | undefined, limit: number): string => {
    const room = Math.floor((limit - 500) / parts.length) - 300;
    return sorted
      .flatMap(({ number, baseRef, report }) => {
        const words = of(report);
        return words ? [`### #${number} into ${code(baseRef)}\n\n${limited(words, room)}`] : [];
      })
      .join('\n\n');
  };
  const text = said((report) => report.text, reportLimits.text);
  return {
    status: 'completed',
    conclusion: failed.length > 0 ? 'failure' : 'success',
    title: shortened(`into ${plain(worst.baseRef, 60)}: ${worst.report.title}`, reportLimits.title),
    summary: `${intro}\n\n${said((report) => report.summary, reportLimits.summary)}`,
    ...(text === '' ? {} : { text }),
    annotations: onceALine(sorted.flatMap(({ report }) => report.annotations)).slice(0, reportLimits.annotations),
  };
}

function onceALine(annotations: CheckAnnotation[]): CheckAnnotation[] {
  const lines = new Map<string, CheckAnnotation>();
  for (const one of annotations.sort((a, b) => levels.indexOf(a.level) - levels.indexOf(b.level))) {
    const line = `${one.startLine} ${one.path}`;
    if (!lines.has(line)) lines.set(line, one);
  }
  return [...lines.values()];
}
