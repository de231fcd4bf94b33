/**
 * What the App needs to start, from its environment. Pure. Everything that is wrong is said at once, in one line, and no value of a
 * secret is ever repeated.
 */
import { createPrivateKey } from 'node:crypto';
import { PlumblineError } from '../src/error.ts';
import { checkNameOf } from '../src/flow/check.ts';

export type Settings = {
  appId: number;
  privateKey: string;
  /** The newest first; a second one only while the secret is being changed. */
  webhookSecrets: string[];
  apiUrl: string;
  host: string;
  port: number;
  /** The name of our check: it names the cluster where the settings do. */
  checkName: string;
};

type Environment = Record<string, string | undefined>;

const shortestSecret = 32;
/** Probot's own default, and what people write into examples. */
const knownSecrets = ['development', 'changeme', 'secret'];
const howToMakeSecret = 'make one with `openssl rand -hex 32`, and write the same into the webhook settings of the GitHub App';

/** @throws PlumblineError APP_SETTINGS, its message naming every fault */
export function readSettings(environment: Environment): Settings {
  const faults: string[] = [];
  const webhookSecrets = secretsOf(environment, faults);
  const appId = Number(environment['APP_ID']);
  if (!environment['APP_ID']) faults.push('APP_ID is not set, the number on the settings page of the GitHub App was expected');
  else if (!Number.isSafeInteger(appId) || appId <= 0)
    faults.push(`APP_ID is ${JSON.stringify(environment['APP_ID'])}, a whole number was expected`);
  // Environments often carry a PEM file in one line, with \n written out.
  const privateKey = (environment['PRIVATE_KEY'] ?? '').replaceAll('\\n', '\n');
  if (!privateKey) faults.push('PRIVATE_KEY is not set, the PEM file of the GitHub App was expected');
  else if (!isRsaKey(privateKey)) faults.push('PRIVATE_KEY cannot be read as a PEM file with an RSA key');
  const port = Number(environment['PORT'] ?? '3000');
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    faults.push(`PORT is ${JSON.stringify(environment['PORT'])}, 0 to 65535 was expected`);
  const apiUrl = environment['GITHUB_API_URL'] || 'https://api.github.com';
  if (!/^https?:$/.test(URL.parse(apiUrl)?.protocol ?? '')) {
    faults.push(`GITHUB_API_URL is ${JSON.stringify(apiUrl)}, an address that begins with https:// was expected`);
  }
  if (faults.length > 0) throw new PlumblineError('APP_SETTINGS', faults.join('; '));
  return {
    appId,
    privateKey,
    webhookSecrets,
    apiUrl,
    host: environment['HOST'] || '127.0.0.1',
    port,
    checkName: checkNameOf(environment['CLUSTER_NAME'] || undefined),
  };
}

function secretsOf(environment: Environment, faults: string[]): string[] {
  const secrets: string[] = [];
  for (const name of ['WEBHOOK_SECRET', 'WEBHOOK_SECRET_PREVIOUS']) {
    const secret = environment[name];
    // The second one exists only while the secret is being changed.
    if (secret === undefined && name !== 'WEBHOOK_SECRET') continue;
    const fault = faultOfSecret(secret);
    if (fault) faults.push(`${name} ${fault}: ${howToMakeSecret}`);
    else secrets.push(secret ?? '');
  }
  return secrets;
}

function faultOfSecret(secret: string | undefined): string | undefined {
  if (secret === undefined) return 'is not set, so anybody could send webhooks';
  if (secret.trim() === '') return 'is empty, so anybody could send webhooks';
  if (knownSecrets.includes(secret.trim().toLowerCase())) return `is the word "${secret.trim()}" that everybody knows`;
  if (secret.length < shortestSecret) return `has ${secret.length} characters, at least ${shortestSecret} were expected`;
  return undefined;
}

function isRsaKey(pem: string): boolean {
  try {
    return createPrivateKey(pem).asymmetricKeyType === 'rsa';
  } catch {
    return false;
  }
}
