// npm run bench: the goals that can be measured here, as ratios within one run. docs/performance.md explains them.
//   node bench/run.ts [--quick] [--only drain,goal1] [--rounds 5] [--folder /path/on/the/disk/to/measure]
// It prints and ends with 0: a missed goal is a figure, not an error.
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { containers } from './goals/containers.ts';
import type { Context } from './goals/context.ts';
import { depth } from './goals/deep.ts';
import { goal5 } from './goals/depth.ts';
import { drain } from './goals/drain.ts';
import { evaluation } from './goals/evaluation.ts';
import { goal6 } from './goals/latency.ts';
import { goal4 } from './goals/peers-drain.ts';
import { goal2, goal3 } from './goals/peers-post.ts';
import { goal1, goal7 } from './goals/post.ts';
import { schedules } from './goals/schedules.ts';
import { goal9 } from './goals/streams.ts';
import { writer } from './goals/writer.ts';
import { median, report as newReport } from './lib/figures.ts';
import { loader } from './lib/load.ts';
import { idleGuard, machineFacts, syncTimes } from './lib/machine.ts';

const GOALS: Readonly<Record<string, { title: string; run: (context: Context) => Promise<void> }>> = {
  goal1: { title: 'Goal 1: durable POST against the same route without a store', run: goal1 },
  goal2: { title: 'Goal 2: durable POST against Fastify + BullMQ', run: goal2 },
  goal3: { title: 'Goal 3: durable POST against Fastify + graphile-worker and pg-boss', run: goal3 },
  goal4: { title: 'Goal 4: no-op drain against graphile-worker and BullMQ', run: goal4 },
  goal5: { title: 'Goal 5: claim and complete, by depth of the queue', run: goal5 },
  goal6: { title: 'Goal 6: idle POST to start, against BullMQ', run: goal6 },
  goal7: { title: 'Goal 7: POST while the same process drains it', run: goal7 },
  goal9: { title: 'Goal 9: streams', run: goal9 },
  drain: { title: 'No-op drain, bulk submit, memory', run: drain },
  depth: { title: 'Depth: millions queued, a hundred thousand delayed, children and events', run: depth },
  schedules: { title: 'Schedules: 10,000 due in the same minute', run: schedules },
  evaluation: { title: 'Evaluation: overhead of a case, and many streams at once', run: evaluation },
  containers: { title: 'Containers: 200 MB from one and from ten, and how late a line is seen', run: containers },
  writer: { title: 'The writer in a thread against the same writer on the main thread', run: writer },
};

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string' }, rounds: { type: 'string' }, folder: { type: 'string', default: tmpdir() } },
});
const chosen = values.only?.split(',') ?? Object.keys(GOALS);
const unknown = chosen.filter((name) => GOALS[name] === undefined);
if (unknown.length > 0) {
  process.stderr.write(`No such goal: ${unknown.join(', ')}. There are ${Object.keys(GOALS).join(', ')}.\n`);
  process.exit(1);
}
const rounds = Number(values.rounds ?? (values.quick ? 2 : 5));

const report = newReport((text) => process.stdout.write(`${text}\n`));
/** ms that a quick look waits for a machine at rest. */
const HURRY = 1_500;
const guard = values.quick ? idleGuard(HURRY) : idleGuard();
const folder = mkdtempSync(join(values.folder, 'muster-bench-'));
chmodSync(folder, 0o711); // PostgreSQL's user must reach its own folder in it
process.on('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })); // servers may still be ending
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

const shown = ([p50 = NaN, p99 = NaN]: readonly number[]): string => `${p50.toFixed(2)} / ${p99.toFixed(2)} ms`;
const sync = syncTimes(folder);
const { name, load } = loader(folder);
for (const fact of machineFacts()) report.line(fact);
report.line(`4 KiB append and fsync, p50 / p99: ${shown(sync.fsync)}; fdatasync ${shown(sync.fdatasync)}`);
report.line(`Load: ${name}. ${rounds} rounds each${rounds < 5 ? ' (a quick look: quote nothing of it)' : ''}, a job is 200 bytes`);

const syncs: number[][] = [];
async function round(): Promise<string> {
  const calm = await guard.rest();
  const { fsync } = syncTimes(folder, 100);
  syncs.push(fsync);
  return `fsync ${shown(fsync)}${calm ? '' : ', MACHINE BUSY'}`;
}

const failed: string[] = [];
for (const goal of chosen) {
  const { title, run } = GOALS[goal] as (typeof GOALS)[string];
  report.line(`\n${title}`);
  const own = join(folder, goal);
  mkdirSync(own);
  try {
    await run({ folder: own, report, guard, load, rounds, seconds: values.quick ? 2 : 4, quick: values.quick, round });
  } catch (error) {
    failed.push(goal);
    report.line(`  NOT MEASURED: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  }
  rmSync(own, { recursive: true, force: true });
}
report.close();
if (failed.length > 0) report.line(`\nNOT MEASURED, for the errors above: ${failed.join(', ')}`);
if (syncs.length > 0) report.line(`\nfsync beside the rounds, medians of p50 / p99: ${shown([0, 1].map((i) => median(syncs.map((one) => one[i] ?? NaN))))}`);
if (guard.count.busy > 0) report.line(`${guard.count.busy} of ${guard.count.rounds} measurements began while something else used the machine (waited for, then given up).`);
