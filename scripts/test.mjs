/**
 * `node scripts/test.mjs [quick|long] [jest's arguments]`: set-up, then jest under Node 24, then what a reader needs to know:
 * the ten slowest suites, what was not run and why, and as the last line `N passed, N failed`.
 *
 * quick, for the inner loop, leaves out what needs a cluster, and what starts processes or a GitHub for each case;
 * long runs `*.long.test.ts` too.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { runChild } from './child.mjs';
import { giveUp, root, setUp, setUpCluster } from './setup.mjs';

const jest = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', join(root, 'node_modules/jest/bin/jest.js')];
/** Patterns of the paths of suites, as jest reads them. */
const needCluster = '<rootDir>/test/(cluster|e2e)/';
/** Suites that start processes or a GitHub for each case: too slow for the inner loop. */
const takeTime = '<rootDir>/test/(scripts/|github/|github-door/|app/process)';
const takeLong = '\\.long\\.test\\.ts$';

/** @param {string[]} patterns */
const without = (patterns) => patterns.map((pattern) => `--testPathIgnorePatterns=${pattern}`);

/**
 * The suites that these arguments choose, by asking jest.
 * @param {{ node: string, env: NodeJS.ProcessEnv }} place
 * @param {string[]} args
 */
function chosen({ node, env }, args) {
  const answer = spawnSync(node, [...jest, ...args, '--listTests'], { cwd: root, env, encoding: 'utf8' });
  return answer.stdout.split('\n').filter((line) => line.endsWith('.test.ts'));
}

/** @param {string} path @returns {import('./test-results.mjs').Figures | undefined} */
function readFigures(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/** @param {import('./test-results.mjs').Figures['suites']} suites */
function tellSlowest(suites) {
  if (suites.length < 2) return;
  const slowest = suites.toSorted((a, b) => b.seconds - a.seconds).slice(0, 10);
  console.log(`\nthe ${slowest.length} slowest suites:`);
  for (const { path, seconds } of slowest) console.log(`${seconds.toFixed(1).padStart(7)} s  ${relative(root, path)}`);
}

/** @param {string[]} words */
async function main(words) {
  const mode = words[0] === 'quick' || words[0] === 'long' ? words[0] : 'normal';
  const args = mode === 'normal' ? words : words.slice(1);
  const place = await setUp();
  const ignored = ['<rootDir>/node_modules/', ...(mode === 'long' ? [] : [takeLong]), ...(mode === 'quick' ? [needCluster, takeTime] : [])];
  const needing =
    mode === 'quick'
      ? []
      : chosen(place, [...args, ...without(ignored)]).filter((path) => /^test[\\/](cluster|e2e)[\\/]/.test(relative(root, path)));
  const missing = needing.length > 0 ? await setUpCluster() : undefined;
  if (missing !== undefined) ignored.push(needCluster);

  const folder = mkdtempSync(join(tmpdir(), 'plumbline-test-'));
  try {
    const results = join(folder, 'results.json');
    const reporters = ['--reporters=default', `--reporters=${join(root, 'scripts/test-results.mjs')}`];
    const none = missing === undefined ? [] : ['--passWithNoTests'];
    // The user's words first: jest's list options would take a path behind them for one of theirs.
    const argv = [...jest, ...args, ...reporters, ...without(ignored), ...none];
    const { code } = await runChild(place.node, argv, { cwd: root, env: { ...place.env, PLUMBLINE_TEST_RESULTS: results } });
    return tell(code, readFigures(results), needing, missing);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * The closing words; returns the exit code.
 * @param {number} code jest's
 * @param {import('./test-results.mjs').Figures | undefined} figures
 * @param {string[]} needing
 * @param {string | undefined} missing
 */
function tell(code, figures, needing, missing) {
  if (figures) tellSlowest(figures.suites);
  if (missing !== undefined) {
    console.log(`\n${needing.length} suites not run: ${missing}`);
    for (const path of needing) console.log(`           ${relative(root, path)}`);
  }
  const nothing = figures === undefined && missing === undefined;
  if (nothing) console.log(`\njest ended with ${code} and told no result: what it said stands above`);
  if (figures?.interrupted) console.log('\nthe run was interrupted');
  const { passed = 0, failed = nothing ? 1 : 0, skipped = 0 } = figures ?? {};
  console.log(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
  if (code !== 0) return code;
  if (failed > 0 || nothing || figures?.interrupted) return 1;
  // On a laptop a prerequisite may be missing; where nobody looks, what was not run has not passed.
  return missing !== undefined && process.env['CI'] === 'true' ? 1 : 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  giveUp(error);
}
