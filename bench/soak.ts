// npm run soak -- --minutes 60: mixed load at a moderate rate on the real server; what its memory, file descriptors and
// handles do over the run, as slopes by least squares after the first quarter, each with its standard error.
//   --minutes 3 to see that it works; --folder /path; --seed 1
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { memoryOf } from './lib/machine.ts';
import { muster } from './lib/servers.ts';
import { slope } from './lib/slope.ts';
import { startMix } from './soak/mix.ts';
import { startParticipant } from './soak/participant.ts';

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '60' }, folder: { type: 'string', default: tmpdir() }, seed: { type: 'string', default: '1' } },
});
const minutes = Number(values.minutes);
/** Often enough that a quarter of three minutes has four; seldom enough to weigh nothing. */
const SAMPLE_EVERY = minutes < 10 ? 2_000 : 10_000;
const SHOWN_EVERY = minutes < 10 ? 10_000 : 60_000;
/** The young and the compiled have settled by then. */
const WARM = 0.25;

interface Sample { readonly hours: number; readonly figures: Readonly<Record<string, number>> }

const folder = mkdtempSync(join(values.folder, 'muster-soak-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

const participant = await startParticipant();
const server = await muster(folder);
const mix = startMix(server.url, participant.url, Number(values.seed));
const samples: Sample[] = [];
const start = performance.now();

/** Sums over labels; collectors of prom-client's defaults and our own. */
function metric(text: string, name: string): number {
  let sum = 0;
  for (const [, value] of text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))) sum += Number(value);
  return sum;
}
const MIB = 2 ** 20;

async function sample(): Promise<Record<string, number>> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  return {
    'RSS MiB': memoryOf(server.pid).now,
    'heap MiB': metric(text, 'nodejs_heap_size_used_bytes') / MIB,
    'heap reserved MiB': metric(text, 'nodejs_heap_size_total_bytes') / MIB,
    'external MiB': metric(text, 'nodejs_external_memory_bytes') / MIB,
    fds: readdirSync(`/proc/${server.pid}/fd`).length,
    threads: readdirSync(`/proc/${server.pid}/task`).length,
    handles: metric(text, 'nodejs_active_handles_total'),
    streams: metric(text, 'muster_streams_open'),
    'file MiB': statSync(join(folder, 'muster.db')).size / MIB,
  };
}

const line = (figures: Readonly<Record<string, number>>): string => Object.entries(figures).map(([name, value]) => `${name} ${value.toFixed(name.endsWith('MiB') ? 1 : 0)}`).join(', ');

console.log(`Soak of ${minutes} minutes, pid ${server.pid}, a sample every ${SAMPLE_EVERY / 1_000} s`);
for (let next = SAMPLE_EVERY, shown = 0; next <= minutes * 60_000; next += SAMPLE_EVERY) {
  await new Promise((resolve) => { setTimeout(resolve, Math.max(0, start + next - performance.now())); });
  if (server.child.exitCode !== null || server.child.signalCode !== null) throw new Error('The server ended.');
  const figures = await sample();
  samples.push({ hours: (performance.now() - start) / 3_600_000, figures });
  if (next - shown >= SHOWN_EVERY) {
    shown = next;
    console.log(`${(next / 60_000).toFixed(1)} min: ${line(figures)}; ${mix.line()}`);
  }
}
await mix.stop();
const late = samples.filter(({ hours }) => hours >= (WARM * minutes) / 60);
console.log(`\nAfter the first quarter, ${late.length} samples:\n| | first | last | highest | slope an hour | ± standard error |\n| --- | --- | --- | --- | --- | --- |`);
for (const name of Object.keys(late[0]?.figures ?? {})) {
  const points = late.map(({ hours, figures }): [number, number] => [hours, figures[name] ?? NaN]);
  const { perUnit, error } = slope(points);
  const of = points.map(([, y]) => y);
  console.log(`| ${name} | ${of[0]?.toFixed(1)} | ${of.at(-1)?.toFixed(1)} | ${Math.max(...of).toFixed(1)} | ${perUnit.toFixed(2)} | ${error.toFixed(2)} |`);
}
console.log(mix.line());
// What is left when nobody asks anything: the floor under the slopes.
await new Promise((resolve) => { setTimeout(resolve, 5_000); });
console.log(`Idle for 5 s: ${line(await sample())}`);
await server.stop();
await participant.stop();
