export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  extensionsToTreatAsEsm: ['.ts'],
  // Node strips types itself, and so does jest.
  transform: {},
  maxWorkers: 2,
  setupFilesAfterEnv: ['<rootDir>/test/support/deadline.ts'],
};
