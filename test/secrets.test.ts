import { describe, expect, test } from '@jest/globals';
import { maskObject, maskPair, removeSecrets } from '../src/secrets.ts';

describe('free text', () => {
  test.each([
    ['a GitHub token', 'remote: ghs_0123456789abcdefghij.x said no', 'remote: ghs_*** said no'],
    ['a JSON web token', 'with eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIxIn0abc.c2lnbmF0dXJl!', 'with ***!'],
    ['a private key without its end', 'x -----BEGIN RSA PRIVATE KEY-----\nabc', 'x *** private key ***'],
    ['a header', 'Authorization: Basic eC1hY2Nlc3MtdG9rZW46', 'Authorization: Basic ***'],
    ['a URL with a password', 'https://user:pass@host/a', 'https://***@host/a'],
  ])('loses %s', (_, text, left) => {
    expect(removeSecrets(text)).toBe(left);
  });

  test.each([
    ['letters', 'a'.repeat(1_000_000)],
    ['beginnings of web tokens', 'eyJ-'.repeat(100_000)],
    ['beginnings of keys', '-----BEGIN '.repeat(50_000)],
    ['the word token and blanks', `token${' '.repeat(500_000)}`.repeat(2)],
    ['colons', 'a://b:'.repeat(100_000)],
  ])('of a million %s is looked through all the same', (_, text) => {
    expect(removeSecrets(text)).toBe(text);
  });
});

const secret = (data: Record<string, string>, kind = 'Secret') => ({ apiVersion: 'v1', kind, metadata: { name: 's' }, data });

describe('an object', () => {
  test.each(['Secret', 'secret', 'SECRET', ' Secret '])('of kind %j shows which values changed and none of them', (kind) => {
    const { before, after } = maskPair(
      secret({ same: 'canary', moved: 'canary-1' }, kind),
      secret({ same: 'canary', moved: 'canary-22' }, kind),
    );
    expect(before?.data).toEqual({ same: '***', moved: '***' });
    expect(after?.data).toEqual({ same: '***', moved: '*** (changed)' });
  });

  test('that became a Secret, or was one, is masked on both sides', () => {
    const { before, after } = maskPair(secret({ a: 'canary' }, 'ConfigMap'), secret({ a: 'canary' }));
    expect(JSON.stringify([before, after])).not.toContain('canary');
  });

  test.each([
    ['without a kind', { apiVersion: 'v1', data: { a: 'canary' } }],
    ['whose kind is no text', { apiVersion: 'v1', kind: ['Secret'], data: { a: 'canary' } }],
    ['that is text', 'canary'],
    ['that is a list', [{ deep: ['canary'] }]],
  ])('%s is masked whole', (_, value) => {
    expect(JSON.stringify(maskObject<unknown>(value))).not.toContain('canary');
  });

  test('keeps a copy of itself in no annotation, parsable or not', () => {
    for (const copy of ['{"data":{"a":"canary"}}', '{"data": {"a": "canary', 'canary']) {
      const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': copy, harmless: 'shown' };
      const shown = maskObject({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c', annotations } });
      expect(shown.metadata.annotations).toEqual({ 'kubectl.kubernetes.io/last-applied-configuration': '***', harmless: 'shown' });
    }
  });

  test('that is a Secret shows its type and immutability only where they are such', () => {
    const odd = { ...secret({}), metadata: { name: 's' }, type: ['canary'], immutable: 'canary', more: 'canary' };
    expect(JSON.stringify(maskObject<unknown>(odd))).not.toContain('canary');
    expect(maskObject({ ...secret({}), type: 'Opaque', immutable: true })).toMatchObject({ type: 'Opaque', immutable: true });
  });

  test('that holds another Secret inside shows nothing of it', () => {
    const shown = maskObject({
      apiVersion: 'example.com/v1',
      kind: 'Bundle',
      spec: { objects: [{ kind: 'secret', data: { a: 'canary' } }], plain: 'shown' },
    });
    expect(JSON.stringify(shown)).not.toContain('canary');
    expect(shown.spec.plain).toBe('shown');
  });
});
