// What a stream says, from its first line to its end, seen by a client that takes every byte literally.
// Bad cursors, deleted jobs and too many streams stand in test/attacks.
import { request } from 'node:http';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { ask, openStream } from '../support/sse.ts';
import { claim, runningBatch, runningJob, startStreamServer, type StreamServer } from '../support/stream-server.ts';

vi.setConfig({ testTimeout: 30_000 }); // real processes and sockets on a machine that others use too
let server: StreamServer;
afterEach(() => server.close());
const of = (id: string): string => `${server.url}/api/jobs/${id}/stream`;
const child = { type: 'work', input: '{}', spec: {} } as const;

async function finishedJob(): Promise<{ id: string; last: number }> {
  const job = await runningJob(server.store);
  await job.done({ answer: 42 });
  return { id: job.id, last: (await server.store.job(job.id))?.finalSeq ?? 0 };
}

describe('a job\'s stream', () => {
  test('begins with retry and connected without an id, then tells the job from its first event to its last, and ends', async () => {
    server = await startStreamServer();
    const job = await runningJob(server.store);
    await job.say('one');
    const client = await openStream(of(job.id));
    expect(client.status).toBe(200);
    expect(client.headers).toMatchObject({ 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache, no-transform', 'x-accel-buffering': 'no' });
    await client.until((event) => event.data?.type === 'job:log');
    await job.say('two');
    await client.until((event) => event.data?.data?.lines?.[0] === 'two');
    await job.done({ answer: 42 });
    await client.ended;
    expect(client.events[0]?.raw).toBe('retry: 2000\ndata: {"type":"connected"}');
    expect(client.types()).toEqual(['job:status', 'job:status', 'job:log', 'job:log', 'job:complete']);
    expect(client.events.filter((event) => event.event !== null)).toEqual([]);
    const last = client.events.at(-1);
    expect(last?.data).toMatchObject({ type: 'job:complete', jobId: job.id, data: { jobId: job.id, state: 'COMPLETE', result: { answer: 42 } } });
    expect(last?.id).toBe((await server.store.job(job.id))?.finalSeq);
    expect(server.ends).toEqual(['ended']);
  });

  test('of a tree tells of every job in it, and ends with the root\'s last event', async () => {
    server = await startStreamServer();
    const tree = await runningBatch(server.store, [child, child]);
    await runningJob(server.store); // another tree's
    const client = await openStream(of(tree.id));
    for (const job of tree.children) await job.done();
    await client.ended;
    expect(new Set(client.events.flatMap((event) => event.data?.jobId ?? []))).toEqual(new Set([tree.id, ...tree.children.map((job) => job.id)]));
    expect(client.events.at(-1)?.data).toMatchObject({ type: 'job:complete', jobId: tree.id });
  });

  test('of an inner job tells of what is below it and of nothing beside it, live as in replay', async () => {
    server = await startStreamServer();
    const tree = await runningBatch(server.store, [{ type: 'batch', input: '{}', spec: {}, children: [child, child] }, child]);
    const inner = (await server.store.children(tree.id, null, null, 1)).items[0]?.job.id ?? '';
    const below = (await server.store.children(inner, null, null, 10)).items.map(({ job }) => job.id);
    const live = await openStream(of(inner));
    await live.until((event) => event.data?.jobId === below[1] && event.data?.data.status === 'running');
    for (const job of tree.children) await job.say(job.id);
    for (const job of tree.children) await job.done();
    await live.ended;
    expect(new Set(live.events.flatMap((event) => event.data?.jobId ?? []))).toEqual(new Set([inner, ...below]));
    expect(live.types().filter((type) => type === 'job:log')).toHaveLength(2);
    expect(live.events.at(-1)?.data?.jobId).toBe(inner);
    const replay = await openStream(of(inner));
    await replay.ended;
    expect(replay.events.map((event) => event.raw)).toEqual(live.events.map((event) => event.raw));
  });

  test('goes on after a first end if the job was retried, and ends at the last', async () => {
    server = await startStreamServer();
    const first = await runningJob(server.store);
    await first.fail();
    await server.store.execute({ kind: 'retry', jobId: first.id });
    const client = await openStream(of(first.id));
    await client.until((event) => event.data?.data?.reason === 'retry');
    const [again] = await claim(server.store);
    await again?.done();
    await client.ended;
    expect(client.types()).toEqual(['job:status', 'job:status', 'job:error', 'job:status', 'job:status', 'job:complete']);
    const replay = await openStream(of(first.id));
    await replay.ended;
    expect(replay.ids()).toEqual(client.ids());
  });

  test('leaves out what a child that was let go does after the job has ended', async () => {
    server = await startStreamServer();
    const tree = await runningBatch(server.store, [child], { onParentCancel: 'abandon' });
    await server.store.execute({ kind: 'cancel', jobId: tree.id });
    await tree.children[0]?.say('still here');
    await tree.children[0]?.done();
    const client = await openStream(of(tree.id));
    await client.ended;
    expect(client.events.at(-1)?.data).toMatchObject({ type: 'job:error', jobId: tree.id });
    expect((await ask(of(tree.id), { 'last-event-id': String(client.ids().at(-1)) })).status).toBe(204);
  });

  test('answers HEAD with its headers and no stream', async () => {
    server = await startStreamServer();
    const job = await runningJob(server.store);
    const client = await openStream(of(job.id), { method: 'HEAD' });
    await client.ended;
    expect([client.status, client.headers['content-type'], server.streams.open]).toEqual([200, 'text/event-stream; charset=utf-8', 0]);
  });
});

describe('a cursor', () => {
  test('at or past the end of a finished job is answered 204, before it with the rest', async () => {
    server = await startStreamServer();
    const { id, last } = await finishedJob();
    for (const past of [last, last + 1, 9_007_199_254_740_991]) {
      expect((await ask(of(id), { 'last-event-id': String(past) })).status).toBe(204);
      expect((await ask(`${of(id)}?after=${past}`)).status).toBe(204);
    }
    const client = await openStream(of(id), { lastEventId: last - 1 });
    await client.ended;
    expect(client.ids()).toEqual([last]);
  });

  test('in the header wins over the one in the query', async () => {
    server = await startStreamServer();
    const { id, last } = await finishedJob();
    const client = await openStream(`${of(id)}?after=${last}`, { lastEventId: last - 1 });
    await client.ended;
    expect(client.ids()).toEqual([last]);
    expect((await ask(`${of(id)}?after=0`, { 'last-event-id': String(last) })).status).toBe(204);
  });

  test('newer than the log gets one reset event and everything that is kept', async () => {
    server = await startStreamServer();
    const job = await runningJob(server.store);
    for (const path of [of(job.id), `${server.url}/api/stream`]) {
      const client = await openStream(path, { lastEventId: 1_000_000 });
      await client.until((event) => event.data?.data?.status === 'running');
      expect(client.events.slice(0, 2).map((event) => [event.event, event.id])).toEqual([[null, null], ['reset', null]]);
      expect(client.events[1]?.data).toEqual({ type: 'reset', data: { reason: 'unknown', cursor: '0' } });
      expect(client.types()).toEqual(['job:status', 'job:status']);
      client.cut();
    }
  });

  test('older than what is kept gets one reset event, then what is kept; without a cursor there is nothing to reset', async () => {
    // The store drops nothing yet; its floor is the one thing made up here.
    server = await startStreamServer({ store: (store) => ({ ...store, floorSeq: () => Promise.resolve(2) }) });
    const job = await runningJob(server.store);
    await job.say('kept');
    const client = await openStream(`${of(job.id)}?after=1`);
    await client.until((event) => event.data?.type === 'job:log');
    expect(client.events.map((event) => event.event ?? event.data?.type)).toEqual(['connected', 'reset', 'job:log']);
    expect(client.events[1]?.data).toEqual({ type: 'reset', data: { reason: 'expired', cursor: '2' } });
    const fresh = await openStream(of(job.id));
    await fresh.until((event) => event.data?.type === 'job:log');
    expect(fresh.events.map((event) => event.event ?? event.data?.type)).toEqual(['connected', 'job:log']);
  });
});

describe('a job that is not there', () => {
  test('ends the stream of who was still reading it from the store when it was deleted', async () => {
    let remove = async (): Promise<void> => {};
    server = await startStreamServer({ store: (store) => ({ ...store, lastSeq: async () => { await remove(); return store.lastSeq(); } }) });
    const { id } = await finishedJob();
    // Deleted after the route has found the job and before anything of it is read.
    remove = async () => { remove = async () => {}; await server.store.execute({ kind: 'remove', jobId: id }); };
    const client = await openStream(of(id));
    await client.ended;
    expect(client.types()).toEqual([]);
  });
});

describe('the stream of everything', () => {
  test('begins now, or after the cursor, and shows only the types asked for', async () => {
    server = await startStreamServer();
    await finishedJob();
    const now = await openStream(`${server.url}/api/stream`);
    const all = await openStream(`${server.url}/api/stream?after=0`);
    const ends = await openStream(`${server.url}/api/stream?after=0&type=job:complete,job:error`);
    const job = await runningJob(server.store);
    await job.fail();
    for (const client of [now, all, ends]) await client.until((event) => event.data?.jobId === job.id && event.data.type === 'job:error');
    expect(now.types()).toEqual(['job:status', 'job:status', 'job:error']);
    expect(all.ids()).toEqual([1, 2, 3, 4, 5, 6]);
    expect(ends.types()).toEqual(['job:complete', 'job:error']);
    expect((await ask(`${server.url}/api/stream?type=job:complete,nothing`)).status).toBe(400);
    expect((await ask(`${server.url}/api/stream?colour=red`)).status).toBe(400);
  });

  test('carries a comment when nothing happens', async () => {
    server = await startStreamServer({ limits: { heartbeat: 5 } });
    const client = await openStream(`${server.url}/api/stream`);
    await client.untilComment();
    await client.untilComment();
    expect(client.ids()).toEqual([]);
  });
});

describe('many streams', () => {
  test('beyond the limit are refused when they come at once, and not held for who has left before it began', async () => {
    let release = (): void => {};
    let held: Promise<void> | null = null;
    const hold = (): void => { held = new Promise((resolve) => { release = () => { held = null; resolve(); }; }); };
    server = await startStreamServer({ limits: { streams: 1 }, store: (store) => ({ ...store, job: async (id) => { await held; return store.job(id); } }) });
    const job = await runningJob(server.store);
    hold();
    const early = request(of(job.id)).on('error', () => {}).end();
    await server.until('it is asked', () => server.requests.length === 1);
    early.destroy();
    await server.until('it is known to have left', () => server.requests[0]?.status !== 0);
    release();
    hold();
    const both = [openStream(of(job.id)), openStream(of(job.id))];
    await server.until('both are asked', () => server.requests.length === 3);
    expect([server.streams.open, server.feed.load.followers]).toEqual([0, 0]);
    release();
    expect((await Promise.all(both)).map(({ status }) => status).sort()).toEqual([200, 503]);
  });

  test('leave nothing behind when their clients go, asleep, reading or at once', async () => {
    server = await startStreamServer();
    const job = await runningJob(server.store);
    await job.sayAll(Array.from({ length: 500 }, (_, i) => `line ${i}`));
    for (let round = 0; round < 5; round++) {
      const clients = await Promise.all(Array.from({ length: 20 }, (_, i) => openStream(i % 2 === 0 ? of(job.id) : `${server.url}/api/stream?after=0`)));
      if (round % 2 === 0) await Promise.all(clients.map((client) => client.until((event) => event.data?.data?.lines?.[0] === 'line 499')));
      for (const client of clients) client.cut();
      await server.until('all are gone', () => server.streams.open === 0);
      expect(server.feed.load).toEqual({ followers: 0, events: 0, bytes: 0 });
    }
    expect(server.ends).toEqual(Array.from({ length: 100 }, () => 'left'));
  });

  test('are said goodbye to when the server stops, and a request that is under way is answered', async () => {
    let release = (): void => {};
    const held = new Promise<void>((resolve) => { release = resolve; });
    let asked = (): void => {};
    const arrived = new Promise<void>((resolve) => { asked = resolve; });
    server = await startStreamServer({ store: (store) => ({ ...store, job: async (id) => { if (id.endsWith('z')) { asked(); await held; } return store.job(id); } }) });
    const clients = await Promise.all([1, 2, 3].map(() => openStream(`${server.url}/api/stream`)));
    const underWay = ask(of('job_0000000000000000000000000z'));
    await arrived;
    const closed = server.close();
    await Promise.all(clients.map((client) => client.ended));
    for (const client of clients) expect(client.events.at(-1)).toMatchObject({ retry: 2_000, data: null, id: null });
    release();
    expect((await underWay).status).toBe(404);
    await closed;
    expect(server.ends).toEqual(['stopping', 'stopping', 'stopping']);
  });
});
