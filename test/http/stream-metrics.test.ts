// The streams' figures, as a scrape finds them after real streams.
import { expect, test } from 'vitest';
import { streamMeter } from '../../src/http/stream-metrics.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { ask, openStream } from '../support/sse.ts';
import { runningJob, startStreamServer } from '../support/stream-server.ts';

test('the figures of streams are those of what was open, written, ended and refused', async () => {
  const metrics = createMetrics({ process: false });
  const server = await startStreamServer({ limits: { streams: 2 }, meter: streamMeter(metrics) });
  try {
    const job = await runningJob(server.store);
    const watching = await openStream(`${server.url}/api/jobs/${job.id}/stream`);
    const leaving = await openStream(`${server.url}/api/stream`);
    expect((await ask(`${server.url}/api/stream`)).status).toBe(503);
    expect(await metrics.text()).toContain('\nsse_streams_open 2\n');
    leaving.cut();
    await server.until('it is gone', () => server.streams.open === 1);
    await job.done();
    await watching.ended;
    await server.until('none is open', () => server.streams.open === 0);
    const sizes = watching.events.filter(({ id }) => id !== null).map(({ raw }) => Buffer.byteLength(raw) + 2);
    const text = await metrics.text();
    for (const line of [
      'sse_streams_open 0', 'sse_streams_closed_total{why="ended"} 1', 'sse_streams_closed_total{why="left"} 1', 'sse_streams_closed_total{why="cut"} 0',
      'sse_streams_refused_total 1', 'sse_events_sent_total 3', `sse_bytes_sent_total ${sizes.reduce((a, b) => a + b)}`,
    ]) expect(text.split('\n')).toContain(line);
  } finally {
    await server.close();
  }
});
