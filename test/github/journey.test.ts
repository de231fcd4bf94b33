import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { actAs, type Desk, openDesk } from './desk.ts';

jest.setTimeout(60_000);
let desk: Desk;
beforeEach(async () => {
  desk = await openDesk();
});
afterEach(() => desk.close());

test('a pull request lives its life over REST, git and webhooks, and nothing breaks the contract', async () => {
  const { github, receiver, app } = desk;
  await desk.people.commit('acme/api', 'feature', { files: { 'k8s/web.yaml': 'kind: B\n' }, message: 'change web' });
  const pull = await desk.people.openPullRequest('acme/api', { title: 'Change web', head: 'feature' });
  const octokit = await actAs(desk, app);
  const repo = { owner: 'acme', repo: 'api' };

  const { data: listed } = await octokit.rest.pulls.list({ ...repo, state: 'all', sort: 'updated', direction: 'desc', per_page: 100 });
  expect(listed.map((one) => [one.number, one.title, one.head.ref, one.base.ref])).toEqual([
    [pull.number, 'Change web', 'feature', 'main'],
  ]);
  const head = listed[0]?.head.sha ?? '';
  const { data: check } = await octokit.rest.checks.create({ ...repo, name: 'plumbline', head_sha: head, status: 'in_progress' });
  await octokit.rest.checks.update({
    ...repo,
    check_run_id: check.id,
    conclusion: 'success',
    output: {
      title: 'ok',
      summary: 'fine',
      annotations: [{ path: 'k8s/web.yaml', start_line: 1, end_line: 1, annotation_level: 'notice', message: 'here' }],
    },
  });
  const { data: found } = await octokit.rest.checks.listForRef({ ...repo, ref: head, check_name: 'plumbline', app_id: app.appId });
  expect(found.check_runs.map((one) => [one.id, one.status, one.conclusion, one.output.annotations_count])).toEqual([
    [check.id, 'completed', 'success', 1],
  ]);
  const { data: comment } = await octokit.rest.issues.createComment({ ...repo, issue_number: pull.number, body: 'hello' });
  expect(comment.performed_via_github_app?.id).toBe(app.appId);
  desk.people.comment('acme/api', pull.number, '/sync');
  await desk.people.mergePullRequest('acme/api', pull.number, 'squash');
  const { data: merged } = await octokit.rest.pulls.get({ ...repo, pull_number: pull.number });
  expect([merged.state, merged.merged, merged.merge_commit_sha]).toEqual(['closed', true, await desk.people.tip('acme/api', 'main')]);

  await github.deliveriesSettled();
  const names = receiver.received.map((one) => [one.event, one.payload['action']].filter(Boolean).join('.')).sort();
  expect(names).toEqual([
    ...['check_run.completed', 'check_run.created', 'check_suite.requested', 'check_suite.requested', 'installation.created'],
    ...['issue_comment.created', 'issue_comment.created', 'ping', 'pull_request.closed', 'pull_request.opened', 'push', 'push'],
  ]);
  expect(github.violations).toEqual([]);
});
