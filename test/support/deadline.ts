/** Suites on real parts get the time that real parts need, on a machine that is busy too; the others keep jest's five seconds. */
import { expect, jest } from '@jest/globals';

if (/[\\/]test[\\/](cluster|e2e|scripts)[\\/]/.test(expect.getState().testPath ?? '')) jest.setTimeout(120_000);
