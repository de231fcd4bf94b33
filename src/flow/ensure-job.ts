/**
 * Makes sure that a Job will look at what a request names: the durable record behind every ack (DESIGN "What an ack means").
 * The App and the tick both come here, so however often something is reported, one Job waits for it.
 */
import type { Cluster } from '../cluster.ts';
import { isPlumblineError, PlumblineError } from '../error.ts';
import { jobFor, jobOf, keyLabel, keyOfWork, productNamespace, runnerCronJob, type WorkRequest } from '../work.ts';

const job = { apiVersion: 'batch/v1', kind: 'Job' };
const TRIES = 5;

/** `created` is true for exactly one caller per Job. Throws when no Job could be made (no runner installed, quota full, no API server). */
export async function ensureJob(cluster: Cluster, request: WorkRequest): Promise<{ job: string; created: boolean }> {
  const key = keyOfWork(request);
  const cronJob = await cluster.read({ apiVersion: 'batch/v1', kind: 'CronJob', namespace: productNamespace, name: runnerCronJob });
  if (!cronJob) {
    throw new PlumblineError('RUNNER_NOT_INSTALLED', `there is no CronJob ${runnerCronJob} in namespace ${productNamespace}`, {
      hint: 'apply deploy/ first',
    });
  }
  for (let attempt = 1; ; attempt++) {
    const jobs = await cluster.list(job, { namespace: productNamespace, labels: `${keyLabel}=${key}` });
    const decision = jobFor(key, jobs);
    if ('covered' in decision) return { job: decision.covered, created: false };
    try {
      await cluster.create(jobOf(cronJob, decision.create, request));
      return { job: decision.create, created: true };
    } catch (error) {
      // Another replica just took that number: its Job covers us, or the next look finds the next number.
      const taken = isPlumblineError(error) && error.code === 'API_CONFLICT';
      if (!taken || attempt === TRIES) throw error;
    }
  }
}
