// npm run sim -- --seeds 2000 --minutes 10 --seed S [--verbose]: runs so many seeds, S1, S2, … of a name, and says what held.
// A failure prints its own seed, what it broke, what came last, and the one command that replays it.
import { BREAKS } from './breaks.ts';
import { runSeed, type Outcome } from './world.ts';

function option(name: string, fallback: string): string {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : (process.argv[at + 1] ?? '');
}

const seeds = Number(option('seeds', '100'));
const minutes = Number(option('minutes', '10'));
const base = option('seed', String(Date.now() % 1_000_000));
const control = option('break', '');
const isVerbose = process.argv.includes('--verbose');
if (process.argv.includes('--help') || !Number.isInteger(seeds) || seeds < 1 || !(minutes > 0) || (control !== '' && BREAKS[control] === undefined)) {
  console.log(['usage: npm run sim -- [--seeds N] [--minutes M] [--seed S] [--verbose] [--break NAME]', '',
    '  --seeds    default 100; of more than one the i-th is S.i', '  --minutes  simulated, of each; default 10', '  --seed     default: drawn, and printed',
    '  --verbose  every message, event, call and harm', `  --break    a core that breaks its word: ${Object.keys(BREAKS).join(', ')}`].join('\n'));
  process.exit(process.argv.includes('--help') ? 0 : 64);
}

let rejected: string[] = [];
process.on('unhandledRejection', (error) => { rejected.push(`DEFECT: a rejection that nobody heard, which ends the process: ${error instanceof Error ? error.stack : String(error)}`); });

let isStopping = false; // a run cleans up after itself: the one under way is ended
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { isStopping = true; });

const since = performance.now();
const sum = { jobs: 0, events: 0, deaths: 0, stops: 0, harms: 0, calls: 0, steps: 0, virtualMs: 0 };
const failed: string[] = [];
const broken = control === '' ? null : BREAKS[control]!;
const undo = broken?.apply?.();
console.log(`seed ${base}, ${seeds} runs of ${minutes} simulated minutes${control === '' ? '' : `, broken: ${control}`}`);
let done = 0;
for (let i = 0; i < seeds && !isStopping; i++) {
  const seed = seeds === 1 ? base : `${base}.${i}`;
  const outcome: Outcome = await runSeed({ seed, minutes, say: isVerbose ? (line) => console.log(line) : undefined, tamper: broken?.tamper, random: broken?.random, knobs: broken?.knobs });
  await new Promise((resolve) => { setImmediate(resolve); });
  done += 1;
  const violations = [...outcome.violations, ...rejected];
  rejected = [];
  for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += outcome.figures[key];
  if (violations.length > 0) {
    failed.push(seed);
    console.log([
      `FAILED: seed ${seed}`, ...violations.slice(0, 10).map((line) => `  ${line}`), '  last:', ...outcome.last.slice(-30).map((line) => `    ${line.slice(0, 240)}`),
      `  replay: npm run sim -- --seeds 1 --minutes ${minutes} --seed ${seed} --verbose${control === '' ? '' : ` --break ${control}`}`,
    ].join('\n'));
    if (control !== '') break;
  }
  if (seeds === 1) console.log(`history ${outcome.digest}`);
  if ((i + 1) % 50 === 0) console.log(`${i + 1} runs, ${failed.length} failed, ${Math.round((performance.now() - since) / 1_000)} s`);
}
undo?.();
const wall = (performance.now() - since) / 1_000;
console.log([
  `runs ${done}${isStopping ? ` of ${seeds}, stopped` : ''}, failed ${failed.length}${failed.length > 0 ? `: ${failed.slice(0, 10).join(' ')}` : ''}`,
  `jobs ${sum.jobs}, events ${sum.events}, deaths of the server ${sum.deaths} (asked to stop ${sum.stops}), harms ${sum.harms}, calls ${sum.calls}, steps ${sum.steps}`,
  `simulated ${(sum.virtualMs / 3_600_000).toFixed(1)} h in ${wall.toFixed(1)} s`,
].join('\n'));
process.exitCode = (failed.length > 0) === (control !== '') ? 0 : 1;
