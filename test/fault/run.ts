// npm run crash -- --runs 300 --seed 42 [--nemesis kill,term]: harms the real server again and again and says what held.
import { type CampaignResult, runCampaign } from './campaign.ts';
import { createKill } from './nemesis/kill.ts';
import type { Nemesis } from './nemesis/nemesis.ts';
import { createTerm } from './nemesis/term.ts';

const NEMESES: Readonly<Record<string, () => Nemesis>> = { kill: createKill, term: createTerm };
/** Harms of one database: enough for jobs to be interrupted many times, few enough for each check to stay quick. */
const CAMPAIGN_RUNS = 20;

const HELP = `usage: npm run crash -- [--runs N] [--seed S] [--nemesis ${Object.keys(NEMESES).join(',')}]`;

function option(name: string, fallback: string): string {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : (process.argv[at + 1] ?? '');
}

const percentile = (values: readonly number[], p: number): number => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * p))] ?? 0;

function summary(name: string, results: readonly CampaignResult[]): string {
  const sum = (value: (counts: CampaignResult['counts']) => number): number => results.reduce((total, { counts }) => total + value(counts), 0);
  const found = results.flatMap(({ violations }) => violations);
  const count = (word: RegExp): number => found.filter((line) => word.test(line)).length;
  const starts = results.flatMap(({ counts }) => counts.starts);
  return [
    `${name}: ${sum((c) => c.harms)} harms in ${results.length} campaigns`,
    `  acknowledged changes   ${sum((c) => c.acks)} in ${sum((c) => c.requests)} requests; ${sum((c) => c.lostAnswers)} answers lost, ${sum((c) => c.refusedBusy)} refused with 503`,
    `  jobs at the end        ${sum((c) => c.jobs)}, ${sum((c) => c.deleted)} trees deleted, ${sum((c) => c.calls)} calls to participants, ${sum((c) => c.interrupted)} attempts interrupted`,
    `  acknowledged and lost  ${count(/LOST/)}`,
    `  stuck                  ${count(/STUCK/)} (at rest after ${Math.max(...results.map(({ counts }) => counts.rest))} ms at most)`,
    `  streams                ${sum((c) => c.watched)} of single jobs and ${results.length} of everything; ${sum((c) => c.streams.events)} events, ${sum((c) => c.streams.reconnects)} reconnects, ${sum((c) => c.streams.broken)} broken off, ${sum((c) => c.streams.goodbyes)} told to come back`,
    `  holes and repeats      ${count(/HOLE|a repeat|below a cursor/)}`,
    `  ms to ready            p50 ${percentile(starts, 0.5)}, p99 ${percentile(starts, 0.99)}, of ${starts.length} starts`,
    `  violations             ${found.length}`,
  ].join('\n');
}

const runs = Number(option('runs', '20'));
const seed = option('seed', String(Date.now() % 1_000_000));
const names = option('nemesis', 'kill').split(',');
if (process.argv.includes('--help') || !Number.isInteger(runs) || runs < 1 || names.some((name) => NEMESES[name] === undefined)) {
  console.log(HELP);
  process.exit(process.argv.includes('--help') ? 0 : 64);
}
console.log(`seed ${seed}`);
let failed = false;
for (const name of names) {
  const results: CampaignResult[] = [];
  for (let done = 0, i = 0; done < runs && !failed; i++) {
    const nemesis = NEMESES[name]!();
    const cannot = await nemesis.feasible();
    if (cannot !== null) {
      console.log(`SKIPPED: ${name}: ${cannot}`);
      failed = true; // a nemesis that was asked for and did not run has shown nothing
      break;
    }
    const result = await runCampaign({ seed: `${seed}/${name}/${i}`, runs: Math.min(CAMPAIGN_RUNS, runs - done), nemesis });
    results.push(result);
    done += CAMPAIGN_RUNS;
    if (result.report !== null) { failed = true; console.log(result.report); }
    else console.log(`${name} ${Math.min(done, runs)}/${runs}: ${result.counts.jobs} jobs, ${result.counts.acks} acknowledged, nothing lost${nemesis.facts === undefined ? '' : `; ${nemesis.facts()}`}`);
  }
  if (results.length > 0) console.log(summary(name, results));
}
process.exitCode = failed ? 1 : 0;
