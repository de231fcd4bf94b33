/** Trouble that can be switched on: GitHub's bad days, one at a time and exactly where a test wants them. */

/** What goes wrong with a request that fits. */
export type RequestFault = {
  /** `GET /repos/{owner}/{repo}/pulls`, as in `operations.ts`; `git` for fetches and pushes; left out: everything. */
  operation?: string;
  /** Answered instead. 403 with `retryAfter` is a secondary limit. */
  status?: number;
  message?: string;
  retryAfter?: number;
  /** The work is done first; only its answer is lost. */
  done?: boolean;
  /** The connection is reset instead of an answer, or the answer stops half-way. */
  cut?: 'reset' | 'half';
  /** A list answers with nothing in it, and 200. */
  empty?: boolean;
  delayMs?: number;
  /** How often; left out: until removed. */
  times?: number;
};

/** What goes wrong with a delivery that fits. */
export type DeliveryFault = {
  /** `push`, `pull_request`, `pull_request.opened`; left out: every delivery. */
  delivery: string | 'any';
  /** `lose`: GitHub logs nothing. `double`: sent twice with one guid. `hold`: kept until the fault is removed, then sent newest first. */
  effect: 'lose' | 'double' | 'hold' | 'delay';
  delayMs?: number;
  times?: number;
};

/** More than `writesPerMinute` writes within a minute by one installation are refused. */
export type SecondaryLimit = { writesPerMinute: number; retryAfter?: number };

type Entry<Kind> = { fault: Kind; left: number; onRemove: (() => void)[] };

export class Faults {
  readonly #requests: Entry<RequestFault>[] = [];
  readonly #deliveries: Entry<DeliveryFault>[] = [];
  secondaryLimit: SecondaryLimit | undefined;

  /** Answers what takes the fault away again; may be called twice. */
  add(fault: RequestFault | DeliveryFault): () => void {
    if ('delivery' in fault) return entered(this.#deliveries, fault);
    return entered(this.#requests, fault);
  }

  /** Back to a good day; what was on hold is sent. */
  clear(): void {
    for (const entry of [...this.#requests.splice(0), ...this.#deliveries.splice(0)]) for (const tell of entry.onRemove.splice(0)) tell();
    this.secondaryLimit = undefined;
  }

  /** Everything answers 503, git too. */
  outage(): () => void {
    return this.add({ status: 503, message: 'No server is currently available to service your request.' });
  }

  /** The fault that this request meets, counted down. */
  onRequest(operation: string): RequestFault | undefined {
    return taken(this.#requests, (one) => one.operation === undefined || one.operation === operation)?.fault;
  }

  /** The fault that this delivery meets, and a promise of its removal. */
  onDelivery(name: string): { fault: DeliveryFault; removed: Promise<void> } | undefined {
    const entry = taken(this.#deliveries, (one) => one.delivery === 'any' || one.delivery === name || one.delivery === name.split('.')[0]);
    if (!entry) return undefined;
    return { fault: entry.fault, removed: new Promise((resolve) => entry.onRemove.push(resolve)) };
  }
}

function entered<Kind extends { times?: number }>(list: Entry<Kind>[], fault: Kind): () => void {
  const entry: Entry<Kind> = { fault, left: fault.times ?? Number.POSITIVE_INFINITY, onRemove: [] };
  list.push(entry);
  return () => {
    const index = list.indexOf(entry);
    if (index >= 0) list.splice(index, 1);
    for (const tell of entry.onRemove.splice(0).reverse()) tell();
  };
}

function taken<Kind>(list: Entry<Kind>[], fits: (fault: Kind) => boolean): Entry<Kind> | undefined {
  const entry = list.find((one) => one.left > 0 && fits(one.fault));
  if (entry) entry.left -= 1;
  return entry;
}
