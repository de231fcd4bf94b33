/**
 * Files to objects, findings and a digest. Pure: the same files give the same bytes on every machine.
 *
 * This version renders folders of plain Kubernetes manifests; a folder of another type is refused by name, never applied in part.
 */
import { createHash } from 'node:crypto';
import { type Finding, finding } from '../error.ts';
import { canonicalJson, keyOf, refOf, type SourcedObject } from '../object.ts';
import { readDocuments } from './document.ts';
import { duplicatesOf, readObjects } from './manifest.ts';

/** Why a file that is there was not read. */
export type Unread = 'symlink' | 'submodule' | 'too large' | 'not UTF-8';

/** `path` is relative to the repository's root, with forward slashes; with `unread`, `text` is empty. */
export type TreeFile = { path: string; text: string; unread?: Unread };

/** `path`: the folder (or the one file) that `files` were read from. */
export type RenderRequest = { manifestType: 'detect' | 'kubernetes'; path: string; recurse: boolean; files: TreeFile[] };

/**
 * `objects` in the order of their keys; `digest` is SHA-256 in hex over them. With an error among `findings` the objects are those
 * that could be read: never the whole set, so nothing may be applied or deleted because of it.
 */
export type Rendered = { objects: SourcedObject[]; findings: Finding[]; digest: string };

/** In process (Action, command line), or over the socket of the container without credentials (runner). */
export type Renderer = (request: RenderRequest) => Promise<Rendered>;

const markers: readonly [RegExp, string][] = [
  [/^kustomization(\.ya?ml)?$/i, 'kustomize'],
  [/^Chart\.yaml$/i, 'helm'],
  [/^pipeops\.ya?ml$/i, 'pipeops'],
];

const unreadMessages: Record<Unread, string> = {
  symlink: 'this is a symlink; links are not followed',
  submodule: 'this is a submodule; its files are not read',
  'too large': 'the file holds more than 1 MiB',
  'not UTF-8': 'the file is not UTF-8 text',
};

/** The renderer in process. */
export async function renderInProcess(request: RenderRequest): Promise<Rendered> {
  return render(request);
}

export function render({ manifestType, path, recurse, files }: RenderRequest): Rendered {
  const place = path === '' || path === '.' ? '/' : path;
  const inFolder = recurse ? files : files.filter((file) => !within(path, file.path).includes('/'));
  if (inFolder.length === 0) {
    return refused(finding('error', 'NO_MANIFESTS', `${place} holds no YAML or JSON file at this commit`, { at: { file: place } }));
  }
  const foreign = manifestType === 'detect' ? foreignTypes(inFolder) : [];
  if (foreign.length > 0) return { objects: [], findings: foreign, digest: digestOf([]) };
  const objects: SourcedObject[] = [];
  const findings: Finding[] = [];
  for (const file of inFolder) readFile(file, objects, findings);
  if (objects.length === 0 && findings.length === 0) {
    findings.push(finding('error', 'NO_MANIFESTS', `the files in ${place} hold no object`, { at: { file: place } }));
  }
  // In place of every manifest, what was not read is all there is: that is not an empty folder.
  if (objects.length === 0) for (const one of findings) one.severity = 'error';
  findings.push(...duplicatesOf(objects, idOf));
  objects.sort((a, b) => compare(idOf(a), idOf(b)) || compare(a.file, b.file) || a.line - b.line);
  findings.sort((a, b) => compare(a.at?.file ?? '', b.at?.file ?? '') || (a.at?.line ?? 0) - (b.at?.line ?? 0));
  return { objects, findings, digest: digestOf(objects) };
}

/** SHA-256 in hex over the canonical JSON of the objects in the order of their keys (DESIGN "Vocabulary"). */
export function digestOf(objects: readonly SourcedObject[]): string {
  const texts = objects.map(({ object }) => [keyOf(refOf(object)), canonicalJson(object)] as const);
  texts.sort(([a, textA], [b, textB]) => compare(a, b) || compare(textA, textB));
  const hash = createHash('sha256');
  for (const [, text] of texts) hash.update(`${text}\n`);
  return hash.digest('hex');
}

/** `7f2c91`, or `7f2c91 · helm 4.1.4`: two digests with different tools are not compared. */
export function nameDigest(digest: string, tools: readonly string[] = []): string {
  return tools.length === 0 ? digest.slice(0, 6) : `${digest.slice(0, 6)} · ${tools.join(', ')}`;
}

/** Not a file that was meant to be a manifest: a submodule, or a link without an ending. */
export function isFolder({ path, unread }: TreeFile): boolean {
  return unread === 'submodule' || (unread === 'symlink' && !/\.[^/.]+$/.test(path));
}

function readFile(file: TreeFile, objects: SourcedObject[], findings: Finding[]): void {
  if (file.unread !== undefined) {
    // A submodule or a linked folder beside the manifests is ordinary; a manifest that cannot be read leaves the set incomplete.
    const severity = isFolder(file) ? 'warning' : 'error';
    findings.push(finding(severity, 'FILE_NOT_READ', unreadMessages[file.unread], { at: { file: file.path, line: 1 } }));
    return;
  }
  const read = readDocuments(file.path, file.text);
  findings.push(...read.findings);
  for (const document of read.documents) {
    const made = readObjects(file.path, document);
    objects.push(...made.objects);
    findings.push(...made.findings);
  }
}

function foreignTypes(files: readonly TreeFile[]): Finding[] {
  return files.flatMap(({ path }) => {
    const name = path.slice(path.lastIndexOf('/') + 1);
    const type = markers.find(([pattern]) => pattern.test(name))?.[1];
    if (type === undefined) return [];
    const hint = 'point spec.source.path to a folder of plain Kubernetes manifests';
    return [
      finding('error', 'TYPE_NOT_SUPPORTED', `${name} makes this a source of type ${type}, which this version does not render`, {
        at: { file: path, line: 1 },
        hint,
      }),
    ];
  });
}

function refused(fault: Finding): Rendered {
  return { objects: [], findings: [fault], digest: digestOf([]) };
}

function idOf({ object }: SourcedObject): string {
  return keyOf(refOf(object));
}

function within(folder: string, path: string): string {
  const root = folder.replace(/^(\.?\/)+|\/+$/g, '').replace(/^\.$/, '');
  return root !== '' && path.startsWith(`${root}/`) ? path.slice(root.length + 1) : root === path ? (path.split('/').at(-1) ?? path) : path;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
