export default { testEnvironment: 'node', roots: ['<rootDir>/test'], extensionsToTreatAsEsm: ['.ts'], transform: {}, maxWorkers: 2 };
