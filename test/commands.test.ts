import { describe, expect, test } from '@jest/globals';
import { readCommand, worksOnClosed } from '../src/commands.ts';

describe('a command is', () => {
  test.each([
    ['/sync', 'sync', []],
    ['/plumbline sync', 'sync', []],
    ['/sync api', 'sync', ['api']],
    ['/rollback -2', 'rollback', ['-2']],
    ['/preview extend 24h', 'preview', ['extend', '24h']],
    ['/approve delete 4b1e07', 'approve', ['delete', '4b1e07']],
    ['/status  \r\nand a second line', 'status', []],
    ['/help\nx', 'help', []],
    ['/diff $(rm -rf) ;x', 'diff', ['$(rm', '-rf)', ';x']],
  ])('%j', (comment, verb, words) => {
    expect(readCommand(comment)).toEqual({ verb, words });
  });
});

describe('no command is', () => {
  test.each([
    '',
    'please /sync',
    ' /sync',
    '> /sync',
    '`/sync`',
    '```\n/sync\n```',
    '<!-- /sync -->',
    'done\n/sync',
    '/syncing',
    '/sync-all',
    '/SYNC',
    '/plumbline',
    '/plumblinesync',
    '//sync',
    '/sync\u00a0api',
    '/s\u0443nc', // a Cyrillic letter
    '/sync \u202eapi',
    '\ufeff/sync',
    '/sync\tapi',
    '/sync\u0000',
    '/constructor',
    '/__proto__',
    `/sync ${'a'.repeat(200)}`,
    `/sync ${'a'.repeat(70_000)}`,
  ])('%j', (comment) => {
    expect(readCommand(comment)).toBeUndefined();
  });
});

test('what is taken says what it was: verb and words give the line again', () => {
  const alphabet = ['/sync', '/plumbline', 'status', ' ', '  ', 'api', '-1', '/', '\n', '"', '日', '`'];
  let taken = 0;
  for (let seed = 0; seed < 20_000; seed += 1) {
    const parts = Array.from({ length: 4 }, (_, place) => alphabet[Math.floor(seed / alphabet.length ** place) % alphabet.length] ?? '');
    const comment = parts.join('');
    const command = readCommand(comment);
    if (!command) continue;
    taken += 1;
    const line = (comment.split('\n')[0] ?? '')
      .replace(/^\/plumbline +/, '/')
      .replace(/ +/g, ' ')
      .trimEnd();
    expect(`/${[command.verb, ...command.words].join(' ')}`).toBe(line);
  }
  expect(taken).toBeGreaterThan(300);
});

test('on a closed pull request only what shows or deletes its preview works', () => {
  const works = ['/status', '/help', '/preview delete', '/preview', '/sync', '/approve fork 3fa9c21'].filter((line) => {
    const command = readCommand(line);
    return command !== undefined && worksOnClosed(command);
  });
  expect(works).toEqual(['/status', '/help', '/preview delete']);
});
