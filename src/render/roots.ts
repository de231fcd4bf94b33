/**
 * Which folders of a repository hold Kubernetes manifests: what a workflow looks at when nobody configured anything (SPEC 9). Pure.
 *
 * A root is one folder with its own files; what is no manifest is left out, and what is a manifest of a type that is not rendered yet
 * is skipped and said.
 */
import { isFolder, type TreeFile } from './render.ts';

export type Root = { folder: string; files: TreeFile[] };
export type Skipped = { path: string; why: string };

/** Configuration of tools, written like an object and not meant for a cluster. */
const forTools =
  /^["']?apiVersion["']?:\s*["']?(skaffold\/|kind\.x-k8s\.io\/|kubeadm\.k8s\.io\/|kubelet\.config\.k8s\.io\/|backstage\.io\/|ctlptl\.dev\/|k3d\.io\/|audit\.k8s\.io\/|apiserver\.config\.k8s\.io\/|config\.karmada\.io\/)/m;

export function rootsOf(files: readonly TreeFile[]): { roots: Root[]; skipped: Skipped[] } {
  const charts = files.filter(({ path }) => /(^|\/)Chart\.yaml$/i.test(path)).map(({ path }) => folderOf(path));
  const kustomized = new Set(files.filter(({ path }) => /(^|\/)kustomization(\.ya?ml)?$/i.test(path)).map(({ path }) => folderOf(path)));
  const skipped: Skipped[] = [
    ...charts.map((path) => ({ path: path || '/', why: 'a Helm chart, which is not rendered yet' })),
    ...[...kustomized].map((path) => ({ path: path || '/', why: 'a kustomization, which is not rendered yet' })),
  ];
  const folders = new Map<string, TreeFile[]>();
  for (const file of files) {
    const folder = folderOf(file.path);
    if (kustomized.has(folder) || charts.some((chart) => chart === '' || folder === chart || folder.startsWith(`${chart}/`))) continue;
    if (/(^|\/)pipeops\.ya?ml$/i.test(file.path)) skipped.push({ path: file.path, why: 'a pipeops manifest, which is not rendered yet' });
    else folders.set(folder, [...(folders.get(folder) ?? []), file]);
  }
  const roots: Root[] = [];
  for (const [folder, all] of [...folders].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))) {
    const own = all.filter(isManifest);
    if (own.length === 0) continue;
    // Beside manifests a link or a file that cannot be read may be one, too.
    const unread = all.filter(
      (file) => file.unread !== undefined && !isFolder(file) && !(file.unread === 'too large' && /\.json$/i.test(file.path)),
    );
    roots.push({ folder, files: [...own, ...unread].sort((a, b) => (a.path < b.path ? -1 : 1)) });
  }
  return { roots, skipped };
}

function isManifest({ path, text, unread }: TreeFile): boolean {
  if (unread !== undefined || forTools.test(text)) return false;
  if (/\.json$/i.test(path)) return /"apiVersion"\s*:/.test(text) && /"kind"\s*:/.test(text);
  const written = /^(-\s+|\s*\{\s*)?["']?apiVersion["']?\s*:/m.test(text) && /(^|[{,]\s*)["']?kind["']?\s*:/m.test(text);
  return written && !/^kind:\s*["']?Config["']?\s*$/m.test(text);
}

function folderOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '';
}
