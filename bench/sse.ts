// Goal 9: N readers of everything on loopback, from a process of their own, while events are committed at a steady rate.
// Prints what arrived, what a client costs in memory, and the cores that the server used (writer thread included).
//   node bench/sse.ts --readers 1000 --rate 100 --seconds 10
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import Fastify from 'fastify';
import { registerStreams } from '../src/http/native/streams.ts';
import { Streams } from '../src/http/stream.ts';
import { validatorCompiler } from '../src/http/validate.ts';
import { Feed } from '../src/runtime/feed.ts';
import { systemClock } from '../src/runtime/system-clock.ts';
import { openStore } from '../src/store/sqlite/index.ts';

const { values } = parseArgs({
  options: {
    readers: { type: 'string', default: '1000' }, rate: { type: 'string', default: '100' }, seconds: { type: 'string', default: '10' },
    port: { type: 'string' }, // the readers' process
  },
});
const readers = Number(values.readers);
const rate = Number(values.rate);
const seconds = Number(values.seconds);
const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });

if (values.port === undefined) await serve();
else read(Number(values.port));

/** Counts ids without building strings: the readers must not be what is measured. */
function read(port: number): void {
  let events = 0;
  let bytes = 0;
  let open = 0;
  const mark = Buffer.from('id: ');
  for (let i = 0; i < readers; i++) {
    const socket = connect(port, '127.0.0.1', () => socket.write('GET /api/stream HTTP/1.1\r\nHost: x\r\n\r\n'));
    let isOpen = false;
    socket.on('data', (part: Buffer) => {
      bytes += part.length;
      if (!isOpen) { isOpen = true; open += 1; if (open === readers) process.send?.('open'); }
      for (let at = part.indexOf(mark); at >= 0; at = part.indexOf(mark, at + 4)) events += 1;
    });
    socket.on('error', () => {});
  }
  process.on('message', () => process.send?.({ events, bytes }));
}

async function serve(): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'muster-bench-'));
  const store = await openStore({ path: join(dir, 'bench.db'), clock: systemClock, policies: {} });
  const feed = new Feed({ store, clock: systemClock, report: { warn() {}, error: (facts) => { console.error(facts); } } });
  const streams = new Streams({ store, feed, clock: systemClock });
  const app = Fastify();
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  registerStreams(app, { streams, store });
  feed.start();
  await app.listen({ host: '127.0.0.1', port: 0 });
  await store.execute({ kind: 'submit', jobs: [{ type: 'work', input: '{}', spec: {} }] });
  const [job] = (await store.execute({ kind: 'claim', worker: 'bench', type: 'work', limit: 1 })).claimed;
  if (job === undefined) throw new Error('nothing to write to');
  const note = (count: number) => store.execute({
    kind: 'note', jobId: job.id, epoch: job.epoch,
    events: Array.from({ length: count }, (_, i) => ({ type: 'job:progress' as const, data: `{"progress":0.5,"step":${i},"text":"${'x'.repeat(60)}"}` })),
  });

  await pause(500);
  const rssIdle = process.memoryUsage.rss();
  const child = fork(import.meta.filename, ['--port', String((app.server.address() as AddressInfo).port), '--readers', String(readers)]);
  await once(child, 'message');
  await pause(500);
  const rssOpen = process.memoryUsage.rss();

  const tick = 10;
  const cpu = process.cpuUsage();
  const start = performance.now();
  let written = 0;
  let peak = rssOpen;
  while (performance.now() - start < seconds * 1_000) {
    const due = Math.floor(((performance.now() - start) / 1_000) * rate) - written;
    if (due > 0) { await note(due); written += due; }
    peak = Math.max(peak, process.memoryUsage.rss());
    await pause(tick);
  }
  const elapsed = (performance.now() - start) / 1_000;
  const used = process.cpuUsage(cpu);
  await pause(1_000);
  child.send('report');
  const [got] = (await once(child, 'message')) as [{ events: number; bytes: number }];
  const kib = (bytes: number): string => (bytes / readers / 1_024).toFixed(1);
  console.log(`readers ${readers}, events/s written ${(written / elapsed).toFixed(0)}, delivered/s ${(got.events / elapsed).toFixed(0)}`);
  console.log(`delivered ratio ${(got.events / (written * readers)).toFixed(4)}, cores ${((used.user + used.system) / 1e6 / elapsed).toFixed(2)}, `
    + `KiB a client ${kib(rssOpen - rssIdle)} open, ${kib(peak - rssIdle)} at the peak`);
  child.kill();
  await app.close();
  await feed.stop();
  await store.close();
  rmSync(dir, { recursive: true, force: true });
}
