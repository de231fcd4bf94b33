import { describe, expect, test } from '@jest/globals';
import type { CheckAnnotation, CheckReport } from '../../src/github.ts';
import { reportLimits } from '../../src/report.ts';
import { joinReports, type Part } from '../../src/report-joined.ts';

const note = (path: string, level: CheckAnnotation['level'], message: string): CheckAnnotation => ({
  path,
  startLine: 1,
  endLine: 1,
  level,
  title: '',
  message,
});
const part = (number: number, baseRef: string, conclusion: 'success' | 'failure', more: Partial<CheckReport> = {}): Part => ({
  number,
  baseRef,
  report: { status: 'completed', conclusion, title: `${number} says`, summary: `summary of ${number}`, annotations: [], ...more },
});

describe('one check for several pull requests', () => {
  test('says of one what its report says', () => {
    const only = part(1, 'main', 'success');
    expect(joinReports([only])).toBe(only.report);
  });

  test('fails when one fails, and that one speaks first', () => {
    const joined = joinReports([part(1, 'main', 'success'), part(2, 'production', 'failure', { text: 'the diff' })]);
    expect(joined).toMatchObject({ conclusion: 'failure', title: 'into production: 2 says' });
    expect(joined.summary).toMatch(/### #2 into `production`\n\nsummary of 2\n\n### #1 into `main`\n\nsummary of 1$/);
    expect(joined.text).toBe('### #2 into `production`\n\nthe diff');
  });

  test('succeeds when all succeed, without a text when there is none', () => {
    const joined = joinReports([part(1, 'main', 'success'), part(2, 'production', 'success')]);
    expect(joined).toMatchObject({ conclusion: 'success', title: 'into main: 1 says' });
    expect(joined.text).toBeUndefined();
  });

  test('annotates a line once, with the worst that is said on it', () => {
    const joined = joinReports([
      part(1, 'main', 'success', { annotations: [note('a', 'notice', 'changed'), note('b', 'notice', 'changed')] }),
      part(2, 'production', 'failure', { annotations: [note('a', 'failure', 'broken')] }),
    ]);
    expect(joined.annotations.map(({ path, message }) => [path, message])).toEqual([
      ['a', 'broken'],
      ['b', 'changed'],
    ]);
  });

  test.each([2, 7, 40])('%i large ones together stay within the limits, none left out, no fence left open', (count) => {
    const large = `\`\`\`diff\n${'+ line\n'.repeat(9_000)}\`\`\`\n`;
    const parts = Array.from({ length: count - 1 }, (_, index) => part(index + 2, `b${index}`, 'failure', { summary: large, text: large }));
    const joined = joinReports([part(1, '`@team|', 'failure', { summary: large, text: large, title: 't'.repeat(255) }), ...parts]);
    expect(joined.title.length).toBeLessThanOrEqual(reportLimits.title);
    for (const words of [joined.summary, joined.text ?? '']) {
      expect(Buffer.byteLength(words)).toBeLessThanOrEqual(reportLimits.text);
      expect(words.match(/^### #/gm)).toHaveLength(count);
      expect((words.match(/^```/gm)?.length ?? 1) % 2).toBe(0);
    }
  });
});
