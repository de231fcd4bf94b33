/** Deliveries by hand: as GitHub signs them, or as nobody should. */
import { createHmac, randomUUID } from 'node:crypto';
import { request } from 'node:http';

export type Sent = { status: number; body: string };
/** `secret` signs; `headers` replace or, as undefined, take away. */
export type Letter = {
  event: string;
  payload?: unknown;
  body?: string | Buffer;
  secret?: string;
  guid?: string;
  headers?: Record<string, string | undefined>;
};

export const signatureOf = (body: string | Buffer, secret: string, algorithm = 'sha256'): string =>
  `${algorithm}=${createHmac(algorithm, secret).update(body).digest('hex')}`;

export function headersOf(letter: Letter, body: string | Buffer): Record<string, string> {
  const headers: Record<string, string | undefined> = {
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    'x-github-event': letter.event,
    'x-github-delivery': letter.guid ?? randomUUID(),
    'x-hub-signature-256': letter.secret === undefined ? undefined : signatureOf(body, letter.secret),
    ...letter.headers,
  };
  return Object.fromEntries(Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/** Sends it to the front at `url` (without the path). Rejects only when there is no answer at all. */
export function deliver(url: string, letter: Letter): Promise<Sent> {
  const body = letter.body ?? JSON.stringify(letter.payload ?? {});
  return send(`${url}/api/github/webhooks`, 'POST', headersOf(letter, body), body);
}

export function send(url: string, method: string, headers: Record<string, string>, body?: string | Buffer): Promise<Sent> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
      response.once('error', reject);
    });
    // An answer that came before we were done sending counts; what happens to the rest does not.
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}
