/**
 * Check runs: looked for before they are made, sent in pieces that GitHub takes, and looked at again when an answer got lost.
 * Source: REST API "Check runs" (fifty annotations a call, which are appended).
 */
import { isPlumblineError } from '../error.ts';
import { type Check, checkRunOf, checkRunsOf } from './answers.ts';
import type { Access, Client } from './client.ts';

export type CheckAnnotation = {
  path: string;
  startLine: number;
  endLine: number;
  level: 'failure' | 'warning' | 'notice';
  title: string;
  message: string;
};

/** What a check says. `conclusion` exactly when `completed`; `cancelled` passes no required check. Any number of annotations: they are sent fifty at a time. */
export type CheckReport = {
  status: 'queued' | 'in_progress' | 'completed';
  conclusion?: 'success' | 'failure' | 'action_required' | 'cancelled';
  title: string;
  summary: string;
  text?: string;
  annotations: CheckAnnotation[];
};

export type Checks = {
  /** The newest run of that name which this App made. */
  findCheck(name: string, headSha: string): Promise<Check | undefined>;
  /**
   * The run that is still open, as it is; else a new one with this report. A completed one is not written over: its verdict would stand
   * while it is looked at again, and GitHub keeps the annotations of before. Of several runs of a name the newest counts.
   */
  openCheck(name: string, headSha: string, report: CheckReport): Promise<Check>;
  updateCheck(id: number, report: CheckReport): Promise<void>;
};

type Place = { owner: string; repo: string };
type Run = ReturnType<typeof checkRunOf>;

const annotationsPerCall = 50;

/** @param writing a token that may write checks of this repository, made when first used: looking alone needs none. */
export function checksOf(client: Client, { reading, writing }: { reading: Access; writing: Access }, place: Place, appId: number): Checks {
  const findCheck: Checks['findCheck'] = async (name, headSha) => {
    const asked = { ...place, ref: headSha, check_name: name, app_id: appId, filter: 'latest', per_page: 100 } as const;
    const { data } = await client.run(reading, 'read', ({ rest }) => rest.checks.listForRef(asked));
    const ours = checkRunsOf(data).filter((run) => run.appId === appId && run.check.name === name);
    return ours.map((run) => run.check).sort((a, b) => b.id - a.id)[0];
  };

  const create = async (name: string, headSha: string, report: CheckReport): Promise<Check> => {
    const first = piecesOf(report)[0] ?? report;
    const asked = { ...place, name, head_sha: headSha, ...fieldsOf(first) };
    const { data } = await client.run(writing, 'content', ({ rest }) => rest.checks.create(asked));
    return checkRunOf(data).check;
  };

  const update = async (id: number, piece: CheckReport): Promise<Run> => {
    const asked = { ...place, check_run_id: id, ...fieldsOf(piece) };
    return checkRunOf((await client.run(writing, 'write', ({ rest }) => rest.checks.update(asked))).data);
  };

  const look = async (id: number): Promise<Run> =>
    checkRunOf((await client.run(reading, 'read', ({ rest }) => rest.checks.get({ ...place, check_run_id: id }))).data);

  const send = (id: number, pieces: CheckReport[], before?: number): Promise<void> =>
    inTurn(
      pieces,
      (piece) => update(id, piece),
      () => look(id),
      before,
    );

  return {
    findCheck,
    async openCheck(name, headSha, report) {
      const there = await findCheck(name, headSha);
      if (there && there.status !== 'completed') return there;
      const opened = await afterLook(
        () => create(name, headSha, report),
        async () => {
          const found = await findCheck(name, headSha);
          return found?.id === there?.id ? undefined : found;
        },
      );
      await send(opened.id, piecesOf(report).slice(1), annotationsPerCall);
      return opened;
    },
    updateCheck: (id, report) => send(id, piecesOf(report)),
  };
}

/** @param before how many annotations the run has already, where that is known */
async function inTurn(
  pieces: CheckReport[],
  update: (piece: CheckReport) => Promise<Run>,
  look: () => Promise<Run>,
  before: number | undefined,
): Promise<void> {
  let annotated = before;
  for (const piece of pieces) {
    const done = async () => {
      const run = await look();
      return says(run, piece, annotated) ? run : undefined;
    };
    annotated = (await afterLook(() => update(piece), done)).annotations;
  }
}

/** A write whose answer got lost is repeated once, and only after a look shows that it was not done. */
async function afterLook<T>(write: () => Promise<T>, look: () => Promise<T | undefined>): Promise<T> {
  try {
    return await write();
  } catch (thrown) {
    if (!isPlumblineError(thrown) || thrown.code !== 'GITHUB_UNREACHABLE') throw thrown;
    return (await look()) ?? (await write());
  }
}

function says(run: Run, piece: CheckReport, before: number | undefined): boolean {
  const same =
    run.title === piece.title &&
    run.summary === piece.summary &&
    run.check.status === piece.status &&
    run.check.conclusion === (piece.conclusion ?? null);
  return same && (before === undefined || run.annotations >= before + piece.annotations.length);
}

/** The report in calls of at most fifty annotations; only the last one may complete the check, so that "completed" means all is there. */
function piecesOf(report: CheckReport): CheckReport[] {
  const count = Math.max(1, Math.ceil(report.annotations.length / annotationsPerCall));
  return Array.from({ length: count }, (_, index) => {
    const annotations = report.annotations.slice(index * annotationsPerCall, (index + 1) * annotationsPerCall);
    if (index === count - 1) return { ...report, annotations };
    const { conclusion: _later, ...open } = report;
    return { ...open, status: 'in_progress', annotations };
  });
}

function fieldsOf(report: CheckReport) {
  const annotations = report.annotations.map((one) => ({
    path: one.path,
    start_line: one.startLine,
    end_line: one.endLine,
    annotation_level: one.level,
    title: one.title,
    message: one.message,
  }));
  const output = { title: report.title, summary: report.summary, ...(report.text === undefined ? {} : { text: report.text }), annotations };
  return report.conclusion === undefined
    ? { status: report.status as 'queued' | 'in_progress', output }
    : { status: 'completed' as const, conclusion: report.conclusion, output };
}
