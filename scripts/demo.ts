/**
 * `npm run demo`: the life of one pull request on a GitHub and a Kubernetes of your own, told as it happens. Nothing to sign up for.
 * `--once` ends with the story; `--context NAME` uses a cluster that you have.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, styleText } from 'node:util';
import type { Project } from '../src/project.ts';
import type { AppProcess } from '../test/support/app/process.ts';
import { findBinaries } from '../test/support/cluster/binaries.mjs';
import { until } from '../test/support/cluster/until.ts';
import { type Installation, startInstallation, startInstallationOn } from '../test/support/installation.ts';
import { openDesk } from './desk.ts';
import { changed } from './shop.ts';

const repository = 'acme/shop';
const namespace = 'shop';
const example = join(import.meta.dirname, '../examples/shop');

const began = performance.now();
const seconds = (since: number) => `${((performance.now() - since) / 1000).toFixed(1)} s`;
const isTerminal = process.stdout.isTTY === true;
const strong = (text: string) => (isTerminal ? styleText('bold', text) : text);
const faint = (text: string) => (isTerminal ? styleText('dim', text) : text);
const tell = (text: string) => console.log(`${faint(seconds(began).padStart(8))}  ${text}`);
const quote = (text: string) =>
  console.log(
    text
      .split('\n')
      .map((line) => `${' '.repeat(10)}${faint('│')} ${line}`)
      .join('\n'),
  );

type Status = Project['status'];

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { once: { type: 'boolean', default: false }, context: { type: 'string' } } });
  const context = values.context ?? process.env['PLUMBLINE_CONTEXT'];
  tell(
    context
      ? `starting a GitHub on this machine, and Plumbline in your cluster ${context}`
      : 'starting a GitHub and a Kubernetes control plane on this machine',
  );
  const here = context ? await startInstallationOn(context) : await startInstallation({ suspendTicks: false });
  let app: AppProcess | undefined;
  // Ctrl-C before the end: everything that was started ends, too.
  const interrupted = new Promise<never>((_, reject) =>
    process.once('SIGINT', () => reject(new Error('interrupted'))).once('SIGTERM', () => reject(new Error('ended'))),
  );
  interrupted.catch(() => undefined);
  try {
    app = await here.startApp();
    await Promise.race([story(here), interrupted]);
    if (!values.once) await stayUp(here, app, interrupted);
  } catch (error) {
    const isWish = error instanceof Error && (error.message === 'interrupted' || error.message === 'ended');
    if (!isWish) {
      console.error(
        `the demo did not get through: ${error instanceof Error ? error.message : error}\n${here.logs().slice(-4000)}${app?.output().slice(-2000) ?? ''}`,
      );
      process.exitCode = 1;
    }
  } finally {
    tell('ending what was started');
    await here.stop();
  }
}

async function story(here: Installation): Promise<void> {
  await begin(here);
  const { number, head } = await proposeChange(here);
  await merge(here, number, head);
  await editByHand(here);
}

async function begin(here: Installation): Promise<void> {
  const files = Object.fromEntries(
    readdirSync(join(example, 'k8s')).map((file) => [`k8s/${file}`, readFileSync(join(example, 'k8s', file), 'utf8')]),
  );
  await here.github.people.createRepository({ owner: 'acme', name: 'shop', files });
  here.github.owners.installApp(here.app.appId, [repository]);
  await here.tenant(namespace);
  await here.cluster.kubectl(['apply', '--server-side', '-f', join(example, 'project.yaml')]);
  tell(`${strong('a repository and a Project')}: ${repository}, folder k8s, kept in namespace ${namespace}`);
  const since = performance.now();
  await here.tick();
  const status = await synced(here, (one) => one.sync === 'Synced');
  tell(`${strong('synced')} ${seconds(since)} later: ${status.objects} objects from main at ${status.shortRevision}`);
  quote(
    await here.cluster
      .kubectl(['get', 'deployment,service,configmap', '-l', 'applyset.kubernetes.io/part-of', '-o', 'wide', '--no-headers'], { namespace })
      .then(namesOf),
  );
}

async function proposeChange(here: Installation): Promise<{ number: number; head: string }> {
  const { people } = here.github;
  const web = changed(readFileSync(join(example, 'k8s/web.yaml'), 'utf8'));
  const head = await people.commit(repository, 'new-checkout', { message: 'Try the new checkout', files: { 'k8s/web.yaml': web } });
  const since = performance.now();
  const { number } = await people.openPullRequest(repository, { title: 'Try the new checkout', head: 'new-checkout' });
  tell(`${strong(`pull request #${number}`)}: image v1.4.1 → v1.4.2, replicas 2 → 3`);
  const run = () => people.repository(repository).runs.find((one) => one.headSha === head && one.name === 'plumbline');
  await until('the check appears', 90_000, async () => run() !== undefined);
  tell(`  check ${strong('plumbline')} visible after ${seconds(since)}`);
  const done = await until('the check is completed', 90_000, async () => (run()?.status === 'completed' ? run() : undefined));
  tell(`  check ${strong(done.conclusion ?? '')} after ${seconds(since)}: ${done.output?.title ?? ''}`);
  quote([done.output?.summary ?? '', done.output?.text ?? ''].join('\n\n').trim());
  return { number, head };
}

async function merge(here: Installation, number: number, head: string): Promise<void> {
  const since = performance.now();
  const revision = await here.github.people.mergePullRequest(repository, number, 'squash');
  tell(`${strong('merged')} as ${revision.slice(0, 7)}; what was reviewed was ${head.slice(0, 7)}`);
  await synced(here, (one) => one.sync === 'Synced' && one.revision === revision);
  tell(`  ${strong('applied')} ${seconds(since)} after the merge: ${await deployment(here)}`);
}

async function editByHand(here: Installation): Promise<void> {
  await here.cluster.kubectl(['scale', 'deployment/web', '--replicas=5'], { namespace });
  tell(`${strong('somebody edits by hand')}: kubectl scale deployment/web --replicas=5`);
  const since = performance.now();
  await here.tick();
  const status = await synced(here, (one) => (one.drift?.count ?? 0) > 0);
  tell(`  ${strong('seen')} after ${seconds(since)}, and left alone until you say otherwise (selfHeal: true takes it back)`);
  quote((status.drift?.objects ?? []).map((one) => `${one.object}: ${one.fields.join(', ')}`).join('\n'));
  await here.cluster.kubectl(['annotate', 'project/shop', 'plumbline.dev/sync=now'], { namespace });
  await here.tick();
  await synced(here, (one) => one.sync === 'Synced');
  tell(`  ${strong('restored')} on request (kubectl annotate project shop plumbline.dev/sync=now): ${await deployment(here)}`);
  quote((await here.cluster.kubectl(['get', 'plb'], { namespace })).trim());
}

async function stayUp(here: Installation, app: AppProcess, interrupted: Promise<never>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'plumbline-demo-'));
  const desk = await openDesk(here.github, repository);
  try {
    const kubeconfig = join(folder, 'kubeconfig');
    writeFileSync(kubeconfig, readFileSync(here.cluster.kubeconfig), { mode: 0o600 });
    const clone = `${here.github.url.replace('://', `://x-access-token:${here.github.people.userToken('acme')}@`)}/${repository}.git`;
    const programs = findBinaries();
    console.log(`
${strong('Now you.')} It stays up until Ctrl-C. The tick comes every minute; with the App, a push is acted on at once.

  Look      ${strong(desk.url)}
            pull requests, their checks, a button to merge

  Change    git clone ${clone} && cd shop
            git switch -c hello && sed -i.old s/Hello/Welcome/ k8s/settings.yaml
            git commit -am "Say welcome" && git push origin hello
            the page now offers to open a pull request; its check comes in seconds, then merge it there

  Kubectl   export KUBECONFIG=${kubeconfig}${programs.ready ? ` PATH="$PATH:${programs.folder}"` : ''}
            kubectl get plb -A -w
            kubectl scale deployment/web -n ${namespace} --replicas=7
            the column DRIFT shows it within a minute (HEALTH stays Progressing: no node here pulls images)

  REST      ${here.github.apiUrl}    App  ${app.url}
`);
    await interrupted;
  } finally {
    await desk.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function synced(here: Installation, isSo: (status: Status) => boolean): Promise<Status> {
  return until('the Project reaches the state', 150_000, async () => {
    const object = JSON.parse(await here.cluster.kubectl(['get', 'project', 'shop', '-o', 'json'], { namespace })) as { status?: Status };
    if (object.status?.sync === 'Failed') throw new Error(object.status.message);
    return object.status && isSo(object.status) ? object.status : undefined;
  });
}

async function deployment(here: Installation): Promise<string> {
  const path = 'jsonpath={.spec.replicas} replicas of {.spec.template.spec.containers[0].image}';
  return (await here.cluster.kubectl(['get', 'deployment', 'web', '-o', path], { namespace })).trim();
}

const namesOf = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => line.split(/\s+/)[0])
    .join('\n');

await main().catch((error: unknown) => {
  console.error(`the demo cannot start: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
});
// Keep-alive sockets must not hold the terminal.
process.exit();
