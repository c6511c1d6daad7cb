// Figures of evaluations: agent streams, events, and who was sent back for want of a place.
import type { Metrics } from './metrics.ts';

/** Matches handlers/evaluation/tools.ts's EvaluationMeter, which telemetry does not import. */
export interface EvaluationCounts {
  streams(change: 1 | -1): void;
  deferred(what: 'agent' | 'judge'): void;
  events(count: number): void;
  tokens(input: number, output: number): void;
}

export function addEvaluationMetrics(metrics: Metrics): EvaluationCounts {
  let open = 0;
  let events = 0;
  const deferred = { agent: 0, judge: 0 };
  const tokens = { input: 0, output: 0 };
  metrics.add('gauge', 'muster_agent_streams_open', 'Event streams of agents under test open now.', () => [{ value: open }]);
  metrics.add('counter', 'muster_agent_events_total', 'Events read from agents under test.', () => [{ value: events }]);
  metrics.add('counter', 'muster_evaluation_deferred_total', 'Runs sent back since their agent or judge had as many as it may.', () =>
    Object.entries(deferred).map(([what, value]) => ({ labels: { what }, value })));
  metrics.add('counter', 'muster_judge_tokens_total', 'Tokens that judge models counted.', () => Object.entries(tokens).map(([kind, value]) => ({ labels: { kind }, value })));
  return {
    streams(change) { open += change; },
    deferred(what) { deferred[what] += 1; },
    events(count) { events += count; },
    tokens(input, output) { tokens.input += input; tokens.output += output; },
  };
}
