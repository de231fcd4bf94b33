/** Issues, comments (a pull request's are here too), labels, reactions. */

import { Refusal } from '../auth.ts';
import { addComment, authorOf, deleteComment, editComment, editPull, newIssue, setLabel } from '../changes.ts';
import { touch } from '../pushes.ts';
import * as shapes from '../shapes.ts';
import type { Reaction } from '../state.ts';
import {
  type Answer,
  type Call,
  commentOf,
  issueOf,
  list,
  made,
  notFound,
  nothing,
  numberIn,
  ok,
  type Routes,
  repositoryOf,
  sorted,
} from './call.ts';

const since = (call: Call) => (typeof call.query['since'] === 'string' ? Date.parse(call.query['since']) : 0);

function issues(call: Call): Answer {
  const { state, labels, sort } = call.query;
  const names = typeof labels === 'string' ? labels.split(',') : [];
  const wanted = [...repositoryOf(call).issues.values()].filter(
    (one) => (state === 'all' || one.state === state) && names.every((name) => one.labels.includes(name)) && one.updatedAt >= since(call),
  );
  return list(sorted(wanted, sort, call.query['direction'] ?? 'desc'), (one) => shapes.issue(call.world.state, repositoryOf(call), one));
}

function mustHaveIssues(call: Call): void {
  if (!repositoryOf(call).issuesEnabled) throw new Refusal(410, 'Issues has been disabled in this repository.');
}

/** Words, or `{ name }`, as the description allows both. */
const labelNames = (value: unknown): string[] =>
  (Array.isArray(value) ? value : []).map((one: unknown) => (typeof one === 'string' ? one : String((one as { name: unknown }).name)));

function createIssue(call: Call): Answer {
  mustHaveIssues(call);
  const { body, world } = call;
  const author = authorOf(call.actor).account;
  const text = typeof body['body'] === 'string' ? body['body'] : null;
  const issue = newIssue(world, repositoryOf(call), { title: String(body['title']), body: text, user: author, pull: undefined });
  for (const name of labelNames(body['labels'])) setLabel(world, repositoryOf(call), issue, name, true, author);
  return made(shapes.issue(world.state, repositoryOf(call), issue));
}

async function updateIssue(call: Call): Promise<Answer> {
  const { body, world } = call;
  const [repository, issue, by] = [repositoryOf(call), issueOf(call), authorOf(call.actor).account];
  if (!issue.pull) mustHaveIssues(call);
  for (const name of issue.labels)
    if (body['labels'] && !labelNames(body['labels']).includes(name)) setLabel(world, repository, issue, name, false, by);
  for (const name of labelNames(body['labels'])) setLabel(world, repository, issue, name, true, by);
  const edit = Object.fromEntries(['title', 'body', 'state'].filter((name) => body[name] !== undefined).map((name) => [name, body[name]]));
  if (issue.pull) await editPull(world, repository, issue, edit, by);
  else {
    Object.assign(issue, edit);
    if (edit['state'] !== undefined) {
      issue.closedAt = issue.state === 'closed' ? world.state.now() : undefined;
      issue.stateReason = issue.state === 'closed' ? String(body['state_reason'] ?? 'completed') : 'reopened';
    }
    touch(world.state, issue);
  }
  return ok(shapes.issue(world.state, repository, issue));
}

/** The same reaction by the same account is answered 200 and stays one. */
function react(call: Call, reactions: Reaction[]): Answer {
  const { state } = call.world;
  const { account } = authorOf(call.actor);
  const content = String(call.body['content']);
  const known = reactions.find((one) => one.user === account && one.content === content);
  if (known) return ok(shapes.reaction(state, known));
  const reaction = { id: state.nextId(), user: account, content, createdAt: state.now() };
  reactions.push(reaction);
  return made(shapes.reaction(state, reaction));
}

function showReactions(call: Call, reactions: Reaction[]): Answer {
  const wanted = reactions.filter((one) => call.query['content'] === undefined || one.content === call.query['content']);
  return list(wanted, (one) => shapes.reaction(call.world.state, one));
}

const labels = (call: Call) => issueOf(call).labels.map((name) => shapes.label(call.world.state, repositoryOf(call), name));
const showComment = (call: Call) => (one: ReturnType<typeof commentOf>) => shapes.comment(call.world.state, repositoryOf(call), one);

function createComment(call: Call): Answer {
  const issue = issueOf(call);
  return made(showComment(call)(addComment(call.world, repositoryOf(call), issue, String(call.body['body']), authorOf(call.actor))));
}

export const ISSUES: Routes = {
  'GET /repos/{owner}/{repo}/issues': issues,
  'POST /repos/{owner}/{repo}/issues': createIssue,
  'GET /repos/{owner}/{repo}/issues/{issue_number}': (call) => ok(shapes.issue(call.world.state, repositoryOf(call), issueOf(call))),
  'PATCH /repos/{owner}/{repo}/issues/{issue_number}': updateIssue,
  'GET /repos/{owner}/{repo}/issues/comments': (call) => {
    const wanted = [...repositoryOf(call).comments.values()].filter((one) => one.updatedAt >= since(call));
    return list(sorted(wanted, call.query['sort'] ?? 'created', call.query['direction'] ?? 'asc'), showComment(call));
  },
  'GET /repos/{owner}/{repo}/issues/comments/{comment_id}': (call) => ok(showComment(call)(commentOf(call))),
  'PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}': (call) => {
    const comment = commentOf(call);
    editComment(call.world, repositoryOf(call), comment, String(call.body['body']), authorOf(call.actor).account);
    return ok(showComment(call)(comment));
  },
  'DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}': (call) => {
    deleteComment(call.world, repositoryOf(call), commentOf(call), authorOf(call.actor).account);
    return nothing;
  },
  'GET /repos/{owner}/{repo}/issues/{issue_number}/comments': (call) => {
    const wanted = shapes.commentsOf(repositoryOf(call), issueOf(call)).filter((one) => one.updatedAt >= since(call));
    return list(sorted(wanted, 'created', 'asc'), showComment(call));
  },
  'POST /repos/{owner}/{repo}/issues/{issue_number}/comments': createComment,
  'POST /repos/{owner}/{repo}/issues/{issue_number}/labels': (call) => {
    const names = Array.isArray(call.body) ? call.body : call.body['labels'];
    for (const name of labelNames(names)) setLabel(call.world, repositoryOf(call), issueOf(call), name, true, authorOf(call.actor).account);
    return ok(labels(call));
  },
  'DELETE /repos/{owner}/{repo}/issues/{issue_number}/labels/{name}': (call) => {
    const name = call.path['name'] ?? '';
    if (!issueOf(call).labels.includes(name)) throw new Refusal(404, 'Label does not exist');
    setLabel(call.world, repositoryOf(call), issueOf(call), name, false, authorOf(call.actor).account);
    return ok(labels(call));
  },
  'GET /repos/{owner}/{repo}/issues/{issue_number}/reactions': (call) => showReactions(call, issueOf(call).reactions),
  'POST /repos/{owner}/{repo}/issues/{issue_number}/reactions': (call) => react(call, issueOf(call).reactions),
  'GET /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions': (call) => showReactions(call, commentOf(call).reactions),
  'POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions': (call) => react(call, commentOf(call).reactions),
  'DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions/{reaction_id}': (call) => {
    const { reactions } = commentOf(call);
    const index = reactions.findIndex((one) => one.id === numberIn(call.path, 'reaction_id'));
    if (index < 0) throw notFound();
    reactions.splice(index, 1);
    return nothing;
  },
};
