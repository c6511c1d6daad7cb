// npm run crash -- --nemesis kill,term --cycles 300 --seed 42 [--control]: harms the real server again and again and says
// what held. With --control, one that must not hold: it succeeds when the harness finds the loss.
import { KINDS } from './kinds.ts';

const NAMES = Object.keys(KINDS);
const HELP = [
  'usage: npm run crash -- [--nemesis NAME,…] [--cycles N] [--seed S] [--control]', '', '  --nemesis  default kill; all = every one of them:',
  ...NAMES.map((name) => `             ${name.padEnd(12)} ${KINDS[name]?.what}`),
  '  --cycles   harms of each; default 20', '  --seed     default: drawn, and printed', '  --control  the same on a server that breaks a promise; it must be caught',
].join('\n');

function option(name: string, fallback: string): string {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : (process.argv[at + 1] ?? '');
}

const isControl = process.argv.includes('--control');
const cycles = option('cycles', isControl ? '' : '20');
const seed = option('seed', String(Date.now() % 1_000_000));
const asked = option('nemesis', 'kill');
const names = asked === 'all' ? NAMES : asked.split(',');
if (process.argv.includes('--help') || !/^([1-9]\d{0,5})?$/.test(cycles) || names.some((name) => KINDS[name] === undefined)) {
  console.log(HELP);
  process.exit(process.argv.includes('--help') ? 0 : 64);
}

console.log(`seed ${seed}`);
let hasFailed = false;
for (const name of names) {
  const kind = KINDS[name]!;
  const cannot = await kind.feasible();
  if (cannot !== null) {
    console.log(`SKIPPED: ${name}: ${cannot}`);
    hasFailed = true; // a fault that was asked for and did not happen has shown nothing
    continue;
  }
  const { run, ...rest } = isControl ? kind.control : { ...kind, cycles: 20, sign: null };
  const { violations, facts } = await run({ cycles: Number(cycles === '' ? rest.cycles : cycles), seed, say: (line) => { console.log(line); } });
  console.log([`${name}${isControl ? `, control: ${rest.what}` : ''}`, ...facts, `violations             ${violations.length}`].join('\n  '));
  const isFine = rest.sign === null ? violations.length === 0 : violations.some((line) => rest.sign?.test(line));
  if (isControl) console.log(isFine ? `caught: ${violations.find((line) => rest.sign?.test(line))}` : `NOT CAUGHT: nothing like ${String(rest.sign)} was found; this harness is blind`);
  else for (const line of violations.slice(0, 20)) console.log(`  ${line}`);
  hasFailed ||= !isFine;
}
process.exitCode = hasFailed ? 1 : 0;
