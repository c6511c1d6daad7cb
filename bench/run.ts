// npm run bench: the goals that can be measured here, as ratios within one run. docs/performance.md explains them.
//   node bench/run.ts [--quick] [--only drain,goal1] [--rounds 5] [--folder /path/on/the/disk/to/measure]
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Context } from './goals/context.ts';
import { goal5 } from './goals/depth.ts';
import { drain } from './goals/drain.ts';
import { goal6 } from './goals/latency.ts';
import { goal1, goal7 } from './goals/post.ts';
import { writer } from './goals/writer.ts';
import { report as newReport } from './lib/figures.ts';
import { loader } from './lib/load.ts';
import { idleGuard, machineFacts, syncTimes } from './lib/machine.ts';

const GOALS: Readonly<Record<string, { title: string; run: (context: Context) => Promise<void> }>> = {
  goal1: { title: 'Goal 1: durable POST against the same route without a store', run: goal1 },
  goal5: { title: 'Goal 5: claim and complete, by depth of the queue', run: goal5 },
  goal6: { title: 'Goal 6: idle POST to start, against BullMQ', run: goal6 },
  goal7: { title: 'Goal 7: POST while the same process drains it', run: goal7 },
  drain: { title: 'No-op drain, bulk submit, memory', run: drain },
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
const guard = idleGuard();
const folder = mkdtempSync(join(values.folder, 'muster-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

const sync = syncTimes(folder);
const { name, load } = loader(folder);
for (const fact of machineFacts()) report.line(fact);
report.line(`4 KiB append and fsync, p50 / p99 ms: ${sync.fsync.map((ms) => ms.toFixed(3)).join(' / ')}; fdatasync ${sync.fdatasync.map((ms) => ms.toFixed(3)).join(' / ')}`);
report.line(`Load: ${name}. ${rounds} rounds each${rounds < 5 ? ' (a quick look: quote nothing of it)' : ''}, a job is 200 bytes`);

for (const goal of chosen) {
  const { title, run } = GOALS[goal] as (typeof GOALS)[string];
  report.line(`\n${title}`);
  const own = join(folder, goal);
  mkdirSync(own);
  await run({ folder: own, report, guard, load, rounds, seconds: values.quick ? 2 : 4, quick: values.quick });
  rmSync(own, { recursive: true, force: true });
}
const allMet = report.close();
if (guard.count.busy > 0) report.line(`\n${guard.count.busy} of ${guard.count.rounds} measurements began while something else used the machine.`);
process.exitCode = allMet || values.quick ? 0 : 1;
