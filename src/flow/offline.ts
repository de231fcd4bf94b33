/** What a workflow does with a clone: read every manifest, and on a pull request compare with the base. No cluster, no secrets. */
import { diffObjects } from '../diff.ts';
import { type Finding, faultOf } from '../error.ts';
import type { Clone } from '../git.ts';
import type { CheckReport } from '../github.ts';
import type { SourcedObject } from '../object.ts';
import { digestOf, type Renderer } from '../render/render.ts';
import { type Root, rootsOf, type Skipped } from '../render/roots.ts';
import { type Compared, type ProjectReport, reportFolders, reportPull } from '../report.ts';

export type OfflineRequest = {
  clone: Clone;
  render: Renderer;
  path: string;
  /** Compare with the first parent of HEAD, which on a pull request is the base branch's tip; `number` is the pull request's. */
  diff: boolean;
  baseRef: string;
  /** May the base commit be fetched when the clone lacks it? */
  mayFetch: boolean;
};

/** `digest`: of all objects together; `changed`: objects that differ from the base, undefined when nothing was compared. */
export type OfflineResult = {
  report: CheckReport;
  findings: Finding[];
  digest: string;
  changed: number | undefined;
  roots: string[];
  skipped: Skipped[];
  warning: string | undefined;
};

export async function checkOffline(request: OfflineRequest): Promise<OfflineResult> {
  const { clone, render, path, diff, baseRef } = request;
  const head = await clone.commit('HEAD');
  // Only GitHub's merge commit has the base as its first parent.
  const comparable = diff && head.parents.length === 2;
  const base = comparable ? await baseOf(request, head.parents[0] ?? '') : undefined;
  const after = rootsOf(await clone.readTree(head.sha, path, true));
  const before = rootsOf(base === undefined ? [] : await clone.readTree(base, path, true));
  const folders = [...new Set([...after.roots, ...before.roots].map(({ folder }) => folder))].sort();
  const objects: SourcedObject[] = [];
  const reports: ProjectReport[] = [];
  for (const folder of folders) {
    const is = await renderRoot(render, rootAt(after.roots, folder));
    const was = await renderRoot(render, rootAt(before.roots, folder));
    objects.push(...is.objects);
    reports.push({
      name: folder || '/',
      path: folder,
      findings: is.findings,
      baseFaults: was.findings.filter(({ severity }) => severity === 'error').length,
      changes: diffObjects(was.objects, is.objects, is.findings),
      digest: is.digest,
    });
  }
  const compared: Compared | undefined = base === undefined ? undefined : { baseRef, baseSha: base, headSha: head.sha };
  const touched = reports.filter(({ changes, findings }) => (changes?.changes.length ?? 0) > 0 || findings.length > 0);
  return {
    report: compared ? reportPull(compared, touched.length > 0 ? touched : reports) : reportFolders(reports, objects.length),
    findings: reports.flatMap(({ findings }) => findings),
    digest: digestOf(objects),
    changed: compared ? reports.reduce((sum, { changes }) => sum + (changes?.changes.length ?? 0), 0) : undefined,
    roots: after.roots.map(({ folder }) => folder || '/'),
    skipped: after.skipped,
    warning:
      diff && !comparable
        ? 'HEAD is not the merge commit of the pull request, so there is no diff: use actions/checkout without ref'
        : undefined,
  };
}

async function baseOf({ clone, mayFetch }: OfflineRequest, base: string): Promise<string> {
  try {
    return (await clone.commit(base)).sha;
  } catch (thrown) {
    if (!mayFetch || faultOf(thrown).code !== 'GIT_COMMIT_NOT_FOUND') throw thrown;
  }
  await clone.fetch([base], 'none');
  return (await clone.commit(base)).sha;
}

function rootAt(roots: readonly Root[], folder: string): Root | undefined {
  return roots.find((root) => root.folder === folder);
}

async function renderRoot(render: Renderer, root: Root | undefined) {
  if (!root) return { objects: [], findings: [], digest: digestOf([]) };
  return await render({ manifestType: 'kubernetes', path: root.folder, recurse: false, files: root.files });
}
