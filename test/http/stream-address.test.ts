// Streams have a bound for each client address, beside the one for all.
import { afterEach, expect, test } from 'vitest';
import { clientOf } from '../../src/http/client-address.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { addRuntimeMetrics } from '../../src/telemetry/runtime-metrics.ts';
import { ask, openStream, type SseClient } from '../support/sse.ts';
import { runningJob, startStreamServer, type StreamServer } from '../support/stream-server.ts';

let server!: StreamServer; // closing it twice does nothing
const clients: SseClient[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.cut();
  await server.close();
});
async function open(from: string, path = '/api/stream'): Promise<SseClient> {
  const client = await openStream(server.url + path, { from });
  clients.push(client);
  return client;
}

test('one address gets its share and is told when to come back; others get theirs, and one that was closed is free again', async () => {
  const metrics = createMetrics({ process: false });
  server = await startStreamServer({ limits: { streams: 5, perAddress: 2 }, meter: addRuntimeMetrics(metrics).streams });
  const { id } = await runningJob(server.store);
  const first = await open('127.0.0.1');
  expect([first.status, (await open('127.0.0.1', `/api/jobs/${id}/stream`)).status]).toEqual([200, 200]);
  for (const path of ['/api/stream', `/api/jobs/${id}/stream`]) {
    // What a client says of itself counts for nothing.
    const refused = await ask(server.url + path, { 'x-forwarded-for': '192.0.2.1', forwarded: 'for=192.0.2.1' });
    expect([refused.status, refused.headers['retry-after'], refused.body]).toMatchObject([429, '10', { code: 'too_many_streams', detail: expect.stringContaining('The 2 streams') }]);
  }
  expect([(await open('127.0.0.2')).status, (await open('127.0.0.2')).status, (await open('127.0.0.3')).status]).toEqual([200, 200, 200]);
  // All of the server's are taken now, by three addresses.
  const last = await open('127.0.0.3');
  expect([last.status, last.headers['retry-after']]).toEqual([503, '1']);
  const lines = (await metrics.text()).split('\n');
  for (const line of ['muster_streams_open 5', 'muster_streams_refused_total{why="address"} 2', 'muster_streams_refused_total{why="server"} 1']) expect(lines).toContain(line);
  first.cut();
  await server.until('it is gone', () => server.streams.open === 4);
  expect((await open('127.0.0.1')).status).toBe(200);
});

test('without a bound of their own all clients of one address, such as a proxy\'s, share those of the server', async () => {
  server = await startStreamServer({ limits: { streams: 5 } });
  for (let i = 0; i < 5; i++) expect((await open('127.0.0.1')).status).toBe(200);
  expect((await open('127.0.0.1')).status).toBe(503);
});

test.each([
  ['192.0.2.7', '192.0.2.7'], ['::ffff:192.0.2.7', '192.0.2.7'], ['::1', '0:0:0:0::/64'], [undefined, ''],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'], ['2001:db8:1:2::9', '2001:db8:1:2::/64'], ['2001:DB8::1', '2001:db8:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'], ['2001:db8:1::', '2001:db8:1:0::/64'], ['2001:0db8:0001:0002::1', '2001:db8:1:2::/64'],
])('%s counts as %s', (address, client) => {
  expect(clientOf(address)).toBe(client);
});
