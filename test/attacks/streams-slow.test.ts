// Case 92: a client that does not read: what is held for it is bounded, it is cut in time, and nobody else notices.
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { STREAM_LIMITS } from '../../src/http/stream.ts';
import { BATCH_BYTES } from '../../src/runtime/follower.ts';
import { manualClock } from '../handlers/support.ts';
import { openStream } from '../support/sse.ts';
import { type HandJob, runningJob, startStreamServer, type StreamServer } from '../support/stream-server.ts';

vi.setConfig({ testTimeout: 30_000 }); // real processes and sockets on a machine that others use too
let server: StreamServer;
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server.close();
});

/** Asks for everything and never reads the answer. */
async function deaf(path = '/api/stream'): Promise<Socket> {
  const socket = connect(server.port, '127.0.0.1');
  sockets.push(socket);
  socket.pause();
  socket.on('error', () => {}); // it is going to be reset
  const before = server.streams.open;
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
  await server.until('it is served', () => server.streams.open > before);
  return socket;
}

/** More than the kernel takes for a socket (about 6 MB on loopback), in events of 100 kB. */
const LINE = 'x'.repeat(100_000);
async function flood(jobs: readonly HandJob[], lines: number, after: () => void): Promise<void> {
  for (const job of jobs) {
    for (let i = 0; i < lines; i += 5) {
      await job.sayAll(Array.from({ length: 5 }, () => LINE));
      after();
    }
  }
}

describe('case 92: a client that never reads', () => {
  test('is cut, holds two writes at most, and the others get everything', async () => {
    server = await startStreamServer({ limits: { stall: 1_000 } });
    const jobs = [await runningJob(server.store), await runningJob(server.store), await runningJob(server.store)];
    const readers = await Promise.all([1, 2, 3].map(() => openStream(`${server.url}/api/stream`)));
    for (let i = 0; i < 10; i++) await deaf();
    const heapBefore = process.memoryUsage();
    let most = 0;
    await flood(jobs, 80, () => { most = Math.max(most, server.held()); });
    await server.until('the deaf are cut', () => server.ends.length === 10);
    expect(server.ends).toEqual(Array.from({ length: 10 }, () => 'cut'));
    expect(server.streams.open).toBe(3);
    for (const job of jobs) await job.done();
    for (const reader of readers) {
      const last = jobs.at(-1)?.id;
      await reader.until((event) => event.data?.type === 'job:complete' && event.data.jobId === last);
      expect(reader.types()).toEqual([...Array.from({ length: 240 }, () => 'job:log'), ...jobs.map(() => 'job:complete')]);
    }
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThan(2 * BATCH_BYTES + 1_024); // a write that does not fill the socket's 64 KiB may be followed by one that does
    // 24 MB were written; 13 clients, 10 of them deaf, may not cost the ring (16 MiB) many times over.
    const { arrayBuffers, external } = process.memoryUsage();
    expect(arrayBuffers + external - heapBefore.arrayBuffers - heapBefore.external).toBeLessThan(200 * 1_048_576);
  });

  test('has 30 seconds for each write: one that reads again before stays, one that does not goes', async () => {
    const clock = manualClock();
    server = await startStreamServer({ clock });
    const job = await runningJob(server.store);
    const sleeper = await deaf();
    await deaf();
    const idle = clock.timers; // the heartbeat
    await flood([job], 90, () => {});
    await stalled(clock, idle + 2);
    clock.advance(STREAM_LIMITS.stall - 1);
    expect(server.streams.open).toBe(2);
    let bytes = 0;
    const everything = new Promise<void>((resolve) => { sleeper.on('data', (part: Buffer) => { bytes += part.length; if (bytes > 90 * 100_000) resolve(); }); });
    sleeper.resume();
    await everything;
    await stalled(clock, idle + 1);
    clock.advance(1);
    await server.until('one is cut', () => server.ends.length === 1);
    expect([server.ends, server.streams.open]).toEqual([['cut'], 1]);
    clock.advance(10 * STREAM_LIMITS.stall);
    expect(server.streams.open).toBe(1);
  });
});

/** Until that many timers run: the turns in which the streams meet their sockets' bounds are the kernel's. */
async function stalled(clock: { readonly timers: number }, count: number): Promise<void> {
  while (clock.timers !== count) await new Promise((resolve) => { setImmediate(resolve); });
}
