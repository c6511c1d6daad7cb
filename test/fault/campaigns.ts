// A fault under load as a kind of its own: as many campaigns as its cycles need, and their sum.
import { type CampaignOptions, type CampaignResult, runCampaign } from './campaign.ts';
import type { Kind } from './kinds.ts';
import type { Nemesis } from './nemesis/nemesis.ts';

/** Harms of one database: enough for jobs to be interrupted many times, few enough for each check to stay quick. */
const CAMPAIGN_CYCLES = 20;

export interface CampaignKind extends Pick<CampaignOptions, 'entry' | 'restMax' | 'synchronous'> {
  /** Harms of one database. Default 20. */
  readonly perCampaign?: number;
}

export function campaigns(create: () => Nemesis, { perCampaign = CAMPAIGN_CYCLES, ...options }: CampaignKind = {}): Pick<Kind, 'feasible' | 'run'> {
  return {
    feasible: () => create().feasible(),
    async run({ cycles, seed, say }) {
      const results: CampaignResult[] = [];
      for (let done = 0, i = 0; done < cycles; i++, done += perCampaign) {
        const nemesis = create();
        const result = await runCampaign({ seed: `${seed}/${nemesis.name}/${i}`, runs: Math.min(perCampaign, cycles - done), nemesis, ...options });
        results.push(result);
        const { counts, report } = result;
        say(report ?? `${nemesis.name} ${Math.min(done + perCampaign, cycles)}/${cycles}: ${counts.jobs} jobs, ${counts.acks} acknowledged, nothing lost${nemesis.facts === undefined ? '' : `; ${nemesis.facts()}`}`);
        if (report !== null) break;
      }
      return { violations: results.flatMap(({ violations }) => violations), facts: summary(results) };
    },
  };
}

function summary(results: readonly CampaignResult[]): string[] {
  const sum = (value: (counts: CampaignResult['counts']) => number): number => results.reduce((total, { counts }) => total + value(counts), 0);
  const found = results.flatMap(({ violations }) => violations);
  const count = (word: RegExp): number => found.filter((line) => word.test(line)).length;
  const starts = results.flatMap(({ counts }) => counts.starts);
  return [
    `${sum((c) => c.harms)} harms in ${results.length} campaigns`,
    `acknowledged changes   ${sum((c) => c.acks)} in ${sum((c) => c.requests)} requests; ${sum((c) => c.lostAnswers)} answers lost, ${sum((c) => c.refusedBusy)} refused with 503`,
    `jobs at the end        ${sum((c) => c.jobs)}, ${sum((c) => c.deleted)} trees deleted, ${sum((c) => c.calls)} calls to participants, ${sum((c) => c.interrupted)} attempts interrupted`,
    `acknowledged and lost  ${count(/LOST/)}`,
    `stuck                  ${count(/STUCK/)} (at rest after ${Math.max(...results.map(({ counts }) => counts.rest))} ms at most)`,
    `streams                ${sum((c) => c.watched)} of single jobs and ${results.length} of everything; ${sum((c) => c.streams.events)} events, ${sum((c) => c.streams.reconnects)} reconnects, ${sum((c) => c.streams.broken)} broken off, ${sum((c) => c.streams.goodbyes)} told to come back`,
    `holes and repeats      ${count(/HOLE|a repeat|below a cursor/)}`,
    `ms to ready            p50 ${percentile(starts, 0.5)}, p99 ${percentile(starts, 0.99)}, of ${starts.length} starts`,
  ];
}

const percentile = (values: readonly number[], p: number): number => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * p))] ?? 0;
