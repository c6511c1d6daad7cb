// Bodies, headers and request lines as no client would send them, to the server that users run.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseJson } from '../../src/http/json-body.ts';
import { Refusal } from '../../src/http/problem.ts';
import { answersIn, assault, bytesOf, expectUnharmed, type Facts, get, testAttacks, text } from './attack.ts';
import { GOOD_HOSTS, HTTP_ATTACKS, JSON_ATTACKS } from './http-json.ts';
import { rawExchange } from '../support/raw.ts';
import { makeFacts, startTarget, type Target } from './target.ts';

let target: Target;
let facts: Facts;
beforeAll(async () => {
  target = await startTarget();
  facts = await makeFacts(target);
});
afterAll(async () => expect(await target.stop()).toEqual([]));

testAttacks(JSON_ATTACKS, () => target, () => facts);
testAttacks(HTTP_ATTACKS, () => target, () => facts);

test('case 33: nothing is polluted', () => {
  for (const body of ['{"__proto__":{"polluted":1}}', '{"constructor":{"prototype":{"polluted":1}}}']) expect(() => parseJson(Buffer.from(body))).toThrow(Refusal);
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
});

test('case 35: 64 levels are taken, so that the limit is one of depth', async () => {
  const [answer] = answersIn(await rawExchange(target.url, bytesOf(text(`{"type":"noop","hold":true,"input":{"result":${'['.repeat(62)}${']'.repeat(62)}}}`))));
  expect(answer?.status).toBe(201);
});

test('case 36: who uploads 2 to 64 MB learns why it is refused, and is not reset while still sending', async () => {
  const before = target.state();
  for (const size of [2, 8, 64]) {
    for (let i = 0; i < 5; i++) {
      const answer = await fetch(`${target.url}/api/jobs`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: Buffer.alloc(size * 1_000_000, 0x20) });
      expect([answer.status, (await answer.json() as { code: string }).code]).toEqual([413, 'body_too_large']);
    }
  }
  await expectUnharmed(target, before);
});

test('case 46: 1,000 requests in one write are answered in their order, also when every second one is bad', async () => {
  const one = (i: number): string => `GET ${i % 2 === 0 ? '/health' : `/api/jobs/x${i}`} HTTP/1.1\r\nHost: 127.0.0.1\r\n${i === 999 ? 'Connection: close\r\n' : ''}\r\n`;
  const answers = await assault(target, Array.from({ length: 1_000 }, (_, i) => one(i)).join(''), 1_000);
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 1_000 }, (_, i) => (i % 2 === 0 ? 200 : 400)));
});

test.each(GOOD_HOSTS)('case 47: %s is served', async (host) => {
  const [answer] = await assault(target, bytesOf(get('/api/jobs?limit=1', { Host: host })));
  expect(answer?.status).toBe(200);
});
