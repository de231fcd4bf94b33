/** The GitHub Action: inputs in; annotations, step summary, outputs and an exit code out. The flow is in `src/flow/offline.ts`. */
import * as core from '@actions/core';
import { context } from '@actions/github';
import { faultOf, formatFault, PlumblineError } from '../src/error.ts';
import { checkOffline, type OfflineResult } from '../src/flow/offline.ts';
import { openClone } from '../src/git.ts';
import { code, plain, visible } from '../src/inert.ts';
import { renderInProcess } from '../src/render/render.ts';

/** GitHub shows ten of a level for a step; more would only fill the log. */
const mostAnnotations = 50;
const mostSummaryBytes = 1024 * 1024;

type FailOn = 'error' | 'warning' | 'none';

async function main(): Promise<void> {
  const path = core.getInput('path') || '.';
  const failOn = choice('fail-on', ['error', 'warning', 'none']);
  const pull = context.payload.pull_request;
  const clone = await openClone(undefined, process.env['GITHUB_WORKSPACE'] ?? process.cwd());
  const result = await checkOffline({
    clone,
    render: renderInProcess,
    path,
    diff: pull !== undefined && context.eventName === 'pull_request',
    baseRef: String(pull?.['base']?.ref ?? 'the base'),
    mayFetch: choice('fetch', ['true', 'false']) === 'true',
  });
  annotate(result);
  await summarize(result);
  const { report, findings, digest, changed } = result;
  core.setOutput(
    'valid',
    findings.every(({ severity }) => severity !== 'error'),
  );
  core.setOutput('findings', findings.length);
  core.setOutput('digest', digest);
  core.setOutput('changed', changed ?? '');
  core.info(plain(report.title));
  if (fails(result, failOn)) core.setFailed(plain(report.title));
}

function choice<T extends string>(name: string, allowed: readonly [T, ...T[]]): T {
  const given = core.getInput(name) || allowed[0];
  const found = allowed.find((one) => one === given);
  if (found !== undefined) return found;
  throw new PlumblineError('INPUT_INVALID', `the input ${name} is ${JSON.stringify(given)}: ${allowed.join(', ')} were expected`);
}

function fails({ findings }: OfflineResult, failOn: FailOn): boolean {
  if (failOn === 'none') return false;
  return findings.some(({ severity }) => severity === 'error' || failOn === 'warning');
}

/** By the toolkit's commands only, which escape what strangers wrote; nothing else of theirs is printed as it is. */
function annotate({ report, warning }: OfflineResult): void {
  for (const { path, startLine, endLine, level, title, message } of report.annotations.slice(0, mostAnnotations)) {
    const say = level === 'failure' ? core.error : level === 'warning' ? core.warning : core.notice;
    // An older form of command begins anywhere in a line, in a file's name too.
    const file = path.replaceAll('##[', '## [');
    say(visible(message).replaceAll('##[', '## ['), { file, startLine, endLine, title });
  }
  if (warning !== undefined) core.warning(warning);
}

async function summarize({ report, roots, skipped, warning }: OfflineResult): Promise<void> {
  const lists = [
    warning === undefined ? '' : `**Note:** ${warning}`,
    roots.length === 0
      ? 'No folder with Kubernetes manifests was found.'
      : `Looked at ${roots
          .slice(0, 100)
          .map((root) => code(root))
          .join(', ')}`,
    ...skipped.slice(0, 100).map(({ path, why }) => `- skipped ${code(path)}: ${why}`),
  ];
  const text = [`## ${plain(report.title)}`, report.summary, report.text ?? '', ...lists].filter(Boolean).join('\n\n');
  if (!process.env['GITHUB_STEP_SUMMARY']) return;
  const fitting = Buffer.byteLength(text) <= mostSummaryBytes ? text : `## ${plain(report.title)}\n\n${report.summary}`;
  await core.summary.addRaw(fitting, true).write();
}

main().catch((thrown: unknown) => {
  const fault = faultOf(thrown);
  core.setFailed(visible(formatFault(fault)).replaceAll('##[', '## ['));
});
