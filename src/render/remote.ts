/**
 * The door to the container that renders without credentials: one HTTP request over a Unix socket for each render, bounded in time
 * and size. What comes back was made near a stranger's files, so its shape is checked before it is believed.
 */
import { request } from 'node:http';
import { type Finding, PlumblineError } from '../error.ts';
import { errorCodes } from '../error-codes.ts';
import type { SourcedObject } from '../object.ts';
import type { Rendered, Renderer, RenderRequest } from './render.ts';

/** Our limits (notes: faults 8): 60 s and, for 20 MiB of text, five times as much JSON with its lines. */
export type RemoteLimits = { seconds: number; answerBytes: number };

const usual: RemoteLimits = { seconds: 60, answerBytes: 100 * 1024 * 1024 };

/** @throws RENDER_TIMED_OUT (later), RENDER_FAILED (later where the container went away, which its restart may mend) */
export function remoteRenderer(socketPath: string, limits: RemoteLimits = usual): Renderer {
  return async (wanted) => renderedOf(await exchange(socketPath, wanted, limits));
}

async function exchange(socketPath: string, wanted: RenderRequest, { seconds, answerBytes }: RemoteLimits): Promise<Buffer> {
  const body = JSON.stringify(wanted);
  const signal = AbortSignal.timeout(seconds * 1_000);
  return await new Promise<Buffer>((resolve, reject) => {
    const fail = (cause: unknown): void => reject(signal.aborted ? timedOut(seconds) : gone(cause));
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const sent = request({ socketPath, method: 'POST', path: '/render', headers, signal }, (answer) => {
      const chunks: Buffer[] = [];
      let length = 0;
      answer.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length <= answerBytes) chunks.push(chunk);
        else answer.destroy(new Error(`the answer holds more than ${answerBytes} bytes`));
      });
      answer.on('error', fail);
      answer.on('end', () => {
        const whole = Buffer.concat(chunks);
        if (answer.statusCode === 200) resolve(whole);
        else if (answer.statusCode === 504) reject(timedOut(seconds));
        else
          reject(
            new PlumblineError('RENDER_FAILED', `rendering failed: ${reasonOf(whole)}`, {
              retry: answer.statusCode === 400 ? 'never' : 'later',
            }),
          );
      });
    });
    sent.on('error', fail);
    sent.end(body);
  });
}

function timedOut(seconds: number): PlumblineError {
  return new PlumblineError('RENDER_TIMED_OUT', `rendering did not end within ${seconds} s`, { retry: 'later' });
}

function gone(cause: unknown): PlumblineError {
  const words = cause instanceof Error ? cause.message : String(cause);
  return new PlumblineError('RENDER_FAILED', `the container that renders went away: ${words}`, { retry: 'later', cause });
}

function reasonOf(body: Buffer): string {
  const said: unknown = parsed(body);
  return isFields(said) && typeof said['reason'] === 'string' ? said['reason'].slice(0, 500) : 'it gave no reason';
}

function renderedOf(body: Buffer): Rendered {
  const answer: unknown = parsed(body);
  if (isFields(answer) && isListOf(answer['objects'], isObject) && isListOf(answer['findings'], isFinding)) {
    const { objects, findings, digest } = answer;
    if (typeof digest === 'string' && /^[0-9a-f]{64}$/.test(digest)) return { objects, findings, digest };
  }
  throw new PlumblineError('RENDER_FAILED', 'the container that renders answered something that is no render', { retry: 'later' });
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}

function isListOf<T>(value: unknown, is: (item: unknown) => item is T): value is T[] {
  return Array.isArray(value) && value.every(is);
}

function isObject(value: unknown): value is SourcedObject {
  if (!isFields(value) || typeof value['file'] !== 'string' || typeof value['line'] !== 'number' || !isFields(value['lines'])) return false;
  const { object } = value;
  if (!isFields(object) || typeof object['apiVersion'] !== 'string' || typeof object['kind'] !== 'string') return false;
  const { metadata } = object;
  return isFields(metadata) && typeof metadata['name'] === 'string' && ['undefined', 'string'].includes(typeof metadata['namespace']);
}

function isFinding(value: unknown): value is Finding {
  if (!isFields(value) || typeof value['message'] !== 'string' || typeof value['code'] !== 'string') return false;
  return Object.hasOwn(errorCodes, value['code']) && (value['severity'] === 'error' || value['severity'] === 'warning');
}

function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
