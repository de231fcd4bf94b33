/** A jest reporter that writes the figures of a run to the file that PLUMBLINE_TEST_RESULTS names; test.mjs reads them. */
import { writeFileSync } from 'node:fs';

/** @typedef {{ passed: number, failed: number, skipped: number, interrupted: boolean, suites: { path: string, seconds: number }[] }} Figures */

export default class TestResults {
  /** @param {unknown} _contexts @param {import('@jest/reporters').AggregatedResult} results */
  onRunComplete(_contexts, results) {
    const path = process.env['PLUMBLINE_TEST_RESULTS'];
    if (path === undefined) return;
    /** @type {Figures} */
    const figures = {
      passed: results.numPassedTests,
      // A suite that does not even load holds tests that nobody has counted.
      failed: results.numFailedTests + results.numRuntimeErrorTestSuites,
      skipped: results.numPendingTests + results.numTodoTests,
      interrupted: results.wasInterrupted === true,
      suites: results.testResults.map((suite) => ({
        path: suite.testFilePath,
        seconds: (suite.perfStats.end - suite.perfStats.start) / 1000,
      })),
    };
    writeFileSync(path, JSON.stringify(figures));
  }
}
