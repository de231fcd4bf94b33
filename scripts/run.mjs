/**
 * `node scripts/run.mjs TASK [arguments]`: set-up, then the task under Node 24, with this terminal and this task's exit code.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { runChild } from './child.mjs';
import { giveUp, root, SetupFault, setUp, setUpCluster } from './setup.mjs';

/** @typedef {{ file: string, args: string[], cluster: boolean }} Task */
/** @type {Record<string, (args: string[]) => Task>} */
const tasks = {
  // A person's own cluster needs no programs of ours.
  demo: (args) => ({ file: 'scripts/demo.ts', args, cluster: !namesContext(args) }),
  start: (args) => ({ file: 'app/main.ts', args, cluster: false }),
  check: (args) => ({ file: 'scripts/check.ts', args, cluster: false }),
  generate: (args) => ({ file: 'scripts/generate.ts', args, cluster: false }),
  bench: ([name = '', ...args]) => ({ file: benchOf(name), args, cluster: true }),
};

/** @param {string[]} args */
function namesContext(args) {
  return Boolean(process.env['PLUMBLINE_CONTEXT']) || args.some((arg) => arg === '--context' || arg.startsWith('--context='));
}

/** @param {string} name */
function benchOf(name) {
  const folder = join(root, 'bench');
  const all = (existsSync(folder) ? readdirSync(folder) : []).filter((file) => file.endsWith('.ts')).map((file) => file.slice(0, -3));
  if (!all.includes(name)) throw new SetupFault(`"${name}" is no bench; there is ${all.join(', ') || 'none yet'}: npm run bench -- NAME`);
  return `bench/${name}.ts`;
}

try {
  const [name = '', ...rest] = process.argv.slice(2);
  const task = Object.hasOwn(tasks, name) ? tasks[name] : undefined;
  if (task === undefined) throw new SetupFault(`"${name}" is no task; there is ${Object.keys(tasks).join(', ')}`);
  const { file, args, cluster } = task(rest);
  const { node, env } = await setUp();
  const missing = cluster ? await setUpCluster() : undefined;
  if (missing !== undefined)
    throw new SetupFault(`${missing}${name === 'demo' ? ', or use a cluster that you have: npm run demo -- --context NAME' : ''}`);
  const { code } = await runChild(node, [join(root, file), ...args], { cwd: root, env });
  process.exitCode = code;
} catch (error) {
  giveUp(error);
}
