/** The handler with doors of this test: who waits for whom, what is opened, what is answered when. */
import { describe, expect, test } from '@jest/globals';
import type { Delivery } from '../../app/events.ts';
import { createHandler, type Handle } from '../../app/handlers.ts';
import type { Cluster } from '../../src/cluster.ts';
import { PlumblineError } from '../../src/error.ts';
import type { GitHub } from '../../src/github.ts';
import type { KubeObject } from '../../src/object.ts';
import { startedLabel } from '../../src/work.ts';

const cronJob: KubeObject = {
  apiVersion: 'batch/v1',
  kind: 'CronJob',
  metadata: { name: 'runner', namespace: 'plumbline-system', uid: 'u1' },
  spec: { jobTemplate: { spec: { template: {} } } },
};

type World = { cluster: Cluster; jobs: KubeObject[]; looks: number; pass: () => void; hold: () => void };

/** An API server that knows Jobs by name; while it is held, every look waits. */
function world(more: Partial<Cluster> = {}): World {
  let gate = Promise.resolve();
  let open = () => {};
  const self: World = {
    jobs: [],
    looks: 0,
    hold: () => {
      gate = new Promise((passed) => {
        open = passed;
      });
    },
    pass: () => open(),
    cluster: {
      read: async () => cronJob,
      list: async () => {
        self.looks += 1;
        const seen = structuredClone(self.jobs);
        await gate;
        return seen;
      },
      create: async (job: KubeObject) => {
        if (self.jobs.some((one) => one.metadata.name === job.metadata.name)) throw new PlumblineError('API_CONFLICT', 'it exists');
        self.jobs.push(job);
        return job;
      },
      ...more,
    } as Cluster,
  };
  return self;
}

function gitHub(openCheck: () => Promise<unknown> = async () => ({ status: 'queued' })) {
  const opened: string[] = [];
  const knownRepository = () => ({
    openCheck: async (_name: string, headSha: string) => {
      opened.push(headSha);
      return openCheck();
    },
  });
  return { opened, github: { knownRepository } as unknown as GitHub };
}

const sha = (letter: string) => letter.repeat(40);
const opened = (number: number, headSha = sha('a'), action = 'opened'): Delivery => ({
  guid: '11111111-2222-4333-8444-555555555555',
  event: 'pull_request',
  payload: {
    action,
    installation: { id: 1 },
    repository: { id: 7, full_name: 'acme/api', clone_url: 'http://x/acme/api.git', default_branch: 'main' },
    pull_request: { number, state: action === 'closed' ? 'closed' : 'open', head: { sha: headSha } },
  },
});
const settings = { appId: 1, checkName: 'plumbline' };
const now = (handle: Handle, delivery: Delivery) => handle(delivery, Date.now());
const names = (one: World) => one.jobs.map((job) => job.metadata.name);

describe('many deliveries of one pull request at once', () => {
  test('share turns: a thousand cost two looks, make one Job, and open one check', async () => {
    const one = world();
    const { opened: checks, github } = gitHub();
    const handle = createHandler({ cluster: one.cluster, github }, settings);
    one.hold();
    const all = Array.from({ length: 1000 }, () => now(handle, opened(1)));
    one.pass();
    const outcomes = await Promise.all(all);
    await Promise.all(outcomes.map((outcome) => outcome.after?.()));
    expect(outcomes.every(({ status }) => status === 202)).toBe(true);
    expect(names(one)).toEqual(['pr-7-1-1']);
    expect(one.looks).toBe(2);
    expect(checks).toEqual([sha('a')]);
  });

  test('a delivery that arrives during a look is not covered by what that look saw', async () => {
    const one = world();
    const handle = createHandler({ cluster: one.cluster, github: gitHub().github }, settings);
    await now(handle, opened(1));
    one.hold();
    const first = now(handle, opened(1));
    while (one.looks < 2) await Promise.resolve();
    const second = now(handle, opened(1));
    // The Job starts, and so has read its pull request, before the second delivery is looked at.
    Object.assign(one.jobs[0]?.metadata.labels ?? {}, { [startedLabel]: 'true' });
    one.pass();
    expect(await first).toMatchObject({ status: 202, outcome: 'covered by pr-7-1-1' });
    expect(await second).toMatchObject({ status: 202, outcome: 'created pr-7-1-2' });
  });

  test('another pull request does not wait for them', async () => {
    const one = world();
    const busy = one.cluster.list;
    let free = () => {};
    const held = new Promise<void>((done) => {
      free = done;
    });
    one.cluster = {
      ...one.cluster,
      list: async (kind, options) => {
        if (options?.labels?.endsWith('pr-7-1')) await held;
        return busy(kind);
      },
    };
    const handle = createHandler({ cluster: one.cluster, github: gitHub().github }, settings);
    const stuck = now(handle, opened(1));
    expect(await now(handle, opened(2))).toMatchObject({ status: 202, outcome: 'created pr-7-2-1' });
    free();
    expect(await stuck).toMatchObject({ outcome: 'created pr-7-1-1' });
  });

  test('a turn that failed does not fail the next', async () => {
    const one = world();
    const { list } = one.cluster;
    let fails = true;
    one.cluster.list = async (kind) => {
      if (fails) throw new PlumblineError('API_SERVER_ERROR', 'etcd is away');
      return list(kind);
    };
    const handle = createHandler({ cluster: one.cluster, github: gitHub().github }, settings);
    const first = now(handle, opened(1));
    const second = now(handle, opened(1));
    expect(await first).toMatchObject({ status: 503, outcome: 'API_SERVER_ERROR' });
    fails = false;
    await second;
    expect(await now(handle, opened(1))).toMatchObject({ status: 202 });
    expect(names(one)).toEqual(['pr-7-1-1']);
  });
});

describe('the check', () => {
  test('is opened after the answer, by the delivery that made the Job only', async () => {
    const one = world();
    const { opened: checks, github } = gitHub();
    const handle = createHandler({ cluster: one.cluster, github }, settings);
    const first = await now(handle, opened(1, sha('a')));
    const second = await now(handle, opened(1, sha('b'), 'synchronize'));
    expect(checks).toEqual([]);
    expect(await first.after?.()).toBe('queued');
    expect(second).toEqual({ status: 202, outcome: 'covered by pr-7-1-1' });
    expect(checks).toEqual([sha('a')]);
  });

  test('is not opened for a closed pull request', async () => {
    const handle = createHandler({ cluster: world().cluster, github: gitHub().github }, settings);
    expect(await now(handle, opened(1, sha('a'), 'closed'))).toEqual({ status: 202, outcome: 'created pr-7-1-1' });
  });

  test('that cannot be opened is one word in the log, never a thrown error or its text', async () => {
    const token = `ghs_${'a'.repeat(36)}`;
    const { github } = gitHub(() => Promise.reject(new Error(`refused ${token}`)));
    const handle = createHandler({ cluster: world().cluster, github }, settings);
    const { after } = await now(handle, opened(1));
    expect(await after?.()).toBe('INTERNAL');
  });

  test('is left to the runner while a hundred others wait for GitHub', async () => {
    let free = () => {};
    const held = new Promise<{ status: string }>((done) => {
      free = () => done({ status: 'queued' });
    });
    const { github, opened: checks } = gitHub(() => held);
    const handle = createHandler({ cluster: world().cluster, github }, settings);
    const outcomes = await Promise.all(Array.from({ length: 101 }, (_, index) => now(handle, opened(index + 1))));
    const words = outcomes.map((outcome) => outcome.after?.());
    expect(await words[100]).toBe('left to the runner');
    free();
    expect(new Set(await Promise.all(words.slice(0, 100)))).toEqual(new Set(['queued']));
    expect(checks).toHaveLength(100);
  });
});

describe('what is answered', () => {
  const never = () => new Promise<never>(() => {});

  test('503 when no Job can be made before the deadline, counted from the arrival', async () => {
    const one = world({ list: never });
    const handle = createHandler({ cluster: one.cluster, github: gitHub().github }, { ...settings, deadlineMs: 50 });
    expect(await now(handle, opened(1))).toEqual({ status: 503, outcome: 'APP_BUSY' });
    expect(await handle(opened(2), Date.now() - 60)).toEqual({ status: 503, outcome: 'APP_BUSY' });
  });

  test.each([
    ['another error', new Error('boom'), 'INTERNAL'],
    ['no runner', new PlumblineError('RUNNER_NOT_INSTALLED', 'x'), 'RUNNER_NOT_INSTALLED'],
    ['a missing right', new PlumblineError('API_FORBIDDEN', 'jobs is forbidden'), 'API_FORBIDDEN'],
    ['a full quota', new PlumblineError('API_FORBIDDEN', 'jobs "x" is forbidden: exceeded quota: plumbline-jobs'), 'JOB_QUOTA_FULL'],
    ['nothing at all', undefined, 'INTERNAL'],
  ])('503 for %s, with its code and not its text', async (_name, thrown, outcome) => {
    const one = world({
      list: () => Promise.reject(thrown),
    });
    const handle = createHandler({ cluster: one.cluster, github: gitHub().github }, settings);
    expect(await now(handle, opened(1))).toEqual({ status: 503, outcome });
  });

  test('400 for a payload that lacks what its event has, before anything is asked', async () => {
    const one = world();
    const handle = createHandler({ cluster: one.cluster, github: gitHub().github }, settings);
    const delivery = opened(1);
    expect(await now(handle, { ...delivery, payload: { ...delivery.payload, installation: null } })).toEqual({
      status: 400,
      outcome: 'WEBHOOK_PAYLOAD',
    });
    expect(one.looks).toBe(0);
  });
});
