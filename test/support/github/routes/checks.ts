/** Check runs and suites. An App sees every App's runs and changes only its own. */
import { Refusal } from '../auth.ts';
import { authorOf } from '../changes.ts';
import * as commitShapes from '../commit-shapes.ts';
import { commitOf, logOf } from '../git.ts';
import type { World } from '../pushes.ts';
import * as shapes from '../shapes.ts';
import type { Account, Annotation, App, CheckRun, CheckSuite, Repository } from '../state.ts';
import { type Answer, type Call, commitIn, list, made, notFound, numberIn, ok, type Routes, repositoryOf } from './call.ts';

function appOf(call: Call): App {
  if (call.actor.kind !== 'installation') throw new Refusal(403, 'You must authenticate via a GitHub App.');
  return call.actor.app;
}

function runOf(call: Call): CheckRun {
  const id = numberIn(call.path, 'check_run_id');
  const found = repositoryOf(call).runs.find((one) => one.id === id);
  if (!found) throw notFound();
  return found;
}

function suiteOf(call: Call): CheckSuite {
  const id = numberIn(call.path, 'check_suite_id');
  const found = repositoryOf(call).suites.find((one) => one.id === id);
  if (!found) throw notFound();
  return found;
}

function suiteFor(world: World, repository: Repository, app: App, headSha: string): CheckSuite {
  const known = repository.suites.find((one) => one.app === app && one.headSha === headSha);
  if (known) return known;
  const now = world.state.now();
  const suite: CheckSuite = { id: world.state.nextId(), app, headSha, headBranch: null, before: null, createdAt: now, updatedAt: now };
  repository.suites.push(suite);
  return suite;
}

/** GitHub keeps so many runs of one name in a suite and drops older ones. */
const MOST_OF_A_NAME = 1000;

async function createRun(call: Call): Promise<Answer> {
  const { body, world } = call;
  const repository = repositoryOf(call);
  const app = appOf(call);
  const headSha = String(body['head_sha']);
  if (!(await commitOf(repository.directory, headSha))) throw new Refusal(422, `No commit found for SHA: ${headSha}`);
  const suite = suiteFor(world, repository, app, headSha);
  const run: CheckRun = {
    id: world.state.nextId(),
    app,
    suite,
    name: String(body['name']),
    headSha,
    externalId: '',
    detailsUrl: null,
    status: 'queued',
    conclusion: null,
    startedAt: shapes.stamp(world.state.now()),
    completedAt: null,
    output: { title: null, summary: null, text: null },
    annotations: [],
    actions: [],
  };
  write(world, run, body);
  repository.runs.push(run);
  const same = repository.runs.filter((one) => one.suite === suite && one.name === run.name);
  for (const old of same.slice(0, Math.max(0, same.length - MOST_OF_A_NAME))) repository.runs.splice(repository.runs.indexOf(old), 1);
  tellRun(world, repository, run, 'created', app.bot);
  if (run.status === 'completed') tellRun(world, repository, run, 'completed', app.bot);
  return made(commitShapes.checkRun(world.state, repository, run));
}

/** The fields that are given; annotations are added to those that are there, the rest of an output is replaced. */
function write(world: World, run: CheckRun, body: Record<string, unknown>): void {
  const { output, conclusion, completed_at, status, started_at, actions, ...more } = body;
  const now = shapes.stamp(world.state.now());
  if (typeof more['name'] === 'string') run.name = more['name'];
  if (typeof more['external_id'] === 'string') run.externalId = more['external_id'];
  if (typeof more['details_url'] === 'string') run.detailsUrl = more['details_url'];
  if (typeof started_at === 'string') run.startedAt = started_at;
  if (Array.isArray(actions)) run.actions = actions;
  if (typeof status === 'string') run.status = status as CheckRun['status'];
  if (typeof conclusion === 'string') Object.assign(run, { conclusion, status: 'completed' });
  if (run.status === 'completed') run.completedAt = String(completed_at ?? run.completedAt ?? now);
  else Object.assign(run, { conclusion: null, completedAt: null });
  if (typeof output === 'object' && output !== null) {
    const { annotations, images, ...texts } = output as Record<string, unknown>;
    run.output = { title: run.output.title, summary: null, text: null, ...texts };
    if (Array.isArray(annotations)) run.annotations.push(...(annotations as Annotation[]));
  }
  run.suite.updatedAt = world.state.now();
}

function updateRun(call: Call): Answer {
  const run = runOf(call);
  const { world } = call;
  if (run.app !== appOf(call))
    throw new Refusal(403, `Invalid app_id \`${appOf(call).id}\` - check run can only be modified by the GitHub App that created it.`);
  const wasDone = run.status === 'completed';
  write(world, run, call.body);
  if (run.status === 'completed' && !wasDone) tellRun(world, repositoryOf(call), run, 'completed', run.app.bot);
  return ok(commitShapes.checkRun(world.state, repositoryOf(call), run));
}

/** To all for created and completed; what is asked of one App goes to that one. */
export function tellRun(
  world: World,
  repository: Repository,
  run: CheckRun,
  action: string,
  sender: Account,
  more: shapes.Json = {},
): void {
  const check_suite = commitShapes.checkSuite(world.state, repository, run.suite);
  const fields = { check_run: { ...commitShapes.checkRun(world.state, repository, run), check_suite }, ...more };
  const only = action === 'created' || action === 'completed' ? undefined : run.app;
  world.webhooks.send({ event: 'check_run', action, repository, sender, fields }, only);
}

/** Runs stay as they are: it is the App that must begin again. */
export function rerequestSuite(world: World, repository: Repository, suite: CheckSuite, sender: Account): void {
  const fields = { check_suite: commitShapes.checkSuite(world.state, repository, suite) };
  world.webhooks.send({ event: 'check_suite', action: 'rerequested', repository, sender, fields }, suite.app);
}

async function runsAt(call: Call): Promise<Answer> {
  const repository = repositoryOf(call);
  const sha = await commitIn(call, 'ref');
  const { check_name, status, app_id, filter } = call.query;
  const wanted = repository.runs.filter(
    (run) =>
      run.headSha === sha &&
      (check_name === undefined || run.name === check_name) &&
      (status === undefined || run.status === status) &&
      (app_id === undefined || run.app.id === app_id),
  );
  const isNewest = (run: CheckRun) => !wanted.some((other) => other.id > run.id && other.name === run.name && other.suite === run.suite);
  const shown = (filter === 'all' ? wanted : wanted.filter(isNewest)).sort((a, b) => b.id - a.id);
  return list(
    shown,
    (run) => commitShapes.checkRun(call.world.state, repository, run),
    (check_runs, total_count) => ({ total_count, check_runs }),
  );
}

async function showSuite(call: Call, suite: CheckSuite): Promise<shapes.Json> {
  const [head] = await logOf(repositoryOf(call).directory, `${suite.headSha}^!`);
  return commitShapes.checkSuite(call.world.state, repositoryOf(call), suite, head);
}

export const CHECKS: Routes = {
  'POST /repos/{owner}/{repo}/check-runs': createRun,
  'GET /repos/{owner}/{repo}/check-runs/{check_run_id}': (call) =>
    ok(commitShapes.checkRun(call.world.state, repositoryOf(call), runOf(call))),
  'PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}': updateRun,
  'GET /repos/{owner}/{repo}/check-runs/{check_run_id}/annotations': (call) => list(runOf(call).annotations, (one) => one),
  'POST /repos/{owner}/{repo}/check-runs/{check_run_id}/rerequest': (call) => {
    const run = runOf(call);
    if (run.status !== 'completed') throw new Refusal(422, 'This check run is not rerequestable');
    tellRun(call.world, repositoryOf(call), run, 'rerequested', authorOf(call.actor).account);
    return made({});
  },
  'GET /repos/{owner}/{repo}/commits/{ref}/check-runs': runsAt,
  'GET /repos/{owner}/{repo}/commits/{ref}/check-suites': async (call) => {
    const sha = await commitIn(call, 'ref');
    const { app_id } = call.query;
    const wanted = repositoryOf(call).suites.filter((one) => one.headSha === sha && (app_id === undefined || one.app.id === app_id));
    return list(
      wanted,
      (one) => showSuite(call, one),
      (check_suites, total_count) => ({ total_count, check_suites }),
    );
  },
  'GET /repos/{owner}/{repo}/check-suites/{check_suite_id}': async (call) => ok(await showSuite(call, suiteOf(call))),
  'POST /repos/{owner}/{repo}/check-suites/{check_suite_id}/rerequest': (call) => {
    rerequestSuite(call.world, repositoryOf(call), suiteOf(call), authorOf(call.actor).account);
    return made({});
  },
};
