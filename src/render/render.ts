import type { Finding } from '../error.ts';
import type { SourcedObject } from '../object.ts';

/** Why a file that is there was not read. */
export type Unread = 'symlink' | 'submodule' | 'too large' | 'not UTF-8';

/** `path` is relative to the repository's root, with forward slashes; with `unread`, `text` is empty. */
export type TreeFile = { path: string; text: string; unread?: Unread };

/** `path`: the folder (or the one file) that `files` were read from. */
export type RenderRequest = { manifestType: 'detect' | 'kubernetes'; path: string; recurse: boolean; files: TreeFile[] };

export type Rendered = { objects: SourcedObject[]; findings: Finding[]; digest: string };

/** In process (Action, command line), or over the socket of the container without credentials (runner). */
export type Renderer = (request: RenderRequest) => Promise<Rendered>;
