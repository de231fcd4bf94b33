/**
 * One pull request's journey: what would its merge change? Base tip and head are fetched, merged here (never GitHub's merge ref,
 * which may be hours old), both sides rendered, compared, and told in the one check `plumbline` (notes: platform 6, 28).
 */
import { diffObjects } from '../diff.ts';
import { type Fault, type Finding, faultOf } from '../error.ts';
import type { Clone, GitRemote } from '../git.ts';
import type { CheckReport, PullRequest, Repository } from '../github.ts';
import type { Rendered, Renderer } from '../render/render.ts';
import { type Compared, type ProjectReport, reportClosed, reportFault, reportPull, reportStart } from '../report.ts';
import { joinReports, type Part } from '../report-joined.ts';

/** `plumbline`; with the cluster's name where it has one, since each cluster answers for itself (SPEC 3). */
export function checkNameOf(cluster: string | undefined): string {
  return cluster ? `plumbline (${cluster})` : 'plumbline';
}

/** What a Project says of its source. `revision`: a branch; absent, the repository's default branch. */
export type CheckedProject = {
  namespace: string;
  name: string;
  revision?: string;
  path: string;
  manifestType: 'detect' | 'kubernetes';
  recurse: boolean;
};

export type CheckRequest = {
  repository: Repository;
  number: number;
  /** Every project whose source is this repository; which of them the pull request touches is worked out here. */
  projects: readonly CheckedProject[];
  clone(remote: GitRemote): Promise<Clone>;
  render: Renderer;
  settings?: { cluster: string };
};

/** `closed`: there was nothing to check (any more). `fault`: what the failure is about when it is not about the manifests. */
export type CheckOutcome =
  | { result: 'closed' }
  | {
      result: 'completed';
      checkId: number;
      headSha: string;
      conclusion: 'success' | 'failure';
      fault?: Fault & { retry: 'never' | 'later' };
    };

/** A branch that moves faster than it can be rendered has its newest head looked at by the next Job. */
const mostRounds = 5;

/**
 * Checks the newest head until it is still the newest when the check is completed. Whatever happens in between, no check is left
 * in progress; what GitHub itself refuses is thrown.
 */
export async function checkPullRequest(request: CheckRequest): Promise<CheckOutcome> {
  const { repository, number } = request;
  let pull = await repository.pullRequest(number);
  let outcome: CheckOutcome = { result: 'closed' };
  for (let round = 0; round < mostRounds; round += 1) {
    if (pull?.state !== 'open') break;
    const { headSha, baseRef } = pull;
    const others = (await openWithHead(repository, headSha)).filter((one) => one.number !== number);
    outcome = await checkHead(request, [pull, ...others]);
    pull = await repository.pullRequest(number);
    if (pull?.headSha === headSha && pull.baseRef === baseRef) break;
  }
  if (outcome.result === 'closed' && pull) await endCheck(request, pull);
  return outcome;
}

/** What is compared: a head against the tip of its base. */
type Head = Pick<PullRequest, 'number' | 'headSha' | 'baseRef'>;

/** A merge queue's group is a head like any other; it is gone, not closed, when the queue is done with it. */
export function checkMergeGroup(request: CheckRequest, group: { headSha: string; baseRef: string }): Promise<CheckOutcome> {
  return checkHead(request, [{ number: request.number, ...group }]);
}

async function openWithHead(repository: Repository, headSha: string): Promise<PullRequest[]> {
  return (await repository.openPullRequests()).filter((pull) => pull.headSha === headSha);
}

/** The App opens the check when it hears of a pull request, which may be closed before anybody comes to look. */
async function endCheck({ repository, settings }: CheckRequest, { headSha, merged }: PullRequest): Promise<void> {
  const check = await repository.findCheck(checkNameOf(settings?.cluster), headSha);
  if (!check || check.status === 'completed' || (await openWithHead(repository, headSha)).length > 0) return;
  await repository.updateCheck(check.id, reportClosed(merged));
}

/** All with one head and so with one check: it has to hold for each branch that the head may be merged into. */
async function checkHead(request: CheckRequest, pulls: readonly [Head, ...Head[]]): Promise<CheckOutcome> {
  const { repository, settings } = request;
  const [{ headSha }] = pulls;
  const { id } = await repository.openCheck(checkNameOf(settings?.cluster), headSha, reportStart(headSha));
  const byBase = new Map([...pulls].reverse().map((pull) => [pull.baseRef, pull]));
  const parts: Part[] = [];
  let fault: ReturnType<typeof faultOf> | undefined;
  for (const pull of [...byBase.values()].reverse()) {
    let report: CheckReport;
    try {
      report = await offlineReport(request, pull);
    } catch (thrown) {
      fault ??= faultOf(thrown);
      report = reportFault(forPeople(faultOf(thrown)));
    }
    parts.push({ number: pull.number, baseRef: pull.baseRef, report });
  }
  const report = joinReports(parts as [Part, ...Part[]]);
  await complete(repository, id, report);
  const conclusion = report.conclusion === 'success' ? 'success' : 'failure';
  return { result: 'completed', checkId: id, headSha, conclusion, ...(fault ? { fault } : {}) };
}

/** What GitHub will not take as an annotation (an odd file name, say) must not keep the check open: the summary names it, too. */
async function complete(repository: Repository, id: number, report: CheckReport): Promise<void> {
  try {
    await repository.updateCheck(id, report);
  } catch (thrown) {
    if (faultOf(thrown).code !== 'GITHUB_REFUSED' || report.annotations.length === 0) throw thrown;
    const summary = `${report.annotations.length} annotations were refused by GitHub and are left out.\n\n${report.summary}`;
    await repository.updateCheck(id, { ...report, summary, annotations: [] });
  }
}

/** Nobody looks by themselves at what is completed: the hint says how to have it done again. */
function forPeople<F extends Fault & { retry: 'never' | 'later' }>(fault: F): F {
  return fault.retry === 'later' ? { ...fault, hint: 'press Re-run on this check, or write a comment whose first line is /diff' } : fault;
}

async function offlineReport({ repository, projects, clone: open, render }: CheckRequest, pull: Head): Promise<CheckReport> {
  const { number, baseRef, headSha } = pull;
  const onBase = projects.filter(({ revision }) => branchOf(revision ?? repository.defaultBranch) === baseRef);
  const clone = await open({ url: repository.cloneUrl, token: await repository.token() });
  const tip = `refs/heads/${baseRef}`;
  await clone.fetch([tip, headSha], 'full');
  const baseSha = (await clone.commit(tip)).sha;
  const compared: Compared = { number, baseRef, baseSha, headSha };
  const merged = await clone.mergeTree(baseSha, headSha);
  if ('conflicts' in merged) return reportFault(conflict(merged.conflicts, baseRef), compared);
  const changed = await clone.changedPaths(baseSha, merged.tree);
  const affected = onBase.filter(({ path }) => changed.some((file) => liesUnder(file, path)));
  const reports: ProjectReport[] = [];
  for (const project of affected) reports.push(await projectReport(project, baseSha, merged.tree, clone, render));
  return reportPull({ ...compared, tree: merged.tree }, reports);
}

async function projectReport(
  project: CheckedProject,
  base: string,
  merged: string,
  clone: Clone,
  render: Renderer,
): Promise<ProjectReport> {
  const { namespace, name, path } = project;
  const about = { namespace, name, path };
  try {
    const before = await rendered(project, base, clone, render);
    const after = await rendered(project, merged, clone, render);
    const changes = diffObjects(before.objects, after.objects, after.findings);
    return { ...about, findings: after.findings, baseFaults: errorsOf(before.findings), changes, digest: after.digest };
  } catch (thrown) {
    return { ...about, findings: [], baseFaults: 0, fault: faultOf(thrown) };
  }
}

async function rendered(
  { path, manifestType, recurse }: CheckedProject,
  treeish: string,
  clone: Clone,
  render: Renderer,
): Promise<Rendered> {
  return await render({ manifestType, path, recurse, files: await clone.readTree(treeish, path, recurse) });
}

/** A folder that the pull request brings is not there in the base: no fault of anybody's. */
function errorsOf(findings: readonly Finding[]): number {
  return findings.filter(({ severity, code }) => severity === 'error' && code !== 'NO_MANIFESTS').length;
}

function conflict(files: readonly string[], baseRef: string): Fault {
  const named = files.length > 5 ? `${files.slice(0, 5).join(', ')} and ${files.length - 5} more` : files.join(', ');
  return {
    code: 'MERGE_CONFLICT',
    message: `cannot be merged: ${named}`,
    hint: `merge ${baseRef} into the branch and resolve the conflicts`,
  };
}

function branchOf(revision: string): string {
  return revision.replace(/^refs\/heads\//, '');
}

function liesUnder(file: string, folder: string): boolean {
  const root = folder.replace(/^(\.?\/)+|\/+$/g, '').replace(/^\.$/, '');
  return root === '' || file === root || file.startsWith(`${root}/`);
}
