import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { Octokit } from '@octokit/rest';
import { OPERATIONS } from '../support/github/operations.ts';
import { ROUTES } from '../support/github/server.ts';
import { actAs, type Desk, openDesk, withToken } from './desk.ts';

jest.setTimeout(60_000);
let desk: Desk;
let octokit: Octokit;
let main: string;
beforeEach(async () => {
  desk = await openDesk();
  octokit = await actAs(desk, desk.app);
  main = (await desk.people.tip('acme/api', 'main')) ?? '';
});
afterEach(async () => {
  await desk.close();
  expect(desk.github.violations).toEqual([]);
});

const repo = { owner: 'acme', repo: 'api' };
const body = (error: unknown) => (error as { response: { data: { message: string } } }).response.data;

describe('check runs', () => {
  const create = (more: object = {}) => octokit.rest.checks.create({ ...repo, name: 'plumbline', head_sha: main, ...more });
  const update = (check_run_id: number, more: object) => octokit.rest.checks.update({ ...repo, check_run_id, ...more });
  const at = async (more: object = {}) => (await octokit.rest.checks.listForRef({ ...repo, ref: main, ...more })).data;

  test('annotations are added call by call, texts replaced; they are read back in pages', async () => {
    const note = (line: number) => ({
      path: 'a',
      start_line: line,
      end_line: line,
      annotation_level: 'notice' as const,
      message: `line ${line}`,
    });
    const fifty = Array.from({ length: 50 }, (_, index) => note(index + 1));
    const { data } = await create({ output: { title: 't', summary: 's', text: 'long', annotations: fifty } });
    const { data: after } = await update(data.id, {
      conclusion: 'failure',
      output: { title: 't2', summary: 's2', annotations: [note(51)] },
    });
    expect(after).toMatchObject({
      status: 'completed',
      conclusion: 'failure',
      output: { title: 't2', summary: 's2', text: null, annotations_count: 51 },
    });
    const all = await octokit.paginate(octokit.rest.checks.listAnnotations, { ...repo, check_run_id: data.id, per_page: 50 });
    expect(all.map(({ message }) => message)).toEqual(Array.from({ length: 51 }, (_, index) => `line ${index + 1}`));
  });

  test('two of one name: the newest is listed, all when asked; by name, status and App', async () => {
    const [first, second] = [(await create()).data, (await create()).data];
    await create({ name: 'other', conclusion: 'success' });
    const theirs = withToken(desk, await desk.github.owners.workflowToken('acme/api', { checks: 'write' }));
    await theirs.rest.checks.create({ ...repo, name: 'plumbline', head_sha: main });
    const ids = async (more: object) => (await at(more)).check_runs.map(({ id }) => id);
    expect(await ids({ check_name: 'plumbline', app_id: desk.app.appId })).toEqual([second.id]);
    expect(await ids({ check_name: 'plumbline', app_id: desk.app.appId, filter: 'all' })).toEqual([second.id, first.id]);
    expect((await at({ check_name: 'plumbline' })).total_count).toBe(2);
    expect((await at({ status: 'completed' })).check_runs.map(({ name }) => name)).toEqual(['other']);
    expect((await octokit.rest.checks.listSuitesForRef({ ...repo, ref: 'main', app_id: desk.app.appId })).data.total_count).toBe(1);
  });

  test("another App's run is not ours to change; one that is begun again loses its conclusion", async () => {
    const { data } = await create({ conclusion: 'success' });
    const theirs = withToken(desk, await desk.github.owners.workflowToken('acme/api', { checks: 'write' }));
    await expect(theirs.rest.checks.update({ ...repo, check_run_id: data.id, name: 'mine' })).rejects.toMatchObject({ status: 403 });
    const again = await update(data.id, { status: 'in_progress' });
    expect(again.data).toMatchObject({ status: 'in_progress', conclusion: null, completed_at: null });
    expect((await octokit.rest.checks.getSuite({ ...repo, check_suite_id: data.check_suite?.id ?? 0 })).data).toMatchObject({
      status: 'in_progress',
      head_sha: main,
    });
  });

  test('rerequesting leaves the run as it is and tells the App; an unfinished one is refused; a button that is not shown cannot be pressed', async () => {
    const { data } = await create();
    await expect(octokit.rest.checks.rerequestRun({ ...repo, check_run_id: data.id })).rejects.toMatchObject({ status: 422 });
    expect(() => desk.people.pressButton('acme/api', data.id, 'sync')).toThrow('shows no button "sync"');
    await update(data.id, { conclusion: 'success' });
    await octokit.rest.checks.rerequestRun({ ...repo, check_run_id: data.id });
    await octokit.rest.checks.rerequestSuite({ ...repo, check_suite_id: data.check_suite?.id ?? 0 });
    await desk.github.deliveriesSettled();
    const asked = desk.receiver.received
      .map(({ event, payload }) => `${event}.${payload['action']}`)
      .filter((name) => name.endsWith('rerequested'));
    expect(asked.sort()).toEqual(['check_run.rerequested', 'check_suite.rerequested']);
    expect((await octokit.rest.checks.get({ ...repo, check_run_id: data.id })).data.conclusion).toBe('success');
  });

  test('a thousand and one of a name: the oldest is gone', async () => {
    const { data } = await create();
    const { runs } = desk.people.repository('acme/api');
    const [run] = runs;
    if (!run) throw new Error('the run is missing');
    for (let index = 0; index < 999; index += 1) runs.push({ ...run, id: desk.github.state.nextId() });
    await create();
    expect(runs).toHaveLength(1000);
    await expect(octokit.rest.checks.get({ ...repo, check_run_id: data.id })).rejects.toMatchObject({ status: 404 });
  });

  test('for a commit that is not there: refused', async () => {
    const error: unknown = await create({ head_sha: 'f'.repeat(40) }).catch((thrown: unknown) => thrown);
    expect(body(error).message).toContain('No commit found for SHA');
  });
});

describe('issues, comments, reactions, labels', () => {
  test('an issue is opened, edited, closed and found by label; pull requests are listed among issues', async () => {
    const { data } = await octokit.rest.issues.create({ ...repo, title: 'Drift detected in api', body: 'b', labels: ['drift'] });
    await desk.people.commit('acme/api', 'a', { files: { a: '1' } });
    const pull = await desk.people.openPullRequest('acme/api', { title: 'x', head: 'a' });
    await octokit.rest.issues.addLabels({ ...repo, issue_number: pull.number, labels: ['preview', 'drift'] });
    await octokit.rest.issues.removeLabel({ ...repo, issue_number: pull.number, name: 'drift' });
    await expect(octokit.rest.issues.removeLabel({ ...repo, issue_number: pull.number, name: 'drift' })).rejects.toMatchObject({
      status: 404,
    });
    const { data: listed } = await octokit.rest.issues.listForRepo({ ...repo, state: 'all' });
    expect(
      listed.map((one) => [one.number, one.pull_request !== undefined, one.labels.map((label) => (label as { name: string }).name)]),
    ).toEqual([
      [pull.number, true, ['preview']],
      [data.number, false, ['drift']],
    ]);
    const { data: closed } = await octokit.rest.issues.update({ ...repo, issue_number: data.number, state: 'closed', labels: [] });
    expect(closed).toMatchObject({ state: 'closed', state_reason: 'completed', closed_at: expect.any(String), labels: [] });
    expect((await octokit.rest.issues.listForRepo({ ...repo, labels: 'drift' })).data).toEqual([]);
    expect((await octokit.rest.issues.get({ ...repo, issue_number: pull.number })).data.pull_request).toBeDefined();
  });

  test('comments by update, the newest first; an edited one says so and moves up; a deleted one is gone', async () => {
    await desk.people.createRepository({ owner: 'acme', name: 'quiet', issues: false });
    const { data: issue } = await octokit.rest.issues.create({ ...repo, title: 't' });
    const say = async (text: string) =>
      (await octokit.rest.issues.createComment({ ...repo, issue_number: issue.number, body: text })).data.id;
    const [one, two, three] = [await say('one'), await say('two'), await say('three')];
    desk.github.advance(2000);
    await octokit.rest.issues.updateComment({ ...repo, comment_id: one, body: 'one, better' });
    const byUpdate = () => octokit.rest.issues.listCommentsForRepo({ ...repo, sort: 'updated', direction: 'desc', per_page: 100 });
    const { data } = await byUpdate();
    expect(data.map(({ id }) => id)).toEqual([one, three, two]);
    expect([data[0]?.created_at === data[0]?.updated_at, data[1]?.created_at === data[1]?.updated_at]).toEqual([false, true]);
    await octokit.rest.issues.deleteComment({ ...repo, comment_id: one });
    expect((await byUpdate()).data.map(({ id }) => id)).toEqual([three, two]);
    await expect(octokit.rest.issues.getComment({ ...repo, comment_id: one })).rejects.toMatchObject({ status: 404 });
    expect((await octokit.rest.issues.get({ ...repo, issue_number: issue.number })).data.comments).toBe(2);
  });

  test('a reaction is one however often it is given, and each account has its own', async () => {
    const { data: issue } = await octokit.rest.issues.create({ ...repo, title: 't' });
    const comment_id = desk.people.comment('acme/api', issue.number, '/sync').id;
    const react = (by: Octokit) => by.rest.reactions.createForIssueComment({ ...repo, comment_id, content: 'eyes' });
    const first = await react(octokit);
    expect([first.status, (await react(octokit)).status]).toEqual([201, 200]);
    await react(withToken(desk, desk.people.userToken('acme')));
    const { data } = await octokit.rest.reactions.listForIssueComment({ ...repo, comment_id, content: 'eyes' });
    expect(data.map(({ user }) => user?.login)).toEqual(['plumbline[bot]', 'acme']);
    await octokit.rest.reactions.deleteForIssueComment({ ...repo, comment_id, reaction_id: first.data.id });
    expect((await octokit.rest.reactions.listForIssueComment({ ...repo, comment_id })).data).toHaveLength(1);
    await octokit.rest.reactions.createForIssue({ ...repo, issue_number: issue.number, content: 'rocket' });
    expect((await octokit.rest.reactions.listForIssue({ ...repo, issue_number: issue.number })).data).toHaveLength(1);
  });

  test('issues switched off: 410; an archived repository: 403 for every write, reading goes on', async () => {
    desk.people.repository('acme/api').issuesEnabled = false;
    await expect(octokit.rest.issues.create({ ...repo, title: 't' })).rejects.toMatchObject({ status: 410 });
    desk.github.owners.archiveRepository('acme/api');
    const check = octokit.rest.checks.create({ ...repo, name: 'plumbline', head_sha: main });
    await expect(check).rejects.toMatchObject({ status: 403, message: expect.stringContaining('archived') });
    expect((await octokit.rest.repos.get(repo)).data.archived).toBe(true);
  });
});

test('every operation of the list has a route, and no route is without', () => {
  expect(Object.keys(ROUTES).sort()).toEqual(OPERATIONS.map(({ method, path }) => `${method} ${path}`).sort());
});
