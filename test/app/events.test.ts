import { beforeAll, describe, expect, jest, test } from '@jest/globals';
import { type Delivery, isTracked, type Wanted, wantedBy } from '../../app/events.ts';
import { faultOf } from '../../src/error.ts';
import { type Project, projectOf } from '../../src/project.ts';
import { keyOfWork } from '../../src/work.ts';
import { changed, pointersOf, type Story, tellStory } from './deliveries.ts';

jest.setTimeout(60_000);

let story: Story;
beforeAll(async () => {
  story = await tellStory();
});

const delivery = (name: string): Delivery => {
  const found = story.deliveries.get(name);
  if (!found) throw new Error(`the story holds no ${name}, only ${[...story.deliveries.keys()].join(', ')}`);
  return found;
};
const wanted = (one: Delivery): Wanted => wantedBy(one, story.appId);
const keysOf = (one: Delivery): string[] => {
  const result = wanted(one);
  return result.want === 'work' ? result.requests.map(keyOfWork) : [result.want];
};

describe('which event asks for what', () => {
  test.each(['opened', 'reopened', 'synchronize', 'edited', 'labeled', 'unlabeled', 'closed'])(
    'pull_request.%s: its pull request',
    (action) => {
      const result = wanted(delivery(`pull_request.${action}`));
      expect(result).toMatchObject({
        want: 'work',
        requests: [{ kind: 'pull', installation: story.installationId, repository: story.repositoryId, number: 1 }],
      });
      expect('check' in result).toBe(action !== 'closed');
    },
  );

  test('the head that gets its check is the one of the payload', () => {
    expect(wanted(delivery('pull_request.synchronize'))).toMatchObject({
      check: { headSha: story.heads.feature, repository: { fullName: 'acme/api' } },
    });
  });

  test.each(['locked', 'assigned', 'enqueued', 'review_requested', 'pinned'])('pull_request.%s: nothing', (action) => {
    expect(wanted(changed(delivery('pull_request.opened'), '/action', action)).want).toBe('nothing');
  });

  test('push: the ref, if a Project tracks it', () => {
    expect(wanted(delivery('push'))).toMatchObject({ want: 'tracked', ref: 'refs/heads/main', repository: { defaultBranch: 'main' } });
    const gone = changed(changed(delivery('push'), '/deleted', true), '/after', '0'.repeat(40));
    expect(wanted(gone)).toMatchObject({ want: 'tracked', ref: 'refs/heads/main' });
    expect(wanted(changed(delivery('push'), '/ref', 'refs/tags/v1'))).toMatchObject({ want: 'tracked', ref: 'refs/tags/v1' });
    expect(wanted(changed(delivery('push'), '/ref', 'refs/pull/1/head')).want).toBe('nothing');
  });

  test('check_run.requested_action: a key of its own for every press', () => {
    const press = delivery('check_run.requested_action');
    const [key] = keysOf(press);
    expect(key).toMatch(/^act-[0-9a-f]{10}$/);
    expect(keysOf({ ...press, guid: '00000000-0000-4000-8000-000000000000' })).not.toEqual([key]);
    expect(wanted(press)).toMatchObject({ requests: [{ kind: 'button', delivery: press.guid }] });
  });

  test.each(['check_run.rerequested', 'check_suite.rerequested'])('%s: the pull requests that it names', (name) => {
    expect(keysOf(delivery(name))).toEqual([`pr-${story.repositoryId}-1`]);
  });

  test.each(['check_run', 'check_suite'])('%s.rerequested on the head of a fork, where GitHub names none: they are looked for', (event) => {
    const result = wanted(changed(delivery(`${event}.rerequested`), `/${event}/pull_requests`, []));
    expect(result).toMatchObject({ want: 'pulls of head', headSha: story.heads.feature });
  });

  test.each(['check_run.requested_action', 'check_run.rerequested', 'check_suite.rerequested'])('%s of another App: nothing', (name) => {
    const event = name.split('.')[0] ?? '';
    expect(wanted(changed(delivery(name), `/${event}/app/id`, story.appId + 1)).want).toBe('nothing');
  });

  test('merge_group.checks_requested: the ref of the group', () => {
    expect(wanted(delivery('merge_group.checks_requested'))).toMatchObject({
      requests: [{ kind: 'ref', ref: expect.stringMatching(/^refs\/heads\/gh-readonly-queue\/main\/pr-1-/) }],
    });
  });

  test.each(['check_run.created', 'check_suite.requested', 'installation.suspend', 'installation.unsuspend'])('%s: nothing', (name) => {
    expect(wanted(delivery(name)).want).toBe('nothing');
  });

  test.each(['ping', 'star', 'workflow_run', 'repository'])('%s, which nobody asked for: nothing', (event) => {
    expect(wanted({ guid: 'x', event, payload: {} }).want).toBe('nothing');
  });
});

describe('issue_comment.created', () => {
  const comment = (...changes: [string, ...unknown[]][]) =>
    changes.reduce((one, [pointer, ...value]) => changed(one, pointer, ...value), delivery('issue_comment.created'));

  test('with a command on an open pull request: that pull request, and no check of its own', () => {
    const result = wanted(comment());
    expect(result).toEqual({ want: 'work', requests: [expect.objectContaining({ kind: 'pull', number: 1 })] });
  });

  test.each([
    ['a bot wrote it', [['/comment/user/type', 'Bot']]],
    ['it holds no command', [['/comment/body', 'looks good\n/sync']]],
    ['it has no body', [['/comment/body', null]]],
    ['the pull request is closed', [['/issue/state', 'closed']]],
    ['it is an issue that is not ours', [['/issue/pull_request']]],
    ['it was edited', [['/action', 'edited']]],
    ['it was deleted', [['/action', 'deleted']]],
  ] as [string, [string, ...unknown[]][]][])('nothing, when %s', (_name, changes) => {
    expect(wanted(comment(...changes)).want).toBe('nothing');
  });

  test('on a merged pull request every command works, on a closed one only some', () => {
    expect(keysOf(comment(['/issue/state', 'closed'], ['/issue/pull_request/merged_at', '2026-11-21T12:00:00Z']))).toEqual([
      `pr-${story.repositoryId}-1`,
    ]);
    expect(keysOf(comment(['/issue/state', 'closed'], ['/comment/body', '/preview delete']))).toEqual([`pr-${story.repositoryId}-1`]);
  });

  test('on an issue that we opened: that issue', () => {
    const ours = comment(['/issue/pull_request'], ['/issue/performed_via_github_app', { id: story.appId }]);
    expect(keysOf(ours)).toEqual([`issue-${story.repositoryId}-1`]);
    expect(wanted(changed(ours, '/issue/state', 'closed')).want).toBe('nothing');
  });
});

test('whatever is missing, null or of another type in a payload: an answer, or WEBHOOK_PAYLOAD, never anything else', () => {
  let refused = 0;
  let tried = 0;
  for (const one of story.deliveries.values()) {
    for (const pointer of pointersOf(one.payload)) {
      for (const value of [[], [null], [0], [-1], [1.5], ['x'], [''], [true], [[]], [{}], [{ id: { id: 1 } }], ['__proto__']]) {
        tried += 1;
        try {
          const result = wanted(changed(one, pointer, ...value));
          if (result.want === 'work') for (const request of result.requests) expect(keyOfWork(request)).toMatch(/^[a-z]+-[0-9a-z-]+$/);
        } catch (thrown) {
          refused += 1;
          if (faultOf(thrown).code !== 'WEBHOOK_PAYLOAD')
            throw new Error(`${one.event} with ${pointer} = ${JSON.stringify(value)}`, { cause: thrown });
        }
      }
    }
  }
  expect(tried).toBeGreaterThan(10_000);
  expect(refused).toBeGreaterThan(500);
});

describe('a pushed ref is tracked by', () => {
  const project = (source: Record<string, unknown>): Project =>
    projectOf({ apiVersion: 'plumbline.dev/v1alpha1', kind: 'Project', metadata: { name: 'api', namespace: 'api' }, spec: { source } });
  const pushed = (ref: string) => ({
    ref,
    htmlUrl: 'https://github.example/acme/api',
    repository: { id: 1, fullName: 'acme/api', cloneUrl: 'https://github.example/acme/api.git', defaultBranch: 'main', installationId: 1 },
  });

  test.each([
    ['a Project without a revision, on the default branch', { repository: 'acme/api' }, 'refs/heads/main', true],
    ['a Project without a revision, on another branch', { repository: 'acme/api' }, 'refs/heads/feature', false],
    ['a Project on that branch', { repository: 'acme/api', revision: 'prod' }, 'refs/heads/prod', true],
    ['a Project on that tag', { repository: 'acme/api', revision: 'v1' }, 'refs/tags/v1', true],
    ['a Project with the whole ref', { repository: 'acme/api', revision: 'refs/heads/prod' }, 'refs/heads/prod', true],
    ['a Project on a branch with slashes', { repository: 'acme/api', revision: 'env/prod' }, 'refs/heads/env/prod', true],
    ['a Project on another branch that ends alike', { repository: 'acme/api', revision: 'prod' }, 'refs/heads/env/prod', false],
    ['a Project on a commit', { repository: 'acme/api', revision: 'a'.repeat(40) }, 'refs/heads/main', false],
    ['a Project that writes the name in other case', { repository: 'Acme/API' }, 'refs/heads/main', true],
    ['a Project of another repository', { repository: 'acme/web' }, 'refs/heads/main', false],
    ['a Project by address', { url: 'https://github.example/acme/api' }, 'refs/heads/main', true],
    ['a Project by clone address', { url: 'https://github.example/Acme/api.git' }, 'refs/heads/main', true],
    ['a Project by another address', { url: 'https://elsewhere.example/acme/api' }, 'refs/heads/main', false],
  ])('%s', (_name, source, ref, expected) => {
    expect(isTracked(project(source), pushed(ref))).toBe(expected);
  });
});
