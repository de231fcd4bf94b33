/**
 * The closed grammar of commands in comments (SPEC 8). Pure.
 *
 * Only the first line counts, from its first character on, in printable ASCII: a command in a quote, a code block, a later line or
 * written with look-alike letters is none.
 */

const verbs = ['sync', 'diff', 'preview', 'rollback', 'promote', 'approve', 'ignore', 'keep', 'pause', 'status', 'help'] as const;

export type Verb = (typeof verbs)[number];

/** `/rollback api -2` is `{ verb: 'rollback', words: ['api', '-2'] }`. What the words mean is decided where the verb is carried out. */
export type Command = { verb: Verb; words: string[] };

const line = /^\/(?:plumbline +)?([a-z]+)((?: +[!-~]+)*) *$/;
const longest = 200;

/** The command that a comment gives, or undefined: most comments give none. */
export function readCommand(comment: string): Command | undefined {
  const first = comment.slice(0, longest + 2).split(/\r?\n/, 1)[0] ?? '';
  if (first.length > longest) return undefined;
  const match = line.exec(first);
  const verb = verbs.find((one) => one === match?.[1]);
  return verb && { verb, words: (match?.[2] ?? '').split(' ').filter(Boolean) };
}

/** What may still be said on a pull request that was closed without being merged. */
export function worksOnClosed(command: Command): boolean {
  return command.verb === 'status' || command.verb === 'help' || (command.verb === 'preview' && command.words[0] === 'delete');
}
