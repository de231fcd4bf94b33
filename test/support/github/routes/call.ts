/** What a route gets and what it answers with. Requests arrive here permitted and checked against the contract and the rules. */
import { type Actor, Refusal } from '../auth.ts';
import { commitOf } from '../git.ts';
import type { World } from '../pushes.ts';
import type { Comment, Issue, Repository } from '../state.ts';

export type Call = {
  world: World;
  actor: Actor;
  /** Undefined only for operations outside `/repos`. */
  repository: Repository | undefined;
  path: Record<string, string>;
  /** As the description types them, with its defaults. */
  query: Record<string, unknown>;
  body: Record<string, unknown>;
  rateLimit: { limit: number; remaining: number; reset: number; used: number };
};

/** One page of a list is cut by the server: `page`, `per_page`, Link header. */
export type List = {
  items: unknown[];
  show: (item: never) => unknown | Promise<unknown>;
  wrap?: (page: unknown[], total: number) => unknown;
};
export type Answer = { status: number; body?: unknown; headers?: Record<string, string> } | List;
export type Route = (call: Call) => Answer | Promise<Answer>;
export type Routes = Record<string, Route>;

export const ok = (body: unknown): Answer => ({ status: 200, body });
export const made = (body: unknown): Answer => ({ status: 201, body });
export const nothing: Answer = { status: 204 };

export function list<Item>(items: Item[], show: (item: Item) => unknown, wrap?: List['wrap']): List {
  return wrap ? { items, show, wrap } : { items, show };
}

export const notFound = () => new Refusal(404, 'Not Found');

export function repositoryOf(call: Call): Repository {
  if (!call.repository) throw notFound();
  return call.repository;
}

export function numberIn(values: Record<string, string>, name: string): number {
  const value = Number(values[name]);
  if (!Number.isInteger(value)) throw notFound();
  return value;
}

export function issueOf(call: Call): Issue {
  const found = repositoryOf(call).issues.get(numberIn(call.path, 'issue_number' in call.path ? 'issue_number' : 'pull_number'));
  if (!found) throw notFound();
  return found;
}

export function commentOf(call: Call): Comment {
  const found = repositoryOf(call).comments.get(numberIn(call.path, 'comment_id'));
  if (!found) throw notFound();
  return found;
}

/** The commit that a branch, tag or SHA in the path names. */
export async function commitIn(call: Call, name: string): Promise<string> {
  const wanted = (call.path[name] ?? '').replace(/^heads\//, '');
  const found = await commitOf(repositoryOf(call).directory, wanted);
  if (!found) throw new Refusal(422, `No commit found for SHA: ${wanted}`);
  return found;
}

/** By time, then by order of change: what the second hides stays in order. */
export function sorted<Item extends { createdAt: number; updatedAt: number; touched: number; id: number }>(
  items: Item[],
  by: unknown,
  direction: unknown,
): Item[] {
  const value = (one: Item) => (by === 'updated' ? [one.updatedAt, one.touched] : [one.createdAt, one.id]);
  const compare = (a: Item, b: Item) => {
    const [[a1 = 0, a2 = 0], [b1 = 0, b2 = 0]] = [value(a), value(b)];
    return a1 - b1 || a2 - b2;
  };
  return [...items].sort((a, b) => (direction === 'desc' ? compare(b, a) : compare(a, b)));
}
