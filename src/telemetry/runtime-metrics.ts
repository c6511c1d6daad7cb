// Figures of what runs in this process: runs of handlers and streams.
import type { Outcome } from '../domain/outcome.ts';
import type { Metrics } from './metrics.ts';

/** Matches http/stream.ts's StreamMeter, which telemetry does not import. */
export interface StreamCounts {
  opened(): void;
  closed(why: string): void;
  wrote(events: number, bytes: number): void;
  refused(why: string): void;
}

export interface RuntimeMetrics {
  readonly streams: StreamCounts;
  readonly runEnded: (type: string, outcome: Outcome['kind'], ms: number) => void;
}

export function addRuntimeMetrics(metrics: Metrics): RuntimeMetrics {
  const stream = { open: 0, events: 0, bytes: 0 };
  const refused = new Map([['server', 0], ['address', 0]]);
  const ends = new Map<string, number>();
  const runs = new Map<string, { task_type: string; outcome: string; count: number; seconds: number }>();

  metrics.add('gauge', 'muster_streams_open', 'SSE streams open now.', () => [{ value: stream.open }]);
  metrics.add('counter', 'muster_stream_events_total', 'Events written to SSE streams.', () => [{ value: stream.events }]);
  metrics.add('counter', 'muster_stream_bytes_total', 'Bytes written to SSE streams.', () => [{ value: stream.bytes }]);
  metrics.add('counter', 'muster_streams_refused_total', 'SSE streams refused: all of the server were taken, or all that one address may have.', () => [...refused].map(([why, value]) => ({ labels: { why }, value })));
  metrics.add('counter', 'muster_streams_ended_total', 'SSE streams ended, by why.', () => [...ends].map(([why, value]) => ({ labels: { why }, value })));
  metrics.add('counter', 'muster_runs_total', 'Runs of handlers that ended, by what they answered.', () =>
    [...runs.values()].map(({ task_type, outcome, count }) => ({ labels: { task_type, outcome }, value: count })));
  metrics.add('counter', 'muster_run_seconds_total', 'Time spent in handlers.', () =>
    [...runs.values()].map(({ task_type, outcome, seconds }) => ({ labels: { task_type, outcome }, value: seconds })));

  return {
    streams: {
      opened() { stream.open += 1; },
      closed(why) { stream.open -= 1; ends.set(why, (ends.get(why) ?? 0) + 1); },
      wrote(events, bytes) { stream.events += events; stream.bytes += bytes; },
      refused(why) { refused.set(why, (refused.get(why) ?? 0) + 1); },
    },
    runEnded(task_type, outcome, ms) {
      const name = `${task_type} ${outcome}`;
      let entry = runs.get(name);
      if (entry === undefined) runs.set(name, (entry = { task_type, outcome, count: 0, seconds: 0 }));
      entry.count += 1;
      entry.seconds += ms / 1_000;
    },
  };
}
