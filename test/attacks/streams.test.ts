// Cases 85 and 90 to 93: what streams are asked, what they carry, and who does not read them.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createEventSource } from 'eventsource-client';
import { openStream, parseBlock, type SseClient } from '../support/sse.ts';
import { rawExchange } from '../support/raw.ts';
import { answersIn, type Attack, attacks, bytesOf, expectProblem, expectUnharmed, type Facts, get, testAttacks } from './attack.ts';
import { makeFacts, settled, startTarget, submit, type Target } from './target.ts';

let target: Target;
let facts: Facts;
const cleanups: (() => unknown)[] = [];
beforeAll(async () => {
  target = await startTarget({ MUSTER_STREAMS: '25', MUSTER_STREAMS_PER_ADDRESS: '20' });
  facts = await makeFacts(target);
});
afterEach(async () => { for (const clean of cleanups.splice(0).reverse()) await clean(); });
afterAll(async () => expect(await target.stop()).toEqual([]));
const of = (id: string): string => `${target.url}/api/jobs/${id}/stream`;

const BAD = ['abc', '-1', '+1', '1e3', '0x10', '9'.repeat(400), '01', '1.5', '1 2', '9007199254740992', '1, 2', '%00', "1' OR '1'='1", '1; DROP TABLE event', '١٢', '\u00b2', '[1]', 'null', 'NaN', 'Infinity', '*'];
const ascii = (text: string): string => Buffer.from(text).toString('latin1'); // as a client would put UTF-8 into a header
const CURSORS: readonly Attack[] = attacks(90, BAD.flatMap((cursor) => [
  [`Last-Event-ID: ${cursor.slice(0, 30)} of a job`, ({ ended }: Facts) => get(`/api/jobs/${ended}/stream`, { 'Last-Event-ID': ascii(cursor) }), 400, /"parameter":"last-event-id"/] as const,
  [`Last-Event-ID: ${cursor.slice(0, 30)} of everything`, get('/api/stream', { 'Last-Event-ID': ascii(cursor) }), 400, /"parameter":"last-event-id"/] as const,
  [`after=${cursor.slice(0, 30)} of a job`, ({ ended }: Facts) => get(`/api/jobs/${ended}/stream?after=${encodeURIComponent(cursor)}`), 400, /"parameter":"after"/] as const,
  [`after=${cursor.slice(0, 30)} of everything`, get(`/api/stream?after=${encodeURIComponent(cursor)}`), 400, /"parameter":"after"/] as const,
  [`after=${cursor.slice(0, 30)} of a page of events`, ({ ended }: Facts) => get(`/api/jobs/${ended}/events?after=${encodeURIComponent(cursor)}`), cursor === '01' ? 200 : 400, cursor === '01' ? /nextCursor/ : /after/, cursor === '01' ? { why: 'a page of events takes leading zeros; it leads nowhere else' } : {}] as const,
]));
testAttacks(CURSORS, () => target, () => facts);

test('case 90: a cursor newer than the log is told so by one reset, and gets what there is', async () => {
  const before = target.state();
  const client = await openStream(of(facts.open), { lastEventId: Number.MAX_SAFE_INTEGER });
  cleanups.push(() => client.cut());
  await client.until((event) => event.data?.type === 'job:status');
  expect(client.events.slice(0, 2).map(({ event, id }) => [event, id])).toEqual([[null, null], ['reset', null]]);
  await expectUnharmed(target, before);
});

describe('what a job says', () => {
  const INJECTIONS = ['\n\nevent: admin\ndata: {"role":"admin"}\n\n', '\r\n\r\ndata: x\r\n\r\n', '\rdata: x\r\r', 'id: 999999\nretry: 1\n', ': comment\n\n', '\u2028event: admin\u2029', '\u0085data: x', '\ufeffdata: x', 'data: [DONE]\n\n', '</script><script>alert(1)</script>', '\u001b[2J\u001b]52;c;x\u0007'];

  test.each(INJECTIONS.map((text) => [JSON.stringify(text), text] as const))('case 85: %s is one event in a stream, and in its replay', async (_shown, text) => {
    const { id } = await submit(target, { type: 'noop', maxAttempts: 1, tags: [`x${text}`.slice(0, 128)], input: { fail: `no ${text}`, result: { [text]: text } } }, { prefer: 'wait=30' });
    const raw = Buffer.from(await rawExchange(target.url, bytesOf(get(`/api/jobs/${id}/stream`))), 'latin1').toString('utf8');
    // As Python's splitlines sees it, by which its clients read: CR, LF, VT, FF, FS, GS, RS, NEL, LS, PS.
    // oxlint-disable-next-line no-control-regex
    const lines = raw.slice(raw.indexOf('\r\n\r\n') + 4).split(/[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]/).filter((line) => line !== '' && !/^[0-9a-f]+$/.test(line)); // without the sizes of chunks
    expect(lines.filter((line) => !/^(?:retry: 2000|id: \d+|data: \{"type":.*\})$/.test(line))).toEqual([]);
    const client = await openStream(of(id)); // refuses whatever is no line of ours
    await client.ended;
    const last = client.events.at(-1);
    expect(last?.data).toMatchObject({ type: 'job:error', jobId: id, data: { error: { message: `no ${text}` }, input: { result: { [text]: text } } } });
    expect(client.events.every(({ event, retry }, i) => event === null && (retry === null || i === 0))).toBe(true);
    expect(client.ids()).toEqual([...client.ids()].sort((a, b) => a - b));
    // And to a client of the kind that people use.
    const seen: { event: string | undefined; data: string }[] = [];
    await new Promise<void>((resolve) => {
      const source = createEventSource({ url: of(id), onMessage: ({ event, data }) => { seen.push({ event, data }); }, onDisconnect: () => { source.close(); resolve(); } });
    });
    expect(seen.map(({ event }) => event)).toEqual(client.events.map(() => undefined));
    expect(JSON.parse(seen.at(-1)?.data ?? '').data.error.message).toBe(`no ${text}`);
  });

  test.each([
    ['NUL', '{"data":"a\\u0000b"}'], ['half a surrogate pair', '{"data":"a\\ud800"}'], ['line breaks between its tokens', '{\n\r\n"data":\r["x\\n\\nevent: admin\\ndata: y"]\n\n}'],
    ['a frame of its own', 'id: 1\nevent: admin\ndata: {}\n\n'], ['a prototype key', '{"data":{"__proto__":{"polluted":1}}}'],
  ])('case 85: an answer with %s does not break the stream', async (_what, answer) => {
    const participant = createServer((_request, response) => response.writeHead(200, { 'content-type': answer.startsWith('id') ? 'text/event-stream' : 'application/json' }).end(answer));
    await new Promise<void>((resolve) => { participant.listen(0, '127.0.0.1', resolve); });
    cleanups.push(() => participant.close());
    const { id } = await submit(target, { type: 'request', maxAttempts: 1, input: { url: `http://127.0.0.1:${(participant.address() as AddressInfo).port}/` } }, { prefer: 'wait=30' });
    const client = await openStream(of(id));
    await client.ended;
    expect(client.events.at(-1)?.data?.type).toMatch(/^job:(complete|error)$/);
    expect(client.events.filter(({ event }) => event !== null)).toEqual([]);
    const [job] = answersIn(await rawExchange(target.url, bytesOf(get(`/api/jobs/${id}`))));
    expect(job?.status).toBe(200);
    await settled(target);
  });

  test('the reader of these tests would not take a second field', () => {
    expect(() => parseBlock('id: 1\ndata: {}\nevent: admin\ndata: {}')).toThrow('not a line');
    expect(() => parseBlock('data: {}\rdata: {}')).toThrow();
  });
});

test('case 91: of 60 streams 20 are served to one address and 25 to all, the others are told when to come back, and everything else still answers', async () => {
  const before = target.state();
  const clients: SseClient[] = [];
  for (let i = 0; i < 20; i++) clients.push(await openStream(i % 2 === 0 ? `${target.url}/api/stream` : of(facts.open)));
  cleanups.push(() => { for (const client of clients) client.cut(); });
  expect(clients.map(({ status }) => status)).toEqual(clients.map(() => 200));
  for (let i = 0; i < 40; i++) {
    const [refused] = answersIn(await rawExchange(target.url, bytesOf(get(i % 2 === 0 ? '/api/stream' : `/api/jobs/${facts.open}/stream`, { 'X-Forwarded-For': `192.0.2.${i}` }))));
    expect([refused?.status, JSON.parse(refused?.body ?? '{}').code]).toEqual([429, 'too_many_streams']);
    expectProblem(refused!);
  }
  const others: SseClient[] = [];
  for (let i = 0; i < 6; i++) others.push(await openStream(`${target.url}/api/stream`, { from: '127.0.0.2' }));
  cleanups.push(() => { for (const client of others) client.cut(); });
  expect(others.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 503]);
  await expectUnharmed(target, before);
  for (const client of clients) client.cut();
  for (;;) { // as soon as the server has seen them go
    const again = await openStream(`${target.url}/api/stream`);
    again.cut();
    if (again.status === 200) break;
  }
});

describe('a job that is deleted', () => {
  test('case 93: is 404 to a first request, and 204 to a client that comes back, so that it stops', async () => {
    const { id } = await submit(target, { type: 'noop' }, { prefer: 'wait=30' });
    expect((await fetch(`${target.url}/api/jobs/${id}`, { method: 'DELETE' })).status).toBe(204);
    await settled(target);
    const before = target.state();
    const ask = async (path: string, headers: Record<string, string> = {}): Promise<number> => answersIn(await rawExchange(target.url, bytesOf(get(path, headers))))[0]?.status ?? 0;
    expect(await ask(`/api/jobs/${id}/stream`)).toBe(404);
    for (const cursor of ['0', '1', '999']) expect(await ask(`/api/jobs/${id}/stream`, { 'Last-Event-ID': cursor })).toBe(204);
    expect(await ask('/api/jobs/job_00000000000000000000000000/stream', { 'Last-Event-ID': '0' })).toBe(204);
    await expectUnharmed(target, before);
  });

  test('case 93: is not asked for for ever by a real client', async () => {
    const { id } = await submit(target, { type: 'noop' }, { prefer: 'wait=30' });
    await fetch(`${target.url}/api/jobs/${id}`, { method: 'DELETE' });
    let requests = 0;
    await new Promise<void>((resolve) => {
      const source = createEventSource({
        url: of(id), initialLastEventId: '1',
        fetch: async (url, init) => { requests++; const answer = await fetch(url, init as RequestInit); if (answer.status === 204) setTimeout(() => { source.close(); resolve(); }, 500); return answer; },
      });
    });
    expect(requests).toBe(1);
  });
});
