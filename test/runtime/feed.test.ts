// The feed on its own: reads the log once for all, only while somebody follows, and never hands out a hole.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Batch, Feed, type Follower, type View } from '../../src/runtime/feed.ts';
import { memoryLog } from '../support/memory-log.ts';

type Log = ReturnType<typeof memoryLog>;

function feedOf(log: Log, options: { ringEvents?: number; ringBytes?: number } = {}): Feed {
  const feed = new Feed({ store: log.store, clock: log.clock, report: log.report, ...options });
  feed.start();
  return feed;
}
const everything = (log: Log): View => ({ watch: null, types: null, encode: log.encode });
const only = (log: Log, jobId: string): View => ({ watch: { jobId, rootId: jobId.split('/')[0] ?? jobId }, types: null, encode: log.encode });
const seqs = (batch: Batch): number[] => Buffer.from(batch.chunk).toString().split(';').filter(Boolean).map(Number);

/** Reads until it has that many events. */
async function take(follower: Follower, count: number): Promise<number[]> {
  const found: number[] = [];
  while (found.length < count) {
    const batch = await follower.next();
    found.push(...seqs(batch));
    if (batch.count === 0) await follower.wait();
  }
  return found;
}
/** As many turns of the event loop as the feed could want. */
const settle = async (): Promise<void> => { for (let i = 0; i < 20; i++) await new Promise((resolve) => { setImmediate(resolve); }); };

describe('the feed', () => {
  test('reads nothing while nobody follows, and forgets what it held when the last one goes', async () => {
    const log = memoryLog();
    const feed = feedOf(log);
    log.commit('a', 'a', 'a');
    await settle();
    expect(log.reads).toEqual({ all: 0, scoped: 0, lineage: 0 });
    const follower = feed.follow(everything(log), 3);
    const coming = take(follower, 1);
    await settle();
    log.commit('a');
    expect(await coming).toEqual([4]);
    expect(feed.load).toMatchObject({ followers: 1, events: 1 });
    follower.close();
    expect(feed.load).toEqual({ followers: 0, events: 0, bytes: 0 });
    const { all } = log.reads;
    log.commit('a');
    await settle();
    expect(log.reads.all).toBe(all);
  });

  test.each(['before', 'after'])('keeps nothing of a read that was under way when the last one went, %s the commit', async (when) => {
    const log = memoryLog();
    const feed = feedOf(log);
    const follower = feed.follow(everything(log), 0);
    await follower.next();
    if (when === 'before') follower.close();
    log.commit('a');
    if (when === 'after') follower.close();
    await settle();
    expect(feed.load).toEqual({ followers: 0, events: 0, bytes: 0 });
    const next = feed.follow(everything(log), 0);
    const coming = take(next, 2);
    await settle();
    log.commit('b');
    expect(await coming).toEqual([1, 2]);
  });

  test('reads once and encodes once for a thousand followers at the live edge', async () => {
    const log = memoryLog();
    const feed = feedOf(log);
    const followers = Array.from({ length: 1_000 }, () => feed.follow(everything(log), 0));
    const coming = Promise.all(followers.map((follower) => take(follower, 2)));
    await settle();
    const before = { ...log.reads };
    log.commit('a');
    log.commit('b'); // of the same turn
    const found = await coming;
    expect(found.every((list) => list.join() === '1,2')).toBe(true);
    expect([log.reads.all - before.all, log.reads.scoped, log.encoded]).toEqual([1, 0, [1, 2]]);
  });

  test('reads on by itself when more was committed at once than one page holds', async () => {
    const log = memoryLog();
    const feed = feedOf(log);
    const follower = feed.follow(everything(log), 0);
    const coming = take(follower, 1_000);
    await settle();
    log.commit(...Array.from({ length: 1_000 }, () => 'a'));
    expect(await coming).toEqual(Array.from({ length: 1_000 }, (_, i) => i + 1));
    expect(log.reads.all).toBeGreaterThan(3);
  });

  test('makes batches of at most 64 KiB, and of one event where that is more', async () => {
    const log = memoryLog();
    const feed = feedOf(log, { ringEvents: 10 });
    const view: View = { ...everything(log), encode: (event) => Buffer.from(`${' '.repeat(event.seq % 7 === 0 ? 100_000 : 20_000)}${event.seq};`) };
    log.commit(...Array.from({ length: 30 }, () => 'a'));
    const follower = feed.follow(view, 0);
    await follower.next();
    follower.close();
    const again = feed.follow(view, 0);
    const found: number[] = [];
    for (let written = 30; found.length < 40;) {
      const batch = await again.next();
      found.push(...seqs(batch));
      if (batch.count > 1) expect(batch.chunk.byteLength).toBeLessThanOrEqual(65_536);
      if (batch.count === 0) {
        if (written === 30) log.commit(...Array.from({ length: (written = 40) - 30 }, () => 'a')); // now from the ring
        await again.wait();
      }
    }
    expect(found).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
  });

  test('gives all of them the same bytes, and rests for as long as their writes are worth', async () => {
    const log = memoryLog();
    const feed = feedOf(log);
    const followers = Array.from({ length: 100 }, () => feed.follow(everything(log), 0));
    const batches = Promise.all(followers.map(async (follower) => { await follower.next(); await follower.wait(); return follower.next(); }));
    await settle();
    log.commit('a');
    expect(new Set((await batches).map(({ chunk }) => chunk.buffer)).size).toBe(1);
    const { all } = log.reads;
    const next = Promise.all(followers.map(async (follower) => { await follower.wait(); return follower.next(); }));
    log.commit('a');
    await settle();
    expect([log.reads.all - all, log.clock.timers]).toEqual([0, 1]);
    log.clock.advance(4); // 100 × 0.04 ms
    expect((await next).map(seqs)).toEqual(followers.map(() => [2]));
  });

  test('does not wake who follows another tree, and lets it skip what was not for it', async () => {
    const log = memoryLog();
    const feed = feedOf(log, { ringEvents: 4 });
    const quiet = feed.follow(only(log, 'q'), 0);
    await quiet.next();
    let awake = 0;
    const waiting = quiet.wait().then(() => { awake += 1; });
    for (let i = 0; i < 20; i++) { log.commit('a'); await settle(); }
    expect(awake).toBe(0);
    const { scoped } = log.reads;
    log.commit('q');
    await waiting;
    expect(seqs(await quiet.next())).toEqual([21]);
    expect(log.reads.scoped).toBe(scoped); // although its cursor was far behind the ring
  });

  test('shows an inner job what is below it, and asks for each job\'s ancestors once', async () => {
    const log = memoryLog();
    const feed = feedOf(log);
    const inner = feed.follow(only(log, 'a/b'), 0);
    const coming = take(inner, 4);
    await settle();
    log.commit('a', 'a/b', 'a/bb', 'a/b/c', 'z');
    await settle();
    log.commit('a/b/c', 'a/bb', 'a/b');
    expect(await coming).toEqual([2, 4, 6, 8]);
    expect(log.reads.lineage).toBeLessThanOrEqual(3);
  });

  test('stops a batch at an event that ends the watched job', async () => {
    const log = memoryLog();
    const feed = feedOf(log);
    log.commit('a!', 'a!', 'a!/x');
    for (const start of [0, 3]) { // from the store, from the ring
      const follower = feed.follow(only(log, 'a!'), start);
      if (start === 3) { await follower.next(); log.commit('a!', 'a!/x'); await follower.wait(); }
      const batch = await follower.next();
      expect([batch.ending, batch.count, batch.through]).toEqual([true, 1, start + 1]);
    }
  });

  test('keeps the ring within its bounds, and the newest event whatever its size', async () => {
    const log = memoryLog();
    const feed = feedOf(log, { ringBytes: 10_000 });
    const view: View = { ...everything(log), encode: (event) => Buffer.alloc(event.seq === 30 ? 50_000 : 2_000, `${event.seq};`) };
    const follower = feed.follow(view, 0);
    await follower.next();
    for (let i = 0; i < 29; i++) {
      log.commit('a');
      await follower.wait();
      await follower.next();
      expect(feed.load.bytes).toBeLessThanOrEqual(10_000);
    }
    log.commit('a');
    await follower.wait();
    expect((await follower.next()).chunk).toHaveLength(50_000);
    expect(feed.load.events).toBe(1);
  });

  test('lets sleepers go when it stops or they are closed', async () => {
    const log = memoryLog();
    const feed = feedOf(log);
    const [one, two] = [feed.follow(everything(log), 0), feed.follow(only(log, 'a'), 0)];
    await Promise.all([one.next(), two.next()]);
    const sleeping = [one.wait(), two.wait()];
    one.close();
    await sleeping[0];
    await feed.stop();
    await sleeping[1];
    expect([feed.load.followers, log.listeners.size, (await two.next()).count]).toEqual([0, 0, 0]);
  });

  test('survives a log that cannot be read for a while', async () => {
    const log = memoryLog();
    const feed = feedOf(log);
    const follower = feed.follow(everything(log), 0);
    const coming = take(follower, 2);
    await settle();
    log.fail(new Error('disk'));
    log.commit('a');
    await settle();
    expect(log.problems).toHaveLength(1);
    log.fail(null);
    log.commit('a');
    expect(await coming).toEqual([1, 2]);
  });

  test('tries an encoder again that failed, and does not keep the failure', async () => {
    const log = memoryLog();
    const feed = feedOf(log);
    let fails = true;
    const view: View = { ...everything(log), encode: async (event) => { if (fails) throw new Error('gone'); return log.encode(event); } };
    const follower = feed.follow(view, 0);
    await follower.next();
    log.commit('a');
    await follower.wait();
    await expect(follower.next()).rejects.toThrow('gone');
    fails = false;
    expect(seqs(await follower.next())).toEqual([1]);
  });
});

describe('followers that come, go and lag at any moment', () => {
  test('each get exactly the events of their view, in order, without a hole or a repeat', async () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ do: fc.constant('commit' as const), jobs: fc.array(fc.constantFrom('a', 'a/b', 'a/b/c', 'b', 'b/x'), { minLength: 1, maxLength: 8 }) }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('follow' as const), view: fc.constantFrom('', 'a', 'a/b', 'b', 'b/x'), from: fc.nat({ max: 100 }) }) },
      { weight: 3, arbitrary: fc.record({ do: fc.constant('read' as const), who: fc.nat() }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('leave' as const), who: fc.nat() }) },
      { weight: 3, arbitrary: fc.constant({ do: 'turn' as const }) },
    );
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 60, size: 'max' }), fc.integer({ min: 1, max: 12 }), async (steps, ringEvents) => {
      const log = memoryLog();
      const feed = feedOf(log, { ringEvents });
      const open: { view: string; from: number; got: number[]; follower: Follower }[] = [];
      const expected = (view: string, from: number): number[] =>
        log.events.filter(({ seq, jobId }) => seq > from && (view === '' || jobId === view || jobId.startsWith(`${view}/`))).map(({ seq }) => seq);
      for (const one of steps) {
        if (one.do === 'commit') log.commit(...one.jobs);
        else if (one.do === 'follow') {
          const from = Math.min(one.from, log.events.length);
          open.push({ view: one.view, from, got: [], follower: feed.follow(one.view === '' ? everything(log) : only(log, one.view), from) });
        } else if (one.do === 'turn') { await new Promise((resolve) => { setImmediate(resolve); }); log.clock.advance(1); }
        else {
          const who = open[one.who % Math.max(1, open.length)];
          if (who === undefined) continue;
          if (one.do === 'read') who.got.push(...seqs(await who.follower.next()));
          else {
            who.follower.close();
            open.splice(open.indexOf(who), 1);
            expect(expected(who.view, who.from).slice(0, who.got.length)).toEqual(who.got);
          }
        }
      }
      // Now all of them read as a stream does, to the end, sleeping where there is nothing.
      for (const { view, from, got, follower } of open) {
        const all = expected(view, from);
        got.push(...await take(follower, all.length - got.length));
        expect(got).toEqual(all);
        follower.close();
      }
      expect(feed.load).toEqual({ followers: 0, events: 0, bytes: 0 });
    }), { numRuns: 300 });
  });
});
