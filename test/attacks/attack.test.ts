// The judgement that all attacks get must itself be able to fail.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { problem, PROBLEM_TYPE } from '../../src/http/problem.ts';
import { type Answer, answersIn, assault, bytesOf, expectProblem, expectUnharmed, get, noop } from './attack.ts';
import { startTarget, type Target } from './target.ts';

const answer = (more: object = {}, headers: Record<string, string> = {}): Answer => ({ status: 400, headers: { 'content-type': PROBLEM_TYPE, ...headers }, body: JSON.stringify({ ...problem('invalid_request', 'The body has no type.'), ...more }) });

describe('a refusal', () => {
  test('that says what to do is taken', () => expect(() => expectProblem(answer())).not.toThrow());

  test.each([
    ['holds a stack', { detail: 'TypeError: x\n    at Object.parse (file:///srv/app/x.ts:12:5)' }], ['names a file of ours', { detail: 'Failed in /srv/app/src/http/server.ts' }], ['names a package', { detail: 'See node_modules/fastify.' }],
    ['holds an error of SQLite', { detail: 'SQLITE_CONSTRAINT: CHECK failed' }], ['names the line of a file', { hint: 'Look at server.mjs:120 for this.' }], ['has no advice', { hint: '' }], ['has no title', { title: '' }], ['is of another status', { status: 422 }], ['has no code', { code: undefined }],
  ])('that %s is not', (_what, more) => expect(() => expectProblem(answer(more))).toThrow());

  test('that is no problem+json, or a 503 that does not say when to come back, is not', () => {
    expect(() => expectProblem(answer({}, { 'content-type': 'application/json' }))).toThrow();
    expect(() => expectProblem({ ...answer({ status: 503 }), status: 503 })).toThrow();
  });
});

describe('an attack that changes something', () => {
  let target: Target;
  beforeAll(async () => { target = await startTarget(); });
  afterAll(() => target.stop());

  test('is seen in the file, even when nothing but a tag has changed', async () => {
    const before = target.state();
    await expect(assault(target, bytesOf(noop({ hold: true })))).rejects.toThrow(/"?jobs"?/);
    const { jobs: [job] } = await (await fetch(`${target.url}/api/jobs`)).json() as { jobs: { id: string }[] };
    expect(target.state().jobs).toBe(before.jobs + 1);
    await expect(assault(target, bytesOf({ method: 'PATCH', path: `/api/jobs/${job?.id}`, body: '{"tags":["x"]}' }))).rejects.toThrow(/"?version"?/);
    await expectUnharmed(target, target.state());
  });

  test('by a second request inside of the first is seen as a second answer', async () => {
    const two = `GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n${bytesOf(get('/health')).toString()}`;
    await expect(assault(target, two)).rejects.toThrow(/length/);
    expect(() => answersIn('SSH-2.0\r\n')).toThrow('not an answer');
  });
});
