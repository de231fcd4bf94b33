/** How long a test may take before it counts as hanging: a bound for busy machines, not an expectation. */
import { expect, jest } from '@jest/globals';

const onRealParts = /[\\/]test[\\/](cluster|e2e|scripts)[\\/]/.test(expect.getState().testPath ?? '');
jest.setTimeout(onRealParts ? 120_000 : 30_000);
