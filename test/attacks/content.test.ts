// What is asked for, and bodies that are too much, against the server that users run; and what its source may not do.
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { answersIn, assault, bytesOf, expectProblem, expectUnharmed, type Facts, post, testAttacks } from './attack.ts';
import { CONTENT, SQL } from './content.ts';
import { regexesIn, regexesOfSource, sticking } from './regexes.ts';
import { makeFacts, startTarget, submit, type Target } from './target.ts';

let target: Target;
let facts: Facts;
beforeAll(async () => {
  target = await startTarget();
  facts = await makeFacts(target);
});
afterAll(async () => expect(await target.stop()).toEqual([]));
const list = async (query: Record<string, string>): Promise<{ id: string }[]> => {
  const answer = await fetch(`${target.url}/api/jobs?${new URLSearchParams(query).toString()}`);
  expect(answer.status).toBe(200);
  return (await answer.json() as { jobs: { id: string }[] }).jobs;
};

testAttacks(CONTENT, () => target, () => facts);

describe('text is text', () => {
  test.each(SQL)('case 104: %s is kept, found by itself alone, and does nothing', async (text) => {
    const { id } = await submit(target, { type: 'noop', hold: true, tags: [text], input: { result: `<${text}>` } }, { 'idempotency-key': `key-${text.replace(/[^\x21-\x7e]/g, '.')}` });
    const other = await submit(target, { type: 'noop', hold: true, tags: ['plain'], input: { result: 'nothing of it' } });
    const before = target.state();
    expect((await list({ tag: text })).map((job) => job.id)).toEqual([id]);
    const inInput = JSON.stringify(`<${text}>`).slice(1, -1); // the search is in the JSON as it was sent
    expect((await list({ text: inInput })).map((job) => job.id)).toEqual([id]);
    expect(await list({ type: text })).toEqual([]);
    expect((await list({ tag: 'plain' })).map((job) => job.id)).toContain(other.id);
    expect(target.state()).toEqual(before);
  });

  test.each([['%', ['100%']], ['a_', ['a_b']], ['_ ', []], ['0%', ['100%']], ['a_b', ['a_b']], ['(a+)+$', []], ['a.b', []], ['[ab]', []], ['a*', []]] as const)('case 100: a search for %s finds what has it, and no pattern', async (text, found) => {
    const tag = `wild ${text}`;
    for (const result of ['100%', 'a_b', 'aXb', 'plain']) await submit(target, { type: 'noop', hold: true, tags: [tag], input: { result } });
    const jobs = await list({ tag, text }) as unknown as { input: { result: string } }[];
    expect(jobs.map(({ input }) => input.result)).toEqual(found);
  });
});

describe('too much', () => {
  /** Sends a piece again and again until the server has had enough; what it said, and how much was sent. */
  const pour = (head: string, first: string, piece: string): Promise<{ said: string; sent: number }> => new Promise((resolve) => {
    const socket = connect(target.port, '127.0.0.1').setEncoding('latin1');
    let said = '';
    let over = false;
    const chunk = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
    const piece1 = chunk(piece);
    socket.on('data', (part: string) => { said += part; }).on('error', () => {}).on('close', () => { over = true; resolve({ said, sent: socket.bytesWritten }); });
    socket.write(`${head}Transfer-Encoding: chunked\r\n\r\n${chunk(first)}`);
    const more = (): void => {
      for (let i = 0; i < 10_000; i++) {
        if (over) return;
        if (!socket.write(piece1)) { socket.once('drain', more); return; }
      }
    };
    more();
  });
  const CHILD = `{"type":"noop","input":{"result":"${'x'.repeat(1_048_576)}"}},`;
  const HEAD = (path: string, type: string): string => `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: ${type}\r\n`;

  test.each([
    ['children', '/api/jobs', 'application/json', '{"type":"batch","children":[', CHILD],
    ['jobs', '/api/jobs/bulk', 'application/json', '{"jobs":[', CHILD],
    ['lines', '/api/jobs/bulk', 'application/x-ndjson', '{"type":"noop"}\n', `${CHILD.slice(0, -1)}\n`],
  ])('case 103: 10,000 %s of 1 MB are refused before they have come', async (_what, path, type, first, piece) => {
    const before = target.state();
    const rss = target.rss();
    const { said, sent } = await pour(HEAD(path, type), first, piece);
    const [answer] = answersIn(said);
    expect(answer?.status).toBe(413);
    expectProblem(answer!);
    expect(answer?.headers.connection).toBe('close');
    expect(sent).toBeLessThan(100_000_000); // of ten thousand million: the limit, what is read after it so that the answer arrives, and what sockets hold
    expect(target.rss() - rss).toBeLessThan(250);
    await expectUnharmed(target, before);
  });

  test('case 100: a bulk of names that are nothing but dots does not hold the server up', async () => {
    const jobs = Array.from({ length: 5_000 }, (_, i) => ({ type: 'request', hold: true, input: { url: `http://a${'.'.repeat(1_900)}x/` }, ...(i === 4_999 ? { callback: 'file:///' } : {}) }));
    const [answer] = await assault(target, bytesOf(post({ jobs }, '/api/jobs/bulk')));
    expect(answer?.status).toBe(422);
  });
});

describe('case 100: the regular expressions of the source', () => {
  /** From the operator's environment alone. */
  const OPERATOR = ['config.ts \\/+$', 'handlers/inputs.ts \\/+$'];
  const name = ({ where, source }: { where: string; source: string }): string => `${where} ${source}`;
  /** ms for one text of 200,000 characters: linear takes one. */
  const PATIENCE = 5_000;

  test('take linear time, whatever they are given', async () => {
    const all = regexesOfSource();
    expect(all.length).toBeGreaterThan(40);
    expect(OPERATOR.filter((one) => !all.some((found) => name(found) === one))).toEqual([]);
    expect((await sticking(all.filter((found) => !OPERATOR.includes(name(found))), PATIENCE)).map(name)).toEqual([]);
  });

  test('would be caught if they did not', async () => {
    const bad = regexesIn('x.ts', "const a = /^(a+)+$/; if (/\\s+$/.test(b)) return /(x|x)*y/i.exec(c);\ntext.replace(/[a-z]+[0-9a-z]*!/g, '');");
    expect(bad.map(({ source }) => source)).toEqual(['^(a+)+$', '\\s+$', '(x|x)*y', '[a-z]+[0-9a-z]*!']);
    expect((await sticking(bad, 1_000)).map(({ source }) => source)).toEqual(bad.map(({ source }) => source));
  });
});
