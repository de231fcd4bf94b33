/**
 * `node scripts/picture.ts`: makes docs/images/check.png, the check of the demo's pull request as a person sees it. The report is the one that
 * the product makes of examples/shop; only the browser around it is ours. Needs Chromium on PATH (on Debian: apt-get install chromium).
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { diffObjects } from '../src/diff.ts';
import { render, type TreeFile } from '../src/render/render.ts';
import { reportPull } from '../src/report.ts';
import { pullPage } from './page.ts';
import { changed } from './shop.ts';

const root = join(import.meta.dirname, '..');
const folder = join(root, 'examples/shop/k8s');
const before: TreeFile[] = readdirSync(folder).map((file) => ({ path: `k8s/${file}`, text: readFileSync(join(folder, file), 'utf8') }));
const [was, is] = [before, before.map(({ path, text }) => ({ path, text: changed(text) }))].map((files) =>
  render({ manifestType: 'detect', path: 'k8s', recurse: true, files }),
);
if (!was || !is) throw new Error('nothing was rendered');
const compared = { number: 1, baseRef: 'main', baseSha: '661bbe8', headSha: 'a6847b0', tree: '27dcb4b' };
const project = { namespace: 'shop', name: 'shop', path: 'k8s', findings: is.findings, baseFaults: 0, digest: is.digest };
const { conclusion, title, summary, text } = reportPull(compared, [{ ...project, changes: diffObjects(was.objects, is.objects) }]);
const check = { name: 'plumbline', status: 'completed', conclusion: conclusion ?? null, title, summary, text: text ?? '' };
const pull = { number: 1, title: 'Try the new checkout', head: 'new-checkout', base: 'main', state: 'open' as const, checks: [check] };

const scratch = mkdtempSync(join(tmpdir(), 'plumbline-picture-'));
try {
  const page = join(scratch, 'check.html');
  writeFileSync(page, pullPage('acme/shop', pull));
  const quiet = [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--hide-scrollbars',
  ];
  const output = join(root, 'docs/images/check.png');
  const size = ['--window-size=932,676', '--force-device-scale-factor=2'];
  execFileSync(
    'chromium',
    [...quiet, `--user-data-dir=${join(scratch, 'profile')}`, ...size, `--screenshot=${output}`, pathToFileURL(page).href],
    { stdio: 'ignore' },
  );
  console.log(`wrote ${output}`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
