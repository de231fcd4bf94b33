/** From a Project to what its tracked revision holds, and to the account that acts for it. */
import type { Cluster } from '../cluster.ts';
import { PlumblineError } from '../error.ts';
import type { Clone, GitRemote } from '../git.ts';
import type { Project } from '../project.ts';
import type { Rendered, Renderer } from '../render/render.ts';

/** What the tracked revision holds. */
export type Source = { revision: string; author: string; rendered: Rendered };

export type SourceDoors = {
  /** The project's repository: where it is, with a token where it needs one. */
  remoteOf(project: Project): Promise<GitRemote>;
  refs(remote: GitRemote): Promise<Map<string, string>>;
  clone(remote: GitRemote): Promise<Clone>;
  render: Renderer;
};

/** Acting as the project's account, which must exist: the API server would impersonate a ghost. */
export async function projectAccount(project: Project, cluster: Cluster): Promise<Cluster> {
  const { namespace, name } = project.account;
  if (await cluster.read({ apiVersion: 'v1', kind: 'ServiceAccount', namespace, name })) return cluster.as(project.account);
  throw new PlumblineError('PROJECT_ACCOUNT_MISSING', `there is no service account ${name} in namespace ${namespace}`, {
    hint: `kubectl create serviceaccount ${name} -n ${namespace} && kubectl create rolebinding ${name} -n ${namespace} --clusterrole=edit --serviceaccount=${namespace}:${name}`,
    retry: 'later',
  });
}

/** A commit id as it is, whatever branch somebody gave that name; else branch, then tag (what an annotated one points to). */
export function trackedRevision(project: Project, refs: Map<string, string>): string {
  const { revision } = project.source;
  if (revision === undefined) {
    const head = refs.get('HEAD');
    if (head) return head;
    throw new PlumblineError('REVISION_NOT_FOUND', 'the repository has no default branch yet', {
      hint: 'push a first commit',
      retry: 'later',
    });
  }
  if (/^[0-9a-f]{40}$/.test(revision)) return revision;
  const known = [revision, `refs/heads/${revision}`, `refs/tags/${revision}^{}`, `refs/tags/${revision}`]
    .map((name) => refs.get(name))
    .find(Boolean);
  if (known) return known;
  const branches = [...refs.keys()].filter((name) => name.startsWith('refs/heads/')).map((name) => name.slice('refs/heads/'.length));
  throw new PlumblineError('REVISION_NOT_FOUND', `the repository has no branch, tag or commit ${revision}`, {
    hint: `it has ${branches.slice(0, 10).join(', ') || 'no branches'}: correct spec.source.revision`,
    retry: 'later',
  });
}

export async function readSource(project: Project, remote: GitRemote, revision: string, doors: SourceDoors): Promise<Source> {
  const clone = await doors.clone(remote);
  await clone.fetch([revision], 'none');
  const { path, manifestType, recurse } = project.source;
  const files = await clone.readTree(revision, path, recurse);
  if (files.length === 0 && path !== '') throw await notFound(clone, revision, path);
  const rendered = await doors.render({ manifestType, path, recurse, files });
  return { revision, author: (await clone.commit(revision)).author, rendered };
}

async function notFound(clone: Clone, revision: string, path: string): Promise<PlumblineError> {
  const all = await clone.readTree(revision, '', true);
  const folders = [...new Set(all.map((file) => file.path.split('/').slice(0, -1).join('/') || '/'))].slice(0, 5);
  return new PlumblineError('MANIFEST_NOT_FOUND', `no manifests in ${path} at ${revision.slice(0, 7)}`, {
    hint:
      folders.length > 0
        ? `found some in ${folders.join(', ')}: set spec.source.path to one of them`
        : 'the repository holds no YAML or JSON at all',
  });
}
