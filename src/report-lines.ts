/** Annotations: what is said on a source line. One line is annotated once, worst first. Pure. */
import type { FieldChange, ObjectChange } from './diff.ts';
import type { Finding } from './error.ts';
import type { CheckAnnotation } from './github.ts';
import { plain, shortened, visible } from './inert.ts';
import { nameOf } from './object.ts';
import type { ProjectReport } from './report.ts';
import type { Risk } from './risk.ts';
import { removeSecrets } from './secrets.ts';

type Remark = { path: string; line: number; level: CheckAnnotation['level']; title: string; message: string };

const levels: readonly CheckAnnotation['level'][] = ['failure', 'warning', 'notice'];
const messageLength = 4_000;

export function annotationsOf(projects: readonly ProjectReport[], risks: readonly Risk[]): CheckAnnotation[] {
  const changes = projects.flatMap((project) => project.changes?.changes ?? []);
  const remarks = [
    ...projects.flatMap(({ findings }) => findings.flatMap(remarkOfFinding)),
    ...risks.flatMap(remarkOfRisk),
    ...changes.flatMap(remarksOfChange),
  ];
  const lines = new Map<string, Remark[]>();
  for (const remark of remarks.sort((a, b) => levels.indexOf(a.level) - levels.indexOf(b.level))) {
    const key = `${remark.line} ${remark.path}`;
    lines.set(key, [...(lines.get(key) ?? []), remark]);
  }
  return [...lines.values()].flatMap((here) => {
    const [first] = here;
    if (!first) return [];
    const message = [...new Set(here.map((remark) => remark.message))].join('\n');
    const { path, line, level, title } = first;
    return [
      {
        path,
        startLine: line,
        endLine: line,
        level,
        title: plain(title, 255),
        message: shortened(visible(removeSecrets(message)), messageLength),
      },
    ];
  });
}

function remarkOfFinding({ severity, code, message, hint, at }: Finding): Remark[] {
  if (at?.file === undefined || at.line === undefined) return [];
  const level = severity === 'error' ? 'failure' : 'warning';
  return [{ path: at.file, line: at.line, level, title: code, message: hint === undefined ? message : `${message}\n${hint}` }];
}

function remarkOfRisk({ kind, ref, message, detail, pointer, change }: Risk): Remark[] {
  if (change.kind === 'removed') return [];
  return [
    {
      path: change.source.file,
      line: lineOf(change, pointer ?? ''),
      level: 'warning',
      title: kind,
      message: [nameOf(ref), message, detail].filter(Boolean).join(' '),
    },
  ];
}

function remarksOfChange(change: ObjectChange): Remark[] {
  if (change.kind !== 'changed') return [];
  return change.fields.map((field) => ({
    path: change.source.file,
    line: lineOf(change, field.pointer),
    level: 'notice',
    title: nameOf(change.ref),
    message: wordsOf(field),
  }));
}

/** `spec.replicas 2 → 3` */
function wordsOf({ path, was, is }: FieldChange): string {
  if (was === undefined) return `${path} is new: ${shown(is)}`;
  return is === undefined ? `${path} is gone, was ${shown(was)}` : `${path} ${shown(was)} → ${shown(is)}`;
}

function shown(value: unknown): string {
  return shortened(typeof value === 'string' ? value : JSON.stringify(value), 300);
}

/** The line that sets a field, else that of the nearest field around it, else that of the object. */
function lineOf({ source }: ObjectChange, pointer: string): number {
  for (let here = pointer; here !== ''; here = here.slice(0, here.lastIndexOf('/'))) {
    const line = source.lines[here];
    if (line !== undefined) return line;
  }
  return source.line;
}
