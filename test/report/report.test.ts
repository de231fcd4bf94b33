import { describe, expect, test } from '@jest/globals';
import { diffObjects } from '../../src/diff.ts';
import { finding } from '../../src/error.ts';
import type { CheckReport } from '../../src/github.ts';
import { render } from '../../src/render/render.ts';
import { type Compared, type ProjectReport, reportFault, reportLimits, reportPull, reportStart } from '../../src/report.ts';
import { casesOf, expectGolden, fixture, treeOf } from '../support/golden.ts';

const compared: Compared = { number: 42, baseRef: 'main', baseSha: 'ba5e'.repeat(10), headSha: '4ead'.repeat(10), tree: '73ee'.repeat(10) };

function rendered(...folder: string[]) {
  return render({ manifestType: 'detect', path: '', recurse: true, files: treeOf(fixture('report', ...folder)) });
}

function projectOf(name: string): ProjectReport {
  const base = rendered(name, 'base');
  const head = rendered(name, 'head');
  return {
    namespace: 'shop',
    name: 'web',
    path: 'k8s',
    findings: head.findings,
    baseFaults: 0,
    changes: diffObjects(base.objects, head.objects),
    digest: head.digest,
  };
}

function configMaps(count: number, value: string): string {
  return Array.from(
    { length: count },
    (_, index) => `---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c${index}}\ndata: {v: "${value}${index}"}\n`,
  ).join('');
}

function changed(before: string, after: string): ProjectReport {
  const read = (text: string) => render({ manifestType: 'detect', path: '', recurse: true, files: [{ path: 'a.yaml', text }] });
  const [base, head] = [read(before), read(after)];
  return {
    namespace: 'shop',
    name: 'web',
    path: 'k8s',
    findings: head.findings,
    baseFaults: 0,
    changes: diffObjects(base.objects, head.objects),
    digest: head.digest,
  };
}

function worded(report: CheckReport): string {
  const annotations = report.annotations.map(
    ({ path, startLine, level, title, message }) => `${level} ${path}:${startLine} [${title}] ${message}`,
  );
  return [
    `${report.conclusion}: ${report.title}`,
    '=== summary',
    report.summary,
    '=== text',
    report.text ?? '',
    '=== annotations',
    ...annotations,
    '',
  ].join('\n');
}

function isWithinLimits({ title, summary, text = '' }: CheckReport): boolean {
  const fences = `${summary}\n${text}`.match(/^`{3,}/gm) ?? [];
  return title.length <= 255 && Buffer.byteLength(summary) <= 65_535 && Buffer.byteLength(text) <= 65_535 && fences.length % 2 === 0;
}

describe('the check of a pull request', () => {
  test.each(casesOf('report'))('%s says what its golden file says', (name) => {
    const report = reportPull(compared, [projectOf(name)]);
    expectGolden(fixture('report', name, 'expected.md'), worded(report));
    expect(isWithinLimits(report)).toBe(true);
  });

  test('no value of a Secret is anywhere in it', () => {
    const report = JSON.stringify(reportPull(compared, [projectOf('secrets-are-masked')]));
    expect(report).toContain('Secret/shop/token');
    expect(report).not.toMatch(/canary|Y2FuYXJ5/);
  });

  test('a pull request that touches no project succeeds and says so', () => {
    expect(reportPull(compared, [])).toMatchObject({ conclusion: 'success', title: 'success: no project is affected' });
  });

  test('a pull request that only moves things says on how many objects that is proven', () => {
    expect(reportPull(compared, [projectOf('moves-change-nothing')])).toMatchObject({
      conclusion: 'success',
      title: '0 objects change, proven on 2',
    });
  });

  test('an incomplete diff is a failure, never a success', () => {
    const { changes: _, ...without } = projectOf('ordinary-change');
    expect(reportPull(compared, [without]).conclusion).toBe('failure');
    const broken: ProjectReport = { ...without, fault: { code: 'RENDER_TIMED_OUT', message: 'rendering did not end within 60 s' } };
    expect(reportPull(compared, [projectOf('ordinary-change'), broken])).toMatchObject({
      conclusion: 'failure',
      title: 'rendering did not end within 60 s',
    });
  });

  test('a warning alone does not fail it', () => {
    const warned = {
      ...projectOf('ordinary-change'),
      findings: [finding('warning', 'FILE_NOT_READ', 'a submodule', { at: { file: 'a', line: 1 } })],
    };
    expect(reportPull(compared, [warned]).conclusion).toBe('success');
  });

  test('what two projects on one folder both find is counted and told once', () => {
    const broken = (name: string): ProjectReport => ({
      ...projectOf('ordinary-change'),
      name,
      findings: [finding('error', 'YAML_UNPARSABLE', 'a missing quote', { at: { file: 'k8s/a.yaml', line: 1 } })],
    });
    const report = reportPull(compared, [broken('api'), broken('api-canary')]);
    expect(report.title).toBe('1 error: a missing quote');
    expect(report.summary.match(/YAML_UNPARSABLE/g)).toHaveLength(1);
  });

  test('a base that is broken is said, and does not fail the pull request that mends it', () => {
    const report = reportPull(compared, [{ ...projectOf('ordinary-change'), baseFaults: 2 }]);
    expect(report.conclusion).toBe('success');
    expect(report.summary).toContain('The base of `shop/web` has 2 errors');
  });

  test('a conflict names its files', () => {
    const report = reportFault({ code: 'MERGE_CONFLICT', message: 'cannot be merged: k8s/web.yaml', hint: 'rebase' }, compared);
    expect(report).toMatchObject({ status: 'completed', conclusion: 'failure', title: 'cannot be merged: k8s/web.yaml' });
  });

  test('while it is worked on there is no conclusion', () => {
    expect(reportStart('4ead'.repeat(10))).toMatchObject({ status: 'in_progress' });
    expect(reportStart('4ead'.repeat(10))).not.toHaveProperty('conclusion');
  });
});

describe("GitHub's limits", () => {
  test('1,000 changed objects are counted where they do not fit, with the line that shows all', () => {
    const report = reportPull(compared, [changed(configMaps(1_000, 'old-'), configMaps(1_000, 'new-'))]);
    expect(report.title).toBe('1000 changed');
    expect(isWithinLimits(report)).toBe(true);
    const shown = report.text?.match(/^\*\*changed\*\*/gm)?.length ?? 0;
    expect(report.text).toContain(`${1_000 - shown} more objects not shown`);
    expect(report.text).toContain(
      `git fetch origin ${compared.baseSha} pull/42/head && git diff ${compared.baseSha}...${compared.headSha} -- k8s`,
    );
    expect(report.annotations).toHaveLength(reportLimits.annotations);
  });

  test.each([
    ['letters', 'x'],
    ['emoji', '😀'],
    ['fences', '```'],
  ])('one object of 300,000 characters in lines of %s is cut between characters, with its fence closed', (_, unit) => {
    const lines = (sign: string) => Array.from({ length: 3_000 }, (__, index) => `    ${sign}${index} ${unit.repeat(40)}`).join('\n');
    const big = (sign: string) => `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: big}\ndata:\n  text: |\n${lines(sign)}\n`;
    const report = reportPull(compared, [changed(big('a'), big('b'))]);
    expect(isWithinLimits(report)).toBe(true);
    expect(report.text?.isWellFormed()).toBe(true);
    expect(report.text).toMatch(/… \d+ more lines/);
  });

  test('one line of 500,000 characters does not push everything else out', () => {
    const long = (value: string) => `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: long}\ndata: {a: "${value.repeat(500_000)}"}\n`;
    const report = reportPull(compared, [changed(long('a'), long('b'))]);
    expect(isWithinLimits(report)).toBe(true);
    expect(report.text).toContain('ConfigMap/long');
  });

  test('1,000 findings in each of 100 projects stay within them', () => {
    const findings = (file: string) =>
      Array.from({ length: 1_000 }, (_, line) => finding('error', 'MANIFEST_INVALID', 'x'.repeat(500), { at: { file, line: line + 1 } }));
    const project = projectOf('ordinary-change');
    const many = Array.from({ length: 100 }, (_, index) => ({ ...project, name: `p${index}`, findings: findings(`${index}.yaml`) }));
    const report = reportPull(compared, many);
    expect(isWithinLimits(report)).toBe(true);
    expect(report).toMatchObject({ conclusion: 'failure', title: '100000 errors in the manifests' });
    expect(report.annotations).toHaveLength(reportLimits.annotations);
    expect(new Set(report.annotations.map(({ path, startLine }) => `${path}:${startLine}`)).size).toBe(report.annotations.length);
  });

  test('the line to paste holds no name that a stranger chose', () => {
    const odd = { ...changed(configMaps(1_000, 'a'), configMaps(1_000, 'b')), path: 'k8s; rm -rf ~' };
    expect(reportPull({ ...compared, baseRef: 'main;id' }, [odd]).text).not.toMatch(/rm -rf|;id/);
  });
});
