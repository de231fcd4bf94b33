import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { readSettings } from '../../app/settings.ts';

const pem = (type: 'rsa' | 'ec') => {
  const made = type === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return made.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
};
const privateKey = pem('rsa');
const secret = 'f'.repeat(64);
const good = { APP_ID: '123', PRIVATE_KEY: privateKey, WEBHOOK_SECRET: secret };

const faultsOf = (environment: Record<string, string | undefined>): string => {
  try {
    readSettings(environment);
    return '';
  } catch (thrown) {
    return String((thrown as Error).message);
  }
};

test('a good environment is read, with defaults that expose nothing', () => {
  expect(readSettings(good)).toEqual({
    appId: 123,
    privateKey,
    webhookSecrets: [secret],
    apiUrl: 'https://api.github.com',
    host: '127.0.0.1',
    port: 3000,
    checkName: 'plumbline',
  });
});

test('a key in one line, a second secret, another GitHub, and a cluster with a name', () => {
  const environment = {
    ...good,
    PRIVATE_KEY: privateKey.replaceAll('\n', '\\n'),
    WEBHOOK_SECRET_PREVIOUS: 'e'.repeat(32),
    GITHUB_API_URL: 'https://ghe.example/api/v3',
    CLUSTER_NAME: 'prod-eu',
    HOST: '0.0.0.0',
    PORT: '0',
  };
  expect(readSettings(environment)).toMatchObject({
    privateKey,
    webhookSecrets: [secret, 'e'.repeat(32)],
    apiUrl: 'https://ghe.example/api/v3',
    host: '0.0.0.0',
    port: 0,
    checkName: 'plumbline (prod-eu)',
  });
});

describe('the App does not start with', () => {
  test.each([
    ['no secret', { WEBHOOK_SECRET: undefined }, /^WEBHOOK_SECRET is not set.*openssl rand -hex 32/],
    ['an empty secret', { WEBHOOK_SECRET: '' }, /^WEBHOOK_SECRET is empty/],
    ['a blank secret', { WEBHOOK_SECRET: ' '.repeat(40) }, /^WEBHOOK_SECRET is empty/],
    ["Probot's secret", { WEBHOOK_SECRET: 'development' }, /^WEBHOOK_SECRET is the word "development"/],
    ['a short secret', { WEBHOOK_SECRET: 'x'.repeat(31) }, /^WEBHOOK_SECRET has 31 characters, at least 32/],
    ['a short second secret', { WEBHOOK_SECRET_PREVIOUS: 'x' }, /^WEBHOOK_SECRET_PREVIOUS has 1 characters/],
    ['an empty second secret', { WEBHOOK_SECRET_PREVIOUS: '' }, /^WEBHOOK_SECRET_PREVIOUS is empty/],
    ['no App id', { APP_ID: undefined }, /^APP_ID is not set/],
    ['an App id that is no number', { APP_ID: 'plumbline' }, /^APP_ID is "plumbline", a whole number/],
    ['no key', { PRIVATE_KEY: undefined }, /^PRIVATE_KEY is not set/],
    ['a key that is none', { PRIVATE_KEY: 'ssh-rsa AAAA' }, /^PRIVATE_KEY cannot be read/],
    ['a key of another kind', { PRIVATE_KEY: pem('ec') }, /^PRIVATE_KEY cannot be read/],
    ['a port that is none', { PORT: 'http' }, /^PORT is "http"/],
    ['an address that is none', { GITHUB_API_URL: 'github.com' }, /^GITHUB_API_URL is "github.com"/],
  ])('%s', (_name, change, message) => {
    expect(faultsOf({ ...good, ...change })).toMatch(message);
  });

  test('everything wrong at once is said in one line, and no secret is', () => {
    const short = 'a-secret-too-short';
    const message = faultsOf({ WEBHOOK_SECRET: short, PRIVATE_KEY: `-----BEGIN ${short}` });
    expect(message).toMatch(/WEBHOOK_SECRET.*APP_ID.*PRIVATE_KEY/);
    expect(message).not.toContain('\n');
    expect(message).not.toContain(short);
  });
});
