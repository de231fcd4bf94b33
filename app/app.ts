/**
 * The App put together: front, Probot, handler. `main.ts` gives it the real doors; tests give it others.
 */
import type { AddressInfo } from 'node:net';
import { Probot, ProbotOctokit } from 'probot';
import type { Delivery } from './events.ts';
import { createFront, type FrontOptions, type Outcome } from './front.ts';
import { createHandler, type Doors, type Handle } from './handlers.ts';
import type { Settings } from './settings.ts';

export type AppOptions = { settings: Settings; doors: Doors; log: FrontOptions['log']; deadlineMs?: number };
export type RunningApp = { url: string; close(): Promise<void> };

export async function startApp({ settings, doors, log, deadlineMs }: AppOptions): Promise<RunningApp> {
  const { appId, checkName } = settings;
  const handle = createHandler(doors, { appId, checkName, ...(deadlineMs === undefined ? {} : { deadlineMs }) });
  const receive = await throughProbot(settings, handle);
  const front = createFront({ secrets: settings.webhookSecrets, receive, log });
  await new Promise<void>((listening, failed) => {
    front.server.once('error', failed).listen(settings.port, settings.host, listening);
  });
  const { port } = front.server.address() as AddressInfo;
  return { url: `http://${settings.host}:${port}`, close: () => front.close() };
}

type Pass = { arrived: number; outcome: Promise<Outcome> | undefined };

/**
 * Probot receives what the front has verified. It hands nothing back, so the outcome waits beside the payload. Its own retries,
 * throttle, server and log stay out: they repeat POSTs, slow writes down, open a set-up page and print payloads.
 */
async function throughProbot(settings: Settings, handle: Handle): Promise<Handle> {
  const passes = new WeakMap<object, Pass>();
  const quiet = { throttle: { enabled: false }, retry: { enabled: false } };
  const probot = new Probot({
    appId: settings.appId,
    privateKey: settings.privateKey,
    secret: settings.webhookSecrets[0] ?? '',
    baseUrl: settings.apiUrl,
    logLevel: 'silent' as 'fatal', // known to pino, not to Probot's types
    Octokit: ProbotOctokit.defaults(quiet),
  });
  probot.onAny(({ id, name, payload }) => {
    const pass = passes.get(payload);
    if (pass) pass.outcome = handle({ guid: id, event: name, payload: payload as unknown as Delivery['payload'] }, pass.arrived);
  });
  await probot.ready();
  return async (delivery, arrived) => {
    const pass: Pass = { arrived, outcome: undefined };
    passes.set(delivery.payload, pass);
    const received: unknown = { id: delivery.guid, name: delivery.event, payload: delivery.payload };
    try {
      await probot.receive(received as Parameters<Probot['receive']>[0]);
      return (await pass.outcome) ?? { status: 503, outcome: 'not handled' };
    } catch {
      // Probot's own trouble with a payload (an odd installation, say): nothing was started.
      return { status: 400, outcome: 'WEBHOOK_PAYLOAD' };
    }
  };
}
