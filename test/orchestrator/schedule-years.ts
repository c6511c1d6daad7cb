// node test/orchestrator/schedule-years.ts [FROM TO]: every change of the clock of 40 zones in those years (2018 2037), the three
// days around it, all patterns of the oracle. Exit 1 if one time differs. Python has the system's time zone database and Node its
// own: where those disagree about the clock itself there is nothing to compare.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { ScheduleTimes } from '../../src/orchestrator/schedule-times.ts';

const [from = '2018', to = '2037'] = process.argv.slice(2);
const MINUTE = 60_000;
const times = new ScheduleTimes();
const oracle = spawn('python3', [new URL('./schedule-oracle.py', import.meta.url).pathname, '--years', from, to], { stdio: ['ignore', 'pipe', 'inherit'] });
const differ = new Map<string, number>();
const other = new Map<string, number>();
let windows = 0;
let instants = 0;
for await (const line of createInterface({ input: oracle.stdout })) {
  const window = JSON.parse(line) as { zone: string; cron: string; from: number; to: number; times: number[]; offsets: number[] };
  if (window.offsets.some((seconds, hour) => times.offset(window.zone, (window.from + hour * 60) * MINUTE) !== seconds * 1_000)) {
    other.set(window.zone, (other.get(window.zone) ?? 0) + 1);
    continue;
  }
  const got = (await times.between({ cron: window.cron, timezone: window.zone }, window.from * MINUTE, window.to * MINUTE - 1, 100_000, () => Promise.resolve())).map((at) => at / MINUTE);
  windows += 1;
  instants += got.length;
  if (got.join() === window.times.join()) continue;
  const name = `${window.zone} ${new Date(window.from * MINUTE).toISOString().slice(0, 10)}`;
  differ.set(name, (differ.get(name) ?? 0) + 1);
}
for (const [name, count] of differ) console.log(`differs: ${name}, ${count} patterns`);
for (const [zone, count] of other) console.log(`not compared: ${count} windows of ${zone}, whose clock the two databases give otherwise`);
console.log(`${windows} windows, ${instants} instants, ${[...differ.values()].reduce((sum, n) => sum + n, 0)} windows differ (Node has the time zone database ${process.versions.tz})`);
process.exitCode = differ.size === 0 && windows > 0 ? 0 : 1;
