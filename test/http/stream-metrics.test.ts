// The streams' figures, as a scrape finds them after real streams.
import { expect, test } from 'vitest';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { addRuntimeMetrics } from '../../src/telemetry/runtime-metrics.ts';
import { ask, openStream } from '../support/sse.ts';
import { runningJob, startStreamServer } from '../support/stream-server.ts';

test('the figures of streams are those of what was open, written, ended and refused', async () => {
  const metrics = createMetrics({ process: false });
  const server = await startStreamServer({ limits: { streams: 2 }, meter: addRuntimeMetrics(metrics).streams });
  try {
    const job = await runningJob(server.store);
    const watching = await openStream(`${server.url}/api/jobs/${job.id}/stream`);
    const leaving = await openStream(`${server.url}/api/stream`);
    expect((await ask(`${server.url}/api/stream`)).status).toBe(503);
    expect(await metrics.text()).toContain('\nmuster_streams_open 2\n');
    leaving.cut();
    await server.until('it is gone', () => server.streams.open === 1);
    await job.done();
    await watching.ended;
    await server.until('none is open', () => server.streams.open === 0);
    const sizes = watching.events.filter(({ id }) => id !== null).map(({ raw }) => Buffer.byteLength(raw) + 2);
    const text = await metrics.text();
    for (const line of [
      'muster_streams_open 0', 'muster_streams_ended_total{why="ended"} 1', 'muster_streams_ended_total{why="left"} 1',
      'muster_streams_refused_total{why="server"} 1', 'muster_streams_refused_total{why="address"} 0', 'muster_stream_events_total 3', `muster_stream_bytes_total ${sizes.reduce((a, b) => a + b)}`,
    ]) expect(text.split('\n')).toContain(line);
  } finally {
    await server.close();
  }
});
