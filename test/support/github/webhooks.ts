/**
 * Deliveries: signed, sent in the background, logged, never repeated by themselves (GitHub does not either). Who gets one is
 * decided by event, permission and installation; what it says is checked against the contract before it leaves.
 */
import { createHmac, randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { complete } from './completion.ts';
import { contract, webhookFaults } from './contract.ts';
import type { Faults } from './faults.ts';
import * as shapes from './shapes.ts';
import { type Account, type App, grantsEvent, type Installation, type Repository, type State } from './state.ts';

export type Delivery = {
  id: number;
  guid: string;
  app: App;
  installation: number | null;
  repository: number | null;
  event: string;
  action: string | null;
  deliveredAt: number;
  redelivery: boolean;
  /** Seconds. */
  duration: number;
  status: string;
  statusCode: number;
  url: string;
  request: { headers: Record<string, string>; payload: Record<string, unknown> };
  response: { headers: Record<string, string>; payload: string };
};

type Message = { event: string; action?: string; repository?: Repository; sender: Account; fields: Record<string, unknown> };

/** GitHub sends nothing larger. */
const LARGEST = 25 * 1024 * 1024;

export class Webhooks {
  readonly log: Delivery[] = [];
  readonly #state: State;
  readonly #faults: Faults;
  readonly #timeoutMs: number;
  readonly #defects: string[];
  readonly #running = new Set<Promise<void>>();
  readonly #ending = new AbortController();

  constructor(state: State, faults: Faults, timeoutMs: number, defects: string[]) {
    this.#state = state;
    this.#faults = faults;
    this.#timeoutMs = timeoutMs;
    this.#defects = defects;
  }

  /** To every App installed on the repository that asked for the event and may read what it tells. */
  send(message: Message & { repository: Repository }, only?: App): void {
    const { event, action } = message;
    for (const installation of this.#state.installationsOn(message.repository)) {
      if (only && installation.app !== only) continue;
      if (grantsEvent(installation, event, action)) this.sendTo(installation.app, installation, message);
    }
  }

  sendTo(app: App, installation: Installation | undefined, message: Message): void {
    if (!app.webhook) return;
    const { event, action } = message;
    const name = action ? `${event}.${action}` : event;
    const partial = {
      ...(action ? { action } : {}),
      ...message.fields,
      ...(message.repository ? { repository: shapes.repository(this.#state, message.repository) } : {}),
      sender: shapes.account(this.#state, message.sender),
      ...(installation && !('installation' in message.fields)
        ? { installation: { id: installation.id, node_id: `${installation.id}` } }
        : {}),
    };
    const payload = complete(contract.webhooks[name] ?? {}, partial) as Record<string, unknown>;
    this.#defects.push(...webhookFaults(name, payload));
    const about = {
      app,
      installation: installation?.id ?? null,
      repository: message.repository?.id ?? null,
      event,
      action: action ?? null,
    };
    this.#start(this.#deliver({ ...about, guid: randomUUID(), redelivery: false, payload }));
  }

  /** The same guid and payload once more, as a person pressing "Redeliver" or an App by REST. */
  redeliver(old: Delivery): void {
    const { app, installation, repository, event, action, guid } = old;
    this.#start(this.#attempt({ app, installation, repository, event, action, guid, redelivery: true, payload: old.request.payload }));
  }

  /** When nothing is under way any more, what answers set off included. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  /** No more deliveries; those under way are cut. */
  abandon(): void {
    this.#ending.abort();
  }

  #start(work: Promise<void>): void {
    const watched = work
      .catch((error: unknown) => void this.#defects.push(`delivery: ${String(error)}`))
      .finally(() => this.#running.delete(watched));
    this.#running.add(watched);
  }

  async #deliver(letter: Letter): Promise<void> {
    const met = this.#faults.onDelivery(letter.action ? `${letter.event}.${letter.action}` : letter.event);
    if (met?.fault.effect === 'lose') return;
    if (met?.fault.effect === 'hold') await met.removed;
    if (met?.fault.effect === 'delay') await wait(met.fault.delayMs ?? 0, undefined, { signal: this.#ending.signal });
    const twice = met?.fault.effect === 'double' ? [this.#attempt(letter)] : [];
    await Promise.all([this.#attempt(letter), ...twice]);
  }

  async #attempt(letter: Letter): Promise<void> {
    const { app, payload, ...about } = letter;
    const webhook = app.webhook;
    if (!webhook || this.#ending.signal.aborted) return;
    const body = JSON.stringify(payload);
    if (Buffer.byteLength(body) > LARGEST) return;
    const headers = {
      accept: '*/*',
      'content-type': 'application/json',
      'user-agent': 'GitHub-Hookshot/0000000',
      'x-github-delivery': letter.guid,
      'x-github-event': letter.event,
      'x-github-hook-id': String(app.id),
      'x-github-hook-installation-target-id': String(app.id),
      'x-github-hook-installation-target-type': 'integration',
      'x-hub-signature': `sha1=${createHmac('sha1', webhook.secret).update(body).digest('hex')}`,
      'x-hub-signature-256': `sha256=${createHmac('sha256', webhook.secret).update(body).digest('hex')}`,
    };
    const began = performance.now();
    const deliveredAt = this.#state.now();
    const outcome = await post(webhook.url, headers, body, AbortSignal.any([this.#ending.signal, AbortSignal.timeout(this.#timeoutMs)]));
    const duration = Math.round(performance.now() - began) / 1000;
    this.log.push({
      id: this.#state.nextId(),
      app,
      ...about,
      deliveredAt,
      duration,
      url: webhook.url,
      request: { headers, payload },
      ...outcome,
    });
  }
}

type Letter = Pick<Delivery, 'app' | 'installation' | 'repository' | 'event' | 'action' | 'guid' | 'redelivery'> & {
  payload: Record<string, unknown>;
};
type Outcome = Pick<Delivery, 'status' | 'statusCode' | 'response'>;

/** A connection of its own for each, as from GitHub: a pooled one to a receiver that was restarted would lose the delivery. */
function post(url: string, headers: Record<string, string>, body: string, signal: AbortSignal): Promise<Outcome> {
  return new Promise((resolve) => {
    const failed = () => {
      const late = signal.aborted;
      resolve({
        status: late ? 'timed out' : 'failed to connect to host',
        statusCode: late ? 504 : 502,
        response: { headers: {}, payload: '' },
      });
    };
    const length = String(Buffer.byteLength(body));
    const letter = request(url, { method: 'POST', headers: { ...headers, 'content-length': length }, agent: false, signal }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', failed);
      answer.on('end', () => {
        const statusCode = answer.statusCode ?? 0;
        const status = statusCode >= 200 && statusCode < 300 ? 'OK' : `Invalid HTTP Response: ${statusCode}`;
        const got = Object.fromEntries(Object.entries(answer.headers).map(([name, value]) => [name, String(value)]));
        resolve({ status, statusCode, response: { headers: got, payload: Buffer.concat(chunks).toString('utf8') } });
      });
    });
    letter.on('error', failed);
    letter.end(body);
  });
}
