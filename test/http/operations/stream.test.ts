// The stream of an operation: a message for each line, ids that lead back into the middle of an event, an end that is one.
import { EventSource } from 'eventsource';
import fc from 'fast-check';
import { request } from 'node:http';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { framesAfter, framesOf } from '../../../src/http/sse.ts';
import { type OperationsBench, operationsBench } from '../../support/operations.ts';

vi.setConfig({ testTimeout: 30_000 });
let bench: OperationsBench;
let url = '';
beforeEach(async () => { bench = await operationsBench(); url = await bench.listen(); });
afterEach(() => bench.close());

interface Message { readonly id: string; readonly data: any }
interface Reader {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly messages: Message[];
  until(count: number): Promise<void>;
  readonly ended: Promise<void>;
  cut(): void;
}

function read(id: string, lastEventId?: string): Promise<Reader> {
  return new Promise((resolve, reject) => {
    const outgoing = request(`${url}/api/v1/operations/${id}/stream`, { agent: false, headers: lastEventId === undefined ? {} : { 'last-event-id': lastEventId } }, (answer) => {
      const messages: Message[] = [];
      let rest = '';
      const checks = new Set<() => void>();
      answer.setEncoding('utf8');
      answer.on('error', () => {});
      answer.on('data', (text: string) => {
        rest += text;
        for (let at = rest.indexOf('\n\n'); at >= 0; at = rest.indexOf('\n\n')) {
          const match = /^id: (\S+)\ndata: (.*)$/.exec(rest.slice(0, at));
          if (match !== null) messages.push({ id: match[1] ?? '', data: JSON.parse(match[2] ?? '') });
          rest = rest.slice(at + 2);
        }
        for (const check of checks) check();
      });
      resolve({
        status: answer.statusCode ?? 0, headers: answer.headers, messages, cut: () => { answer.destroy(); outgoing.destroy(); },
        ended: new Promise((done) => { answer.on('close', () => done()); }),
        until: (count) => new Promise((done) => { const check = (): void => { if (messages.length >= count) { checks.delete(check); done(); } }; checks.add(check); check(); }),
      });
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}
const words = (messages: readonly Message[]): string[] => messages.map(({ data }) => (data.type === 'log' ? `log ${data.content}` : `${data.type} ${data.status}`));

async function running(): Promise<{ id: string; print(...lines: string[]): Promise<void>; done(): Promise<void> }> {
  const id = await bench.start((await bench.grant()).id);
  const claim = await bench.run(id);
  return { id, print: (...lines) => bench.print(claim, ...lines), done: () => bench.end(claim, { kind: 'done', result: '{"summary":"Did it"}' }) };
}

describe('a stream', () => {
  test('replays what is stored, goes on live, ends with the result, and closes', async () => {
    const job = await running();
    await job.print('one', 'two');
    const reader = await read(job.id);
    expect([reader.status, reader.headers['content-type'], reader.headers['access-control-allow-origin']]).toEqual([200, 'text/event-stream; charset=utf-8', '*']);
    await reader.until(4);
    await job.print('three \u2028 \ud83d\ude42 data: x\n\nid: 9');
    await reader.until(5);
    await job.done();
    await reader.ended;
    expect(words(reader.messages)).toEqual(['status starting', 'status processing', 'log one', 'log two', 'log three \u2028 \ud83d\ude42 data: x\n\nid: 9', 'complete succeeded']);
    expect(reader.messages.at(-1)?.data).toEqual({ type: 'complete', status: 'succeeded', result: { status: 'succeeded', summary: 'Did it', result: {}, artifacts: [] }, error: null });
    expect(new Set(reader.messages.map(({ id }) => id)).size).toBe(6);
  });

  test('comes back at every id, in the middle of an event too, without loss or repeat, and is then told to stop', async () => {
    const job = await running();
    await job.print(...Array.from({ length: 10 }, (_, i) => `a${i}`));
    await job.print('b');
    await job.print(...Array.from({ length: 3 }, (_, i) => `c${i}`));
    await job.done();
    const whole = await read(job.id);
    await whole.ended;
    expect(whole.messages).toHaveLength(2 + 10 + 1 + 3 + 1);
    for (const [i, { id }] of whole.messages.entries()) {
      const back = await read(job.id, id);
      await back.ended;
      expect([id, back.status, words(back.messages)]).toEqual([id, i === whole.messages.length - 1 ? 204 : 200, words(whole.messages.slice(i + 1))]);
      expect(back.messages.map((one) => one.id)).toEqual(whole.messages.slice(i + 1).map((one) => one.id));
    }
  });

  test('cut anywhere while it is written loses nothing and repeats nothing', async () => {
    const job = await running();
    const got: Message[] = [];
    const sizes = [1, 10, 3, 7, 2, 10, 10, 1, 5];
    for (const [i, size] of sizes.entries()) {
      await job.print(...Array.from({ length: size }, (_, n) => `${i}.${n}`));
      const reader = await read(job.id, got.at(-1)?.id);
      await reader.until(Math.max(1, size - (i % 3)));
      reader.cut();
      got.push(...reader.messages.slice(0, Math.max(1, size - (i % 3)))); // what came after the cut was not seen
    }
    await job.done();
    const last = await read(job.id, got.at(-1)?.id);
    await last.ended;
    const lines = [...got, ...last.messages].flatMap(({ data }) => (data.type === 'log' ? [data.content] : []));
    expect(lines).toEqual(sizes.flatMap((size, i) => Array.from({ length: size }, (_, n) => `${i}.${n}`)));
  });

  test.each(['x', '-1', '1.', '1.0', '.1', '1.1.1', '01', '1e3', '9'.repeat(30), '1.99999999'])('refuses the cursor %j in its own words', async (cursor) => {
    const job = await running();
    const answer = await bench.inject({ method: 'GET', url: `/api/v1/operations/${job.id}/stream`, headers: { 'last-event-id': cursor } });
    expect([answer.statusCode, answer.json().detail.error_code]).toEqual([400, 'VALIDATION_ERROR_LAST_EVENT_ID']);
  });

  test('takes a cursor into an event of another job, or past the end of one, for the whole of it', async () => {
    const other = await running();
    await other.print('x1', 'x2', 'x3');
    const seq = await bench.seq();
    const job = await running();
    await job.print('one', 'two');
    await job.done();
    const foreign = await read(job.id, `${seq}.1`);
    await foreign.ended;
    expect(words(foreign.messages)).toEqual(['status starting', 'status processing', 'log one', 'log two', 'complete succeeded']);
    const end = (await bench.store.job(job.id))?.finalSeq ?? 0;
    const past = await read(job.id, `${end - 1}.50`);
    await past.ended;
    expect(words(past.messages)).toEqual(['complete succeeded']);
  });

  test('is read to its end by an EventSource, which then stops', async () => {
    const job = await running();
    await job.print('one', 'two');
    const seen: string[] = [];
    let connections = 0;
    const source = new EventSource(`${url}/api/v1/operations/${job.id}/stream`);
    source.onopen = () => { connections += 1; };
    const complete = new Promise<void>((resolve) => {
      source.onmessage = ({ data, lastEventId }) => {
        const message = JSON.parse(data);
        seen.push(`${message.type} ${message.content ?? message.status}`);
        expect(lastEventId).toMatch(/^\d+(\.\d+)?$/);
        if (message.type === 'complete') resolve();
      };
    });
    await job.done();
    await complete;
    source.close();
    expect([seen, connections]).toEqual([['status starting', 'status processing', 'log one', 'log two', 'complete succeeded'], 1]);
  });

  test('of an operation that was retried shows its first end as a status, for it was none', async () => {
    const job = await running();
    await bench.inject({ method: 'POST', url: `/api/jobs/${job.id}/cancel` });
    await bench.inject({ method: 'POST', url: `/api/jobs/${job.id}/retry` });
    const claim = await bench.run(job.id);
    await bench.end(claim, { kind: 'done', result: null });
    const reader = await read(job.id);
    await reader.ended;
    expect(words(reader.messages)).toEqual(['status starting', 'status processing', 'status canceled', 'status starting', 'status processing', 'complete succeeded']);
  });
});

test('what is left of an event after n messages is its last ones, whatever they say', () => {
  fc.assert(fc.property(fc.array(fc.string({ unit: 'binary' }).map((text) => JSON.stringify(text)), { minLength: 1, maxLength: 20 }), fc.nat(25), fc.nat(1e9), (list, count, seq) => {
    const frames = framesOf(seq, list);
    const rest = Buffer.from(framesAfter(frames, count)).toString();
    const all = frames.toString().split(/(?<=\n\n)/);
    expect(all).toHaveLength(list.length);
    expect(rest).toBe(all.slice(count).join(''));
    expect(all.map((one) => /^id: (\S+)\n/.exec(one)?.[1])).toEqual(list.map((_one, i) => (i === list.length - 1 ? `${seq}` : `${seq}.${i + 1}`)));
  }));
});
