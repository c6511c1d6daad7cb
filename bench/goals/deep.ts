// Depth: 5 million queued, 100,000 due tomorrow, a tree of 100,000 children, a job with 100,000 events, against a
// thousandth of it. What a claim, a roll-up, a list, a stream, the metrics and a start cost must not grow with it.
import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { median, perSecond, rate } from '../lib/figures.ts';
import { memoryOf } from '../lib/machine.ts';
import { muster, type Server } from '../lib/servers.ts';
import type { Context } from './context.ts';
import { fill, openAt, type Landmarks, type Sizes, STILL } from './deep-fill.ts';
import { HTTP_OPS, type HttpSide, type Op, type Side, STORE_OPS, type StoreSide } from './deep-ops.ts';

const SMALL: Sizes = { queued: 1_000, later: 100, children: 1_000, events: 1_000 };
const BIG: Sizes = { queued: 5_000_000, later: 100_000, children: 100_000, events: 100_000 };
/** `--quick` */
const SHARE = 50;
/** Repeats end when both sides together took this long, ms: what is not flat would else take for ever. */
const ENOUGH = 1_000;
/** A group is flat if its worst member costs at most this much more; reads of some µs swing more than claims do. */
const FLAT: Readonly<Record<Op['group'], number>> = { claim: 1.25, 'roll-up': 1.25, verbs: 2, list: 2, stream: 2, metrics: 2, 'start-up': 2 };

/** Nobody feels this much, ms; under it a ratio of two reads says more of the machine than of them. */
const UNFELT = 0.1;

type Rows = Map<Op, { small: number[]; big: number[] }>;

/** ms of one call on either side, the median; neighbours take turns, so that a disturbance meets both. */
async function measure<T extends Side>(op: Op<T>, sides: readonly [T, T], into: Rows): Promise<void> {
  const times: [number[], number[]] = [[], []];
  const spent = (): number => times.flat().reduce((sum, ms) => sum + ms, 0);
  for (let repeat = 0; repeat < op.repeats && spent() < ENOUGH; repeat++) {
    for (let n = 0; n < 2; n++) {
      const i = ((n + repeat) % 2) as 0 | 1;
      times[i].push(await op.run(sides[i]));
    }
  }
  const row = into.get(op as Op) ?? { small: [], big: [] };
  into.set(op as Op, row);
  row.small.push(median(times[0]));
  row.big.push(median(times[1]));
}

const shown = (ms: number): string => (ms < 1 ? `${(ms * 1_000).toFixed(1)} µs` : `${ms.toFixed(ms < 100 ? 2 : 0)} ms`);
const ratios = ({ small, big }: { small: number[]; big: number[] }): number[] => big.map((ms, i) => ms / (small[i] ?? NaN));
const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`;

export async function depth({ folder, report, rounds, quick, round: begin }: Context): Promise<void> {
  const big = quick ? Object.fromEntries(Object.entries(BIG).map(([name, count]) => [name, count / SHARE])) as unknown as Sizes : BIG;
  const folders = ['small', 'big'].map((name) => join(folder, name));
  const marks: Landmarks[] = [];
  for (const [i, sizes] of [SMALL, big].entries()) {
    const own = folders[i] as string;
    mkdirSync(own);
    const start = performance.now();
    marks.push(await fill(own, sizes));
    const ms = performance.now() - start;
    const count = sizes.queued + sizes.later + sizes.children;
    report.line(`  ${Object.entries(sizes).map(([name, n]) => `${n.toLocaleString('en')} ${name}`).join(', ')}: filled in ${(ms / 1_000).toFixed(0)} s (${perSecond(rate(count, ms))}), file ${mib(statSync(join(own, 'muster.db')).size)}`);
  }
  const rows: Rows = new Map();
  await inProcess(folders, marks, rows, rounds, async (text) => report.line(`  ${text}: ${await begin()}`));
  await overHttp(folders, marks, rows, rounds, async (text) => report.line(`  ${text}: ${await begin()}`), report.line);

  const size = quick ? `1/${SHARE} of full depth` : 'full depth';
  report.line(`\n  | group | operation | small | ${size} | ratio | |\n  | --- | --- | --- | --- | --- | --- |`);
  const worst = new Map<Op['group'], { name: string; rounds: number[] }>();
  for (const [op, row] of rows) {
    const all = ratios(row);
    const [ratio, more] = [median(all), median(row.big) - median(row.small)];
    const word = ratio <= FLAT[op.group] ? 'flat' : more < UNFELT ? `flat (${shown(more)} more)` : 'NOT FLAT';
    report.line(`  | ${op.group} | ${op.name} | ${shown(median(row.small))} | ${shown(median(row.big))} | ${ratio.toFixed(2)} | ${word} |`);
    const known = worst.get(op.group);
    if (known === undefined || (ratio > median(known.rounds) && !word.startsWith('flat ('))) worst.set(op.group, { name: op.name, rounds: all });
  }
  for (const [group, { name, rounds: all }] of worst) report.gate({ goal: 'depth', what: `${group}, worst: ${name}; ${size} ÷ small`, rounds: all, gate: FLAT[group], better: 'less' });
}

async function inProcess(folders: readonly string[], marks: readonly Landmarks[], rows: Rows, rounds: number, say: (text: string) => Promise<void>): Promise<void> {
  const stores = await Promise.all(folders.map((folder) => openAt(folder)));
  try {
    const pair = stores.map((store, i) => ({ store, marks: marks[i] as Landmarks })) as [StoreSide, StoreSide];
    for (const op of STORE_OPS) await measure(op, pair, new Map()); // compiled, cached
    for (let round = 0; round < rounds; round++) {
      await say(`store, round ${round + 1}`);
      for (const op of STORE_OPS) await measure(op, pair, rows);
    }
  } finally {
    for (const store of stores) await store.close();
  }
}

const START: Op = { group: 'start-up', name: 'npm start until it listens', repeats: 1, run: () => Promise.resolve(NaN) };

async function overHttp(folders: readonly string[], marks: readonly Landmarks[], rows: Rows, rounds: number, say: (text: string) => Promise<void>, line: (text: string) => void): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    await say(`server, round ${round + 1}`);
    const servers: Server[] = [];
    try {
      const took: number[] = [];
      for (const i of round % 2 === 0 ? [0, 1] : [1, 0]) {
        const start = performance.now();
        servers[i] = await muster(folders[i] as string, { MUSTER_CONCURRENCY: STILL });
        took[i] = performance.now() - start;
      }
      const row = rows.get(START) ?? { small: [], big: [] };
      rows.set(START, row);
      row.small.push(took[0] ?? NaN);
      row.big.push(took[1] ?? NaN);
      const pair = servers.map((server, i) => ({ url: server.url, marks: marks[i] as Landmarks })) as [HttpSide, HttpSide];
      for (const op of HTTP_OPS) await measure(op, pair, new Map());
      for (const op of HTTP_OPS) await measure(op, pair, rows);
      const [a, b] = servers.map(({ pid }) => memoryOf(pid));
      line(`    RSS of the server after it: small ${a?.now.toFixed(0)} MiB (${a?.peak.toFixed(0)} at most), big ${b?.now.toFixed(0)} MiB (${b?.peak.toFixed(0)} at most)`);
    } finally {
      for (const server of servers) await server?.stop();
    }
  }
}
