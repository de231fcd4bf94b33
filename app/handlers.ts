/**
 * From a delivery to a Job. The order is what an ack means (DESIGN "What an ack means"): the Job first, then 202, then, only for the
 * delivery that made the Job, the queued check. What goes wrong is 503, so that GitHub's delivery log shows it.
 */
import type { Cluster } from '../src/cluster.ts';
import { faultOf, PlumblineError } from '../src/error.ts';
import { ensureJob } from '../src/flow/ensure-job.ts';
import type { CheckReport, GitHub, KnownRepository } from '../src/github.ts';
import { projectKind, projectOf } from '../src/project.ts';
import { keyOfWork, type WorkRequest } from '../src/work.ts';
import { type Delivery, isTracked, pullWork, refWork, type Wanted, wantedBy } from './events.ts';
import type { Outcome } from './front.ts';

export type Doors = { cluster: Cluster; github: GitHub };
export type HandlerSettings = { appId: number; checkName: string; deadlineMs?: number };
export type Handle = (delivery: Delivery, arrived: number) => Promise<Outcome>;

/** GitHub gives up after ten seconds. */
const ackDeadlineMs = 8_000;
/** Beyond that the runner opens the check itself. */
const mostChecksWaiting = 100;

const waitingReport: CheckReport = {
  status: 'queued',
  title: 'Waiting for the runner',
  summary: 'A Job of the runner is created. It renders this pull request and completes this check.',
  annotations: [],
};

/** The handler never rejects. */
export function createHandler(doors: Doors, settings: HandlerSettings): Handle {
  const ensure = oneAtATime((request) => ensureJob(doors.cluster, request));
  let checksWaiting = 0;
  const openCheck = async (check: NonNullable<Work['check']>): Promise<string> => {
    if (checksWaiting >= mostChecksWaiting) return 'left to the runner';
    checksWaiting += 1;
    try {
      const { repository, headSha } = check;
      const opened = await doors.github.knownRepository(repository).openCheck(settings.checkName, headSha, waitingReport);
      return opened.status;
    } catch (thrown) {
      return faultOf(thrown).code;
    } finally {
      checksWaiting -= 1;
    }
  };
  const act = async (delivery: Delivery): Promise<Outcome> => {
    const work = await workFor(doors, wantedBy(delivery, settings.appId));
    if (work.requests.length === 0) return { status: 202, outcome: work.why };
    const turns = work.requests.map(ensure);
    const made = await Promise.all(turns.map((turn) => turn.made));
    const { check } = work;
    const opens = check !== undefined && made[0]?.created === true && turns[0]?.takeCheck() === true;
    const outcome = made.map(({ job, created }) => `${created ? 'created' : 'covered by'} ${job}`).join(', ');
    return opens ? { status: 202, outcome, after: () => openCheck(check) } : { status: 202, outcome };
  };
  return async (delivery, arrived) => {
    try {
      return await within(act(delivery), arrived + (settings.deadlineMs ?? ackDeadlineMs) - Date.now());
    } catch (thrown) {
      const { code, message } = faultOf(thrown);
      // The API server says 403 for a full quota as for a missing right; who reads the log has to know which.
      const quota = code === 'API_FORBIDDEN' && message.includes('exceeded quota');
      return { status: code === 'WEBHOOK_PAYLOAD' ? 400 : 503, outcome: quota ? 'JOB_QUOTA_FULL' : code };
    }
  };
}

type Work = { requests: WorkRequest[]; why: string; check?: { repository: KnownRepository; headSha: string } };

/** What only the cluster or GitHub can tell: whether a ref is tracked, and which pull requests a head belongs to. */
async function workFor({ cluster, github }: Doors, wanted: Wanted): Promise<Work> {
  switch (wanted.want) {
    case 'nothing':
      return { requests: [], why: wanted.why };
    case 'work':
      return { why: '', ...wanted };
    case 'tracked': {
      const projects = (await cluster.list(projectKind)).map(projectOf);
      const isWanted = projects.some((project) => isTracked(project, wanted));
      return { requests: isWanted ? [refWork(wanted.repository, wanted.ref)] : [], why: 'no project tracks this ref' };
    }
    case 'pulls of head': {
      const open = await github.knownRepository(wanted.repository).openPullRequests();
      const numbers = open.filter((pull) => pull.headSha === wanted.headSha).map((pull) => pull.number);
      return { requests: numbers.map((number) => pullWork(wanted.repository, number)), why: 'no open pull request has this head' };
    }
  }
}

type Made = { job: string; created: boolean };
/** `takeCheck` is true once: one of those who wait for the same Job opens the check. */
type Turn = { made: Promise<Made>; takeCheck: () => boolean };

/**
 * Deliveries of one key take turns, and all that arrive during a turn share the next one. A shared turn begins after each of them
 * arrived, so its Job covers them; a thousand pushes cost two turns, not a thousand.
 */
function oneAtATime(ensure: (request: WorkRequest) => Promise<Made>): (request: WorkRequest) => Turn {
  const running = new Map<string, Turn>();
  const waiting = new Map<string, Turn>();
  const turnOf = (made: Promise<Made>): Turn => {
    let taken = false;
    const takeCheck = () => {
      const first = !taken;
      taken = true;
      return first;
    };
    return { made, takeCheck };
  };
  const run = (key: string, turn: Turn): Turn => {
    const end = () => {
      if (running.get(key) === turn) running.delete(key);
    };
    turn.made.then(end, end);
    return turn;
  };
  return (request) => {
    const key = keyOfWork(request);
    const current = running.get(key);
    if (!current) {
      const turn = turnOf(ensure(request));
      running.set(key, turn);
      return run(key, turn);
    }
    const next = waiting.get(key);
    if (next) return next;
    const begin = (): Promise<Made> => {
      waiting.delete(key);
      running.set(key, turn);
      return ensure(request);
    };
    const turn: Turn = turnOf(current.made.then(begin, begin));
    waiting.set(key, turn);
    return run(key, turn);
  };
}

async function within<T>(work: Promise<T>, milliseconds: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new PlumblineError('APP_BUSY', 'no Job could be made in time', { retry: 'later' })),
      Math.max(0, milliseconds),
    );
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
