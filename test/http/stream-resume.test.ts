// Cut and come back: whoever reconnects with the last id it has seen misses nothing and gets nothing twice.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { openStream, parseBlock, type SseClient } from '../support/sse.ts';
import { runningJob, startStreamServer, type StreamServer } from '../support/stream-server.ts';

vi.setConfig({ testTimeout: 30_000 }); // real processes and sockets on a machine that others use too
let server: StreamServer;
const children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) child.kill();
  await server.close();
});

/** `curl -N` as a person would type it; resolves with what it printed when it stops by itself. */
function curl(url: string, ...more: string[]): { text: Promise<string>; seen(part: string): Promise<void> } {
  const child = spawn('curl', ['-sN', ...more, url], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  let text = '';
  child.stdout.setEncoding('utf8');
  const checks = new Set<() => void>();
  child.stdout.on('data', (part: string) => { text += part; for (const check of checks) check(); });
  return {
    text: once(child, 'close').then(() => text),
    seen: (part) => new Promise((resolve) => { const check = (): void => { if (text.includes(part)) resolve(); }; checks.add(check); check(); }),
  };
}

const durable = (text: string): string[] => text.split('\n\n').filter((block) => block.startsWith('id: '));
const numbers = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => `line ${from + i}`);

describe('clients of one job', () => {
  test('two curl -N that come at different times get the same bytes', async () => {
    server = await startStreamServer();
    const url = (id: string): string => `${server.url}/api/jobs/${id}/stream`;
    const job = await runningJob(server.store);
    const early = curl(url(job.id));
    await early.seen('connected');
    for (let i = 0; i < 50; i++) await job.say(`line ${i} \r\n\n data: x \u2028 \ufeff \0 🙂`);
    await early.seen('line 20');
    const late = curl(url(job.id));
    await job.sayAll(numbers(50, 300));
    await job.done({ ok: true });
    const [a, b] = [await early.text, await late.text];
    expect(durable(a)).toHaveLength(1 + 1 + 50 + 250 + 1);
    expect(durable(b)).toEqual(durable(a));
    const last = parseBlock(durable(a).at(-1) ?? '')?.id;
    expect(await curl(url(job.id), '-H', `Last-Event-ID: ${last}`, '-w', '%{http_code}').text).toBe('204');
  });

  test('fifty of them have the same list of ids', async () => {
    server = await startStreamServer();
    const job = await runningJob(server.store);
    const clients: SseClient[] = [];
    for (let i = 0; i < 50; i++) {
      clients.push(await openStream(`${server.url}/api/jobs/${job.id}/stream`));
      await job.say(`line ${i}`);
    }
    await job.done();
    await Promise.all(clients.map((client) => client.ended));
    expect(clients[0]?.ids()).toHaveLength(53);
    for (const client of clients) expect(client.ids()).toEqual(clients[0]?.ids());
  });
});

describe('a client cut at random moments', () => {
  /** Reads until it has `enough` more events, then cuts; again from the last id it has seen, until it is told to stop. */
  async function readInPieces(url: string, pieces: () => number): Promise<number[]> {
    const ids: number[] = [];
    for (;;) {
      const last = ids.at(-1);
      const client = await openStream(url, last === undefined ? {} : { lastEventId: last });
      if (client.status === 204) return ids;
      let left = pieces();
      const enough = client.until((event) => event.id !== null && left-- <= 0).catch(() => {});
      await Promise.race([enough, client.ended.catch(() => {})]);
      client.cut();
      ids.push(...client.ids());
    }
  }

  test.each([['all from the ring', 8_192], ['mostly from the store', 16]])('misses nothing and repeats nothing while events are written (%s)', async (_name, ringEvents) => {
    server = await startStreamServer({ ringEvents });
    const [random] = fc.sample(fc.infiniteStream(fc.integer({ min: 0, max: 120 })), { numRuns: 1, seed: 11 });
    const pieces = (): number => random?.next().value ?? 0;
    const [job, other] = [await runningJob(server.store), await runningJob(server.store)];
    const url = `${server.url}/api/jobs/${job.id}/stream`;
    const readers = Promise.all([1, 2, 3].map(() => readInPieces(url, pieces)));
    const writing = (async () => {
      for (let i = 0; i < 300; i++) {
        if (i % 3 === 0) await other.say('beside');
        await (i % 10 === 0 ? job.sayAll(numbers(i * 100, i * 100 + 40)) : job.say(`line ${i}`));
      }
      await job.done();
    })();
    await writing;
    const expected = (await server.store.events({ jobId: job.id }, 0, 10_000)).map(({ seq }) => seq);
    expect(expected).toHaveLength(2 + 30 * 40 + 270 + 1);
    for (const ids of await readers) expect(ids).toEqual(expected);
    const reconnects = server.requests.filter(({ lastEventId }) => lastEventId !== undefined);
    expect(reconnects.length).toBeGreaterThan(30);
  });
});
