/** A GitHub on loopback. See README.md in this folder. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Faults } from './faults.ts';
import { Owners } from './owners.ts';
import { People } from './people.ts';
import { Server } from './server.ts';
import { State } from './state.ts';
import { Webhooks } from './webhooks.ts';

export type GitHubOptions = {
  /** Loopback only; 0 (the default) takes a free one. */
  port?: number;
  requestsPerHour?: number;
  /** GitHub's limit is 10 s. */
  deliveryTimeoutMs?: number;
};

export type GitHub = {
  /** `http://127.0.0.1:PORT`: git under `/OWNER/NAME.git`. */
  url: string;
  /** `URL/api/v3`: octokit's and Probot's `baseUrl`. */
  apiUrl: string;
  people: People;
  owners: Owners;
  faults: Faults;
  state: State;
  /** Every request, in the order of arrival. */
  requests: Server['requests'];
  /** Requests of clients that GitHub would refuse: a test of ours asserts that it is empty. */
  violations: Server['violations'];
  /** Deliveries as GitHub's log has them, in the order they ended. */
  deliveries: Webhooks['log'];
  /** Pushes are worked off and nothing is being delivered; a delivery on `hold` is waited for. */
  deliveriesSettled(): Promise<void>;
  /** Moves this GitHub's clock: tokens expire, limits are renewed. */
  advance(milliseconds: number): void;
  /** Ends everything and removes the repositories. Throws when an answer or a payload of this GitHub broke the contract. */
  stop(): Promise<void>;
};

export async function startGitHub(options: GitHubOptions = {}): Promise<GitHub> {
  const state = new State(await mkdtemp(join(tmpdir(), 'github-')));
  const faults = new Faults();
  const defects: string[] = [];
  const webhooks = new Webhooks(state, faults, options.deliveryTimeoutMs ?? 10_000, defects);
  const world = { state, webhooks };
  const server = new Server(world, faults, options.requestsPerHour ?? 5000, defects);
  const http = createServer(server.listener);
  await new Promise<void>((resolve, reject) => {
    http.once('error', reject).listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  const address = http.address();
  if (typeof address !== 'object' || address === null) throw new Error('the server has no address');
  state.url = `http://127.0.0.1:${address.port}`;
  const people = new People(world);
  const stop = async () => {
    faults.clear();
    webhooks.abandon();
    server.abandon();
    http.close();
    http.closeAllConnections();
    await server.settled();
    await webhooks.settled();
    await rm(state.folder, { recursive: true, force: true });
    if (defects.length > 0) throw new Error(`the loopback GitHub broke its contract:\n${defects.join('\n')}`);
  };
  return {
    url: state.url,
    apiUrl: `${state.url}/api/v3`,
    people,
    owners: new Owners(world, people),
    faults,
    state,
    requests: server.requests,
    violations: server.violations,
    deliveries: webhooks.log,
    deliveriesSettled: async () => {
      await server.settled();
      await webhooks.settled();
    },
    advance: (milliseconds) => {
      state.clockOffset += milliseconds;
    },
    stop,
  };
}
