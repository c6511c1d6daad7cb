// What /metrics says of the streams.
import type { Metrics } from '../telemetry/metrics.ts';
import type { StreamEnd, StreamMeter } from './stream.ts';

const ENDS: readonly StreamEnd[] = ['ended', 'left', 'cut', 'stopping', 'failed'];

/** Hand the answer to Streams as its meter. */
export function streamMeter(metrics: Pick<Metrics, 'add'>): StreamMeter {
  let open = 0;
  let events = 0;
  let bytes = 0;
  let refused = 0;
  const ends = new Map<StreamEnd, number>();
  metrics.add('gauge', 'sse_streams_open', 'Streams being read', () => [{ value: open }]);
  metrics.add('counter', 'sse_streams_closed_total', 'Streams that are over, by why; cut = the client did not read', () =>
    ENDS.map((why) => ({ labels: { why }, value: ends.get(why) ?? 0 })));
  metrics.add('counter', 'sse_streams_refused_total', 'Streams refused because all were taken', () => [{ value: refused }]);
  metrics.add('counter', 'sse_events_sent_total', 'Events written to streams', () => [{ value: events }]);
  metrics.add('counter', 'sse_bytes_sent_total', 'Bytes of those events', () => [{ value: bytes }]);
  return {
    opened() { open += 1; },
    closed(why) { open -= 1; ends.set(why, (ends.get(why) ?? 0) + 1); },
    wrote(count, size) { events += count; bytes += size; },
    refused() { refused += 1; },
  };
}
