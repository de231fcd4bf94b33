/** Deployments and their statuses. */
import { Refusal } from '../auth.ts';
import { authorOf } from '../changes.ts';
import * as commitShapes from '../commit-shapes.ts';
import { commitOf, isAncestor } from '../git.ts';
import type { Deployment, Repository } from '../state.ts';
import { type Answer, type Call, list, made, notFound, nothing, numberIn, ok, type Routes, repositoryOf } from './call.ts';

function deploymentOf(call: Call): Deployment {
  const id = numberIn(call.path, 'deployment_id');
  const found = repositoryOf(call).deployments.find((one) => one.id === id);
  if (!found) throw notFound();
  return found;
}

async function createDeployment(call: Call): Promise<Answer> {
  const { body, world } = call;
  const { state } = world;
  const repository = repositoryOf(call);
  const ref = String(body['ref']);
  const sha = await commitOf(repository.directory, ref);
  if (!sha) throw new Refusal(422, `No ref found for: ${ref}`);
  await mustBeMerged(repository, sha, body['auto_merge'] !== false, ref);
  const missing = checksMissing(repository, sha, body['required_contexts']);
  if (missing.length > 0)
    throw new Refusal(409, `Conflict: Commit status checks failed for ${ref}.`, {
      errors: [{ contexts: missing, resource: 'Deployment', field: 'required_contexts', code: 'invalid' }],
    });
  const { account, app } = authorOf(call.actor);
  const environment = String(body['environment'] ?? 'production');
  const fields = {
    ref,
    task: body['task'] ?? 'deploy',
    payload: body['payload'] ?? {},
    environment,
    original_environment: environment,
    description: body['description'] ?? null,
    transient_environment: body['transient_environment'] ?? false,
    production_environment: body['production_environment'] ?? environment === 'production',
  };
  const times = { createdAt: state.now(), updatedAt: state.now() };
  const deployment: Deployment = { id: state.nextId(), sha, creator: account, app, ...times, fields, statuses: [] };
  repository.deployments.push(deployment);
  return made(commitShapes.deployment(state, repository, deployment));
}

/** `auto_merge` is on unless switched off: a ref behind the default branch would be merged, which we never want (and never model). */
async function mustBeMerged(repository: Repository, sha: string, autoMerge: boolean, ref: string): Promise<void> {
  const tip = await commitOf(repository.directory, `refs/heads/${repository.defaultBranch}`);
  const isBranch = (await commitOf(repository.directory, `refs/heads/${ref}`)) !== undefined;
  if (autoMerge && isBranch && tip && !(await isAncestor(repository.directory, tip, sha)))
    throw new Refusal(409, `Conflict merging ${repository.defaultBranch} into ${ref}.`);
}

/** All checks and statuses of the commit unless some are named; none when the list is empty. */
function checksMissing(repository: Repository, sha: string, wanted: unknown): string[] {
  const green = new Map<string, boolean>();
  for (const run of repository.runs) if (run.headSha === sha) green.set(run.name, run.conclusion === 'success');
  for (const status of repository.statuses)
    if (status.sha === sha) green.set(String(status.fields['context']), status.fields['state'] === 'success');
  const names = Array.isArray(wanted) ? wanted.map(String) : [...green.keys()];
  return names.filter((name) => !green.get(name));
}

/** A success makes the environment's earlier successes inactive, those that are neither transient nor production, unless `auto_inactive` is false. */
function createStatus(call: Call): Answer {
  const { body, world } = call;
  const { state } = world;
  const [repository, deployment] = [repositoryOf(call), deploymentOf(call)];
  const { account, app } = authorOf(call.actor);
  const { auto_inactive, ...given } = body;
  const fields = {
    description: '',
    environment: deployment.fields['environment'],
    target_url: '',
    log_url: '',
    environment_url: '',
    ...given,
  };
  const status = { id: state.nextId(), creator: account, app, createdAt: state.now(), fields };
  deployment.statuses.push(status);
  deployment.updatedAt = state.now();
  if (body['state'] === 'success' && auto_inactive !== false) {
    for (const old of repository.deployments) {
      const { environment, transient_environment, production_environment } = old.fields;
      if (old === deployment || environment !== deployment.fields['environment'] || transient_environment || production_environment)
        continue;
      if (old.statuses.at(-1)?.fields['state'] !== 'success') continue;
      old.statuses.push({ ...status, id: state.nextId(), fields: { ...fields, state: 'inactive' } });
    }
  }
  return made(commitShapes.deploymentStatus(state, repository, deployment, status));
}

export const DEPLOYMENTS: Routes = {
  'GET /repos/{owner}/{repo}/deployments': (call) => {
    const fits = (one: Deployment) =>
      ['ref', 'task', 'environment'].every((name) =>
        [undefined, 'none', one.fields[name]].includes(call.query[name] as string | undefined),
      ) && [undefined, 'none', one.sha].includes(call.query['sha'] as string | undefined);
    return list(repositoryOf(call).deployments.filter(fits).reverse(), (one) =>
      commitShapes.deployment(call.world.state, repositoryOf(call), one),
    );
  },
  'POST /repos/{owner}/{repo}/deployments': createDeployment,
  'GET /repos/{owner}/{repo}/deployments/{deployment_id}': (call) =>
    ok(commitShapes.deployment(call.world.state, repositoryOf(call), deploymentOf(call))),
  'DELETE /repos/{owner}/{repo}/deployments/{deployment_id}': (call) => {
    const { deployments } = repositoryOf(call);
    const deployment = deploymentOf(call);
    const active = deployment.statuses.length > 0 && deployment.statuses.at(-1)?.fields['state'] !== 'inactive';
    if (active && deployments.length > 1)
      throw new Refusal(422, 'We cannot delete an active deployment unless it is the only deployment in a given environment.');
    deployments.splice(deployments.indexOf(deployment), 1);
    return nothing;
  },
  'GET /repos/{owner}/{repo}/deployments/{deployment_id}/statuses': (call) => {
    const deployment = deploymentOf(call);
    return list([...deployment.statuses].reverse(), (one) =>
      commitShapes.deploymentStatus(call.world.state, repositoryOf(call), deployment, one),
    );
  },
  'POST /repos/{owner}/{repo}/deployments/{deployment_id}/statuses': createStatus,
};
