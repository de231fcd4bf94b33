/**
 * What a check says about a pull request (SPEC 6): title, summary, diff and annotations within GitHub's limits. Pure.
 *
 * Success is said only when everything was read and compared; whatever is missing makes it a failure that names what.
 */
import type { ChangeSet, ObjectChange } from './diff.ts';
import { type Fault, type Finding, formatFault } from './error.ts';
import type { CheckAnnotation, CheckReport } from './github.ts';
import { code, fence, plain, shortened } from './inert.ts';
import { nameOf } from './object.ts';
import { nameDigest } from './render/render.ts';
import { annotationsOf } from './report-lines.ts';
import { type Risk, risksOf, tagOf } from './risk.ts';
import { removeSecrets } from './secrets.ts';
import { unifiedDiff } from './unified.ts';

/** One affected project; in a workflow, which knows no projects, one folder, without `namespace`. With `fault` there is no diff. `baseFaults`: errors that the base branch already has. */
export type ProjectReport = {
  namespace?: string;
  name: string;
  path: string;
  findings: Finding[];
  baseFaults: number;
  changes?: ChangeSet;
  digest?: string;
  fault?: Fault;
};

/** What was compared: base tip, head, and the tree of their merge (absent when there is none). No `number`: both are in this clone. */
export type Compared = { number?: number; baseRef: string; baseSha: string; headSha: string; tree?: string };

/** GitHub's limits (REST API "Check runs"), in characters; ours are in bytes, which are never fewer. */
export const reportLimits = { title: 255, summary: 65_535, text: 65_535, annotations: 200 } as const;

const shownRisks = 50;
const shownFindings = 50;
const shownProjects = 100;

export function reportPull(compared: Compared, projects: readonly ProjectReport[]): CheckReport {
  if (projects.length === 0) {
    const said = 'success: no project is affected';
    return { status: 'completed', conclusion: 'success', title: said, summary: `${said}\n\n${provenance(compared)}`, annotations: [] };
  }
  const failed = projects.some((project) => isFailed(project));
  const risks = projects.flatMap((project) => (project.changes ? risksOf(project.changes) : []));
  const text = textOf(compared, projects, risks);
  return {
    status: 'completed',
    conclusion: failed ? 'failure' : 'success',
    title: titleOf(projects),
    summary: summaryOf(compared, projects, risks),
    ...(text === '' ? {} : { text }),
    annotations: annotationsOf(projects, risks).slice(0, reportLimits.annotations),
  };
}

/** A pull request that could not be looked at: why, as a failure. */
export function reportFault(fault: Fault, compared?: Compared): CheckReport {
  const place = fault.code === 'MERGE_CONFLICT' || !compared ? '' : `\n${provenance(compared)}`;
  const summary = limited(`${fence('text', removeSecrets(formatFault(fault)))}${place}`, reportLimits.summary);
  const annotations: CheckAnnotation[] = [];
  return { status: 'completed', conclusion: 'failure', title: plain(fault.message, reportLimits.title), summary, annotations };
}

/** What a check says while it is being worked out. */
export function reportStart(headSha: string): CheckReport {
  const summary = `Comparing ${headSha.slice(0, 7)}, merged into its base, with the base.`;
  return { status: 'in_progress', title: 'rendering', summary, annotations: [] };
}

/** A pull request that ended before anybody looked: its check waits for nothing any more. */
export function reportClosed(merged: boolean): CheckReport {
  const title = `${merged ? 'merged' : 'closed'} before it was compared`;
  const summary = `The pull request was ${title}; reopen it, or push, to have it compared.`;
  return {
    status: 'completed',
    conclusion: 'cancelled',
    title,
    summary: merged ? `The pull request was ${title}.` : summary,
    annotations: [],
  };
}

/** Manifests that were read and compared with nothing: what a workflow says of a push. */
export function reportFolders(folders: readonly ProjectReport[], objects: number): CheckReport {
  const failed = folders.some(({ findings }) => findings.some(({ severity }) => severity === 'error'));
  const title = failed ? titleOf(folders) : `${objects} objects in ${folders.length} folders can be read`;
  const rows = folders
    .slice(0, shownProjects)
    .map(({ path, digest }) => `| ${code(path || '/')} | ${digest ? code(nameDigest(digest)) : '–'} |`);
  const table = folders.length === 0 ? '' : ['| folder | digest |', '| --- | --- |', ...rows].join('\n');
  return {
    status: 'completed',
    conclusion: failed ? 'failure' : 'success',
    title,
    summary: limited([table, findingsOf(folders)].filter(Boolean).join('\n\n') || title, reportLimits.summary),
    annotations: annotationsOf(folders, []).slice(0, reportLimits.annotations),
  };
}

function isFailed(project: ProjectReport): boolean {
  return project.fault !== undefined || project.changes === undefined || project.findings.some(({ severity }) => severity === 'error');
}

/** `3 changed, 1 added, 1 removed · image v1.4.1 → v1.4.2`, or what is wrong. */
function titleOf(projects: readonly ProjectReport[]): string {
  const errors = findingsIn(projects).filter(({ severity }) => severity === 'error');
  const fault = projects.find((project) => project.fault)?.fault;
  if (errors.length === 1 && errors[0]) return plain(`1 error: ${errors[0].message}`, reportLimits.title);
  if (errors.length > 1) return `${errors.length} errors in the manifests`;
  if (fault) return plain(fault.message, reportLimits.title);
  const all = projects.flatMap(({ changes }) => changes?.changes ?? []);
  const unchanged = projects.reduce((sum, { changes }) => sum + (changes?.unchanged ?? 0), 0);
  if (all.length === 0) return `0 objects change, proven on ${unchanged}`;
  return plain([countsOf(all), imageWords(projects)].filter(Boolean).join(' · '), reportLimits.title);
}

function countsOf(changes: readonly ObjectChange[]): string {
  return (['changed', 'added', 'removed'] as const)
    .map((kind) => [changes.filter((change) => change.kind === kind).length, kind] as const)
    .filter(([count]) => count > 0)
    .map(([count, kind]) => `${count} ${kind}`)
    .join(', ');
}

function imageWords(projects: readonly ProjectReport[]): string {
  const moves = new Set(
    projects.flatMap(({ changes }) => changes?.images ?? []).map(({ was, is }) => `image ${tagOf(was)} → ${tagOf(is)}`),
  );
  return moves.size > 1 ? `${moves.size} images` : ([...moves][0] ?? '');
}

function summaryOf(compared: Compared, projects: readonly ProjectReport[], risks: readonly Risk[]): string {
  const parts = [tableOf(projects), findingsOf(projects), risksList(risks)];
  for (const { namespace, name, fault, baseFaults, findings } of projects) {
    const who = titled(namespace, name);
    if (fault) parts.push(`**${who} could not be compared:**\n\n${fence('text', removeSecrets(formatFault(fault)))}`);
    else if (findings.some(({ severity }) => severity === 'error')) parts.push(`The diff of ${who} holds only what could be read.`);
    else if (baseFaults > 0) parts.push(`The base of ${who} has ${baseFaults} errors; what could not be read there is shown as added.`);
  }
  return limited([...parts, provenance(compared)].filter(Boolean).join('\n\n'), reportLimits.summary);
}

function tableOf(projects: readonly ProjectReport[]): string {
  const rows = projects.slice(0, shownProjects).map((project) => {
    const { namespace, name, path, changes, digest } = project;
    const count = (kind: ObjectChange['kind']): number => changes?.changes.filter((change) => change.kind === kind).length ?? 0;
    const counts = changes ? `${count('changed')} | ${count('added')} | ${count('removed')} | ${changes.unchanged}` : '– | – | – | –';
    const verdict = isFailed(project) ? 'failure' : 'success';
    return `| ${titled(namespace, name)} | ${code(path || '/')} | ${verdict} | ${counts} | ${digest ? code(nameDigest(digest)) : '–'} |`;
  });
  const more = projects.length > shownProjects ? [`\n${projects.length - shownProjects} more projects not shown.`] : [];
  return [
    '| project | path | result | changed | added | removed | same | digest |',
    '| --- | --- | --- | --- | --- | --- | --- | --- |',
    ...rows,
    ...more,
  ].join('\n');
}

/** Two projects on one folder find the same. */
function findingsIn(projects: readonly ProjectReport[]): Finding[] {
  return [...new Map(projects.flatMap(({ findings }) => findings).map((one) => [formatFault(one), one])).values()];
}

function findingsOf(projects: readonly ProjectReport[]): string {
  const all = findingsIn(projects).sort((a, b) => (a.severity < b.severity ? -1 : a.severity > b.severity ? 1 : 0));
  if (all.length === 0) return '';
  const words = all.slice(0, shownFindings).map((one) => shortened(removeSecrets(formatFault(one)), 600));
  const more = all.length > shownFindings ? `\n${all.length - shownFindings} more not shown` : '';
  return `**Findings**\n\n${fence('text', words.join('\n') + more)}`;
}

function risksList(risks: readonly Risk[]): string {
  if (risks.length === 0) return '';
  const lines = risks
    .slice(0, shownRisks)
    .map(({ kind, ref, message, detail }) => `- ${code(nameOf(ref))} ${message}${detail ? ` ${code(detail)}` : ''} (${kind})`);
  if (risks.length > shownRisks) lines.push(`- ${risks.length - shownRisks} more`);
  return `**Risks**\n\n${lines.join('\n')}`;
}

function provenance({ baseRef, baseSha, headSha, tree }: Compared): string {
  const merged = tree === undefined ? '' : `, as merge tree \`${tree.slice(0, 7)}\``;
  return (
    `Compared ${code(baseRef)} at \`${baseSha.slice(0, 7)}\` with \`${headSha.slice(0, 7)}\` merged into it${merged}, as they are in Git: no cluster was asked. ` +
    'A digest is SHA-256 over the objects after the merge.'
  );
}

type Entry = { head: string; diff: string[] };

/** One diff per object, worst first; the same change on many objects once. What does not fit is counted. */
function textOf(compared: Compared, projects: readonly ProjectReport[], risks: readonly Risk[]): string {
  const entries = entriesOf(projects, risks);
  const tail = (left: number): string => `${left} more objects not shown. To see all:\n\n${fence('sh', commandFor(compared, projects))}`;
  const room = reportLimits.text - Buffer.byteLength(tail(entries.length)) - 200;
  let text = '';
  let used = 0;
  for (const [index, { head, diff }] of entries.entries()) {
    const whole = `${head}\n\n${fence('diff', diff.join('\n'))}\n`;
    if (used + Buffer.byteLength(whole) <= room) {
      text += whole;
      used += Buffer.byteLength(whole);
      continue;
    }
    // The first that is too large is shown in part; after it nothing more fits.
    const part = index === 0 ? `${head}\n\n${fence('diff', firstLines(diff, room - used - Buffer.byteLength(head) - 100))}\n` : '';
    return `${text}${part}${tail(entries.length - index - (part ? 1 : 0))}`;
  }
  return text;
}

function entriesOf(projects: readonly ProjectReport[], risks: readonly Risk[]): Entry[] {
  const risky = new Set(risks.map(({ change }) => change));
  const groups = new Map<string, { change: ObjectChange; names: string[] }>();
  for (const { namespace, name, changes } of projects) {
    for (const change of changes?.changes ?? []) {
      const project = projects.length > 1 ? ` of ${titled(namespace, name)}` : '';
      const title = `${code(nameOf(change.ref))}${project}`;
      const same = JSON.stringify([change.ref.kind, change.fields.map(({ path, was, is }) => [path, was, is])]);
      const key = change.kind === 'changed' ? same : `${change.kind} ${title}`;
      const group = groups.get(key);
      if (group) group.names.push(title);
      else groups.set(key, { change, names: [title] });
    }
  }
  const sorted = [...groups.values()].sort((a, b) => Number(risky.has(b.change)) - Number(risky.has(a.change)));
  return sorted.map(({ change, names }) => {
    const { kind, source, before, after } = change;
    const also =
      names.length > 1
        ? `, and the same change of ${names.slice(1, 10).join(', ')}${names.length > 10 ? ` and ${names.length - 10} more` : ''}`
        : '';
    const head = `**${kind}** ${names[0]} (${code(`${source.file}:${source.line}`)})${also}`;
    return { head, diff: unifiedDiff(before, after).map((line) => shortened(removeSecrets(shortened(line, 4_000)), 1_000)) };
  });
}

/** Only SHAs, numbers and plain paths: a branch may be called anything, and this line is made to be pasted. */
function commandFor({ number, baseSha, headSha }: Compared, projects: readonly ProjectReport[]): string {
  const paths = projects.map(({ path }) => path);
  const plainPaths = paths.every((path) => /^\w[\w./-]*$/.test(path)) && paths.length <= 20 ? ` -- ${paths.join(' ')}` : '';
  if (number === undefined) return `git diff ${baseSha} ${headSha}${plainPaths}`;
  return `git fetch origin ${baseSha} pull/${number}/head && git diff ${baseSha}...${headSha}${plainPaths}`;
}

function titled(namespace: string | undefined, name: string): string {
  return code(namespace === undefined ? name : `${namespace}/${name}`);
}

function firstLines(lines: readonly string[], bytes: number): string {
  const shown: string[] = [];
  let used = 0;
  for (const line of lines) {
    used += Buffer.byteLength(line) * 2 + 1;
    if (used > bytes) break;
    shown.push(line);
  }
  return [...shown, `… ${lines.length - shown.length} more lines`].join('\n');
}

/** At most so many bytes: cut at a line, with an open fence closed. */
export function limited(text: string, bytes: number): string {
  if (Buffer.byteLength(text) <= bytes) return text;
  const lines: string[] = [];
  let used = 300;
  let open = '';
  for (const line of text.split('\n')) {
    used += Buffer.byteLength(line) + 1;
    if (used > bytes) break;
    lines.push(line);
    const quotes = /^(`{3,})/.exec(line)?.[1];
    if (quotes) open = open === '' ? quotes : line === open ? '' : open;
  }
  return [...lines, ...(open ? [open] : []), '', 'The rest does not fit here.'].join('\n');
}
