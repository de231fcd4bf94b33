/**
 * `npm run bench -- app`: 1,000 signed deliveries about 20 pull requests to two replicas of the App (two processes) on a real API
 * server, each delivery to a replica by chance, one in ten of them sent to both at once. Exits 1 unless Jobs and checks are exactly
 * what they should be.
 */
import { randomUUID } from 'node:crypto';
import { Agent, request } from 'node:http';
import { type AppProcess, startAppProcess, webhookSecret } from '../test/support/app/process.ts';
import { headersOf } from '../test/support/app/signed.ts';
import { type ControlPlane, startControlPlane } from '../test/support/cluster/control-plane.ts';
import { until } from '../test/support/cluster/until.ts';
import { type GitHub, startGitHub } from '../test/support/github/github.ts';

const deliveries = 1_000;
const pullRequests = 20;
const atOnce = 32;
const seed = 20_261_121;

type Answer = { status: number; ms: number };
type Outcome = { answers: Answer[]; seconds: number; bytes: number };

const plane = await startControlPlane();
const github = await startGitHub();
let apps: AppProcess[] = [];
let failed = false;
try {
  await plane.kubectl(['apply', '-k', 'deploy']);
  await plane.kubectl(['apply', '-k', 'deploy/app']);
  await plane.kubectl(['patch', 'cronjob', 'runner', '-n', 'plumbline-system', '--type=merge', '-p', '{"spec":{"suspend":true}}']);
  const { appId, privateKey, payloads } = await story(github);
  const kubeconfig = await plane.kubeconfigFor({ serviceAccount: { namespace: 'plumbline-system', name: 'plumbline-app' } });
  const environment = { KUBECONFIG: kubeconfig, APP_ID: String(appId), PRIVATE_KEY: privateKey, GITHUB_API_URL: github.apiUrl };
  apps = await Promise.all([startAppProcess(environment), startAppProcess(environment)]);
  const idle = apps.map((app) => app.memory()?.now ?? 0);
  const outcome = await run(apps, payloads);
  const logged = () => apps.flatMap((app) => app.lines()).filter((line) => 'guid' in line);
  await until('the App has finished what it does after its answers', 60_000, async () => logged().length >= outcome.answers.length);
  failed = await report(plane, github, apps, idle, outcome);
} finally {
  await Promise.all(apps.map((app) => app.stop()));
  await github.stop();
  await plane.stop();
}
process.exit(failed ? 1 : 0);

/** Real pull requests; their deliveries go nowhere, only their payloads are taken. */
async function story({ people, owners, deliveries: log, deliveriesSettled }: GitHub) {
  await people.createRepository({ owner: 'acme', name: 'api', files: { 'k8s/web.yaml': 'kind: A\n' } });
  const { appId, privateKey } = await owners.registerApp({
    permissions: { contents: 'read', pull_requests: 'write', checks: 'write', issues: 'write' },
    events: ['pull_request'],
    webhookUrl: 'http://127.0.0.1:9/',
    secret: webhookSecret,
  });
  owners.installApp(appId, ['acme/api']);
  for (let index = 1; index <= pullRequests; index += 1) {
    await people.commit('acme/api', `feature-${index}`, { files: { 'k8s/web.yaml': `kind: B # ${index}\n` } });
    const { number } = await people.openPullRequest('acme/api', { title: `Change ${index}`, head: `feature-${index}` });
    people.label('acme/api', number, 'preview');
  }
  await deliveriesSettled();
  return { appId, privateKey, payloads: log.map((one) => JSON.stringify(one.request.payload)) };
}

async function run(replicas: AppProcess[], payloads: string[]): Promise<Outcome> {
  const chance = numbers(seed);
  const agent = new Agent({ keepAlive: true, maxSockets: atOnce });
  const pick = <T>(list: T[]): T => list[Math.floor(chance() * list.length)] as T;
  const letters = Array.from({ length: deliveries }, () => ({
    body: pick(payloads),
    guid: randomUUID(),
    // One in ten reaches both replicas at once.
    to: chance() < 0.1 ? replicas : [pick(replicas)],
  }));
  const answers: Answer[] = [];
  const began = performance.now();
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let letter = letters[next++]; letter; letter = letters[next++]) {
      const { body, guid, to } = letter;
      answers.push(...(await Promise.all(to.map((replica) => send(agent, replica.url, guid, body)))));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  agent.destroy();
  const bytes = letters.reduce((sum, { body }) => sum + Buffer.byteLength(body), 0) / letters.length;
  return { answers, seconds: (performance.now() - began) / 1000, bytes };
}

function send(agent: Agent, url: string, guid: string, body: string): Promise<Answer> {
  const headers = headersOf({ event: 'pull_request', guid, secret: webhookSecret }, body);
  const began = performance.now();
  return new Promise((done) => {
    const end = (status: number) => done({ status, ms: performance.now() - began });
    const outgoing = request(`${url}/api/github/webhooks`, { method: 'POST', headers, agent }, (response) => {
      response.resume().once('end', () => end(response.statusCode ?? 0));
    });
    outgoing.once('error', () => end(0));
    outgoing.end(body);
  });
}

async function report(
  cluster: ControlPlane,
  { people, violations }: GitHub,
  replicas: AppProcess[],
  idle: number[],
  outcome: Outcome,
): Promise<boolean> {
  const { items } = await cluster.api.ok<{ items: { metadata: { name: string } }[] }>(
    'GET',
    '/apis/batch/v1/namespaces/plumbline-system/jobs',
  );
  const { id, runs } = people.repository('acme/api');
  const expected = Array.from({ length: pullRequests }, (_, index) => `pr-${id}-${index + 1}-1`).sort();
  const rightJobs = JSON.stringify(items.map((job) => job.metadata.name).sort()) === JSON.stringify(expected);
  const rightChecks = runs.length === pullRequests && new Set(runs.map((check) => check.headSha)).size === pullRequests;
  const sorted = outcome.answers.map((one) => one.ms).sort((a, b) => a - b);
  const at = (share: number) => (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(1);
  const codes = Object.entries(Object.groupBy(outcome.answers, (one) => String(one.status)));
  const megabytes = (bytes: number) => (bytes / 1024 / 1024).toFixed(0);
  const memory = replicas.map((app, index) => `${megabytes(idle[index] ?? 0)} → ${megabytes(app.memory()?.peak ?? 0)}`);
  const rows: [string, string][] = [
    [
      'deliveries',
      `${deliveries}, ${outcome.answers.length - deliveries} of them sent twice, ${(outcome.bytes / 1024).toFixed(0)} kB each, ${atOnce} at once (seed ${seed})`,
    ],
    ['answers', codes.map(([code, list]) => `${list?.length} × ${code}`).join(', ')],
    ['rate', `${(outcome.answers.length / outcome.seconds).toFixed(0)} a second over ${outcome.seconds.toFixed(1)} s`],
    ['ack', `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms`],
    ['memory of each replica', `${memory.join(' and ')} MB (idle → most)`],
    [
      'Jobs',
      `${items.length}, expected ${pullRequests}: ${rightJobs ? 'exactly those' : `WRONG, ${items.map((job) => job.metadata.name).join(' ')}`}`,
    ],
    ['checks', `${runs.length}, expected ${pullRequests}: ${rightChecks ? 'one for each head' : 'WRONG'}`],
  ];
  for (const [name, text] of rows) process.stdout.write(`${name.padEnd(24)}${text}\n`);
  const rightAnswers = outcome.answers.every((one) => one.status === 202);
  return !(rightJobs && rightChecks && rightAnswers && violations.length === 0);
}

/** The same numbers for the same seed (mulberry32). */
function numbers(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
