// What an answer means: the envelope table, plain answers, and failures.
import { describe, expect, it } from 'vitest';
import { DEPTH_MAX, judgeResult, LATER_DEFAULT, LATER_MAX, LATER_MIN } from '../../src/handlers/answer.ts';
import type { CallResult } from '../../src/handlers/egress/client.ts';

const now = Date.parse('2025-05-14T12:00:00Z');
const answer = (status: number, body: unknown, headers: Record<string, string> = {}, method = 'POST') => judgeResult({
  kind: 'answer', status, body: Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
  headers: { ...(typeof body === 'object' && !Buffer.isBuffer(body) ? { 'content-type': 'application/json' } : {}), ...headers },
}, { method, now }).outcome;
const id = { job_id: 'job_1' };

describe('an envelope', () => {
  it.each([
    [{ ...id, state: 'PENDING', delay: 2 }, { kind: 'later', delay: 2_000 }],
    [{ ...id, state: 'pending' }, { kind: 'later', delay: LATER_DEFAULT }],
    [{ ...id, state: 'Pending', delay: 0 }, { kind: 'later', delay: LATER_DEFAULT }],
    [{ ...id, state: 'pending', delay: -5 }, { kind: 'later', delay: LATER_DEFAULT }],
    [{ ...id, state: 'pending', delay: 'soon' }, { kind: 'later', delay: LATER_DEFAULT }],
    [{ ...id, state: 'pending', delay: '3' }, { kind: 'later', delay: 3_000 }],
    [{ ...id, state: 'pending', delay: 0.0001 }, { kind: 'later', delay: LATER_MIN }],
    [{ ...id, state: 'pending', delay: 1e12 }, { kind: 'later', delay: LATER_MAX }],
    [{ ...id, delay: 0, message: 'ok', state: 'complete', data: { a: [1] } }, { kind: 'done', result: '{"a":[1]}' }],
    [{ ...id, state: 'COMPLETED', data: '' }, { kind: 'done', result: '""' }],
    [{ ...id, state: 'Complete' }, { kind: 'done', result: null }],
    [{ ...id, state: 'complete', data: null }, { kind: 'done', result: null }],
    [{ ...id, state: 'complete', data: false }, { kind: 'done', result: 'false' }],
    [{ ...id, state: 'fail', message: 'no\nway', data: 7 }, { kind: 'fail', result: '7', error: { code: 'participant_failed', message: 'no way', retryable: false } }],
    [{ ...id, state: 'FAILED' }, { kind: 'fail', result: null, error: { code: 'participant_failed', retryable: false } }],
    [{ ...id, state: 'response' }, { kind: 'fail', error: { code: 'invalid_answer', retryable: false } }],
    [{ ...id, state: '' }, { kind: 'fail', error: { code: 'invalid_answer' } }],
    [{ ...id, state: 'constructor' }, { kind: 'fail', error: { code: 'invalid_answer' } }],
    [{ job_id: 1, state: 'complete', more: 'fields', data: 2 }, { kind: 'done', result: '2' }],
    [{ job_id: 'another', state: 'complete', data: 2 }, { kind: 'done', result: '2' }],
    // Without a job_id: only if there is nothing in it but the envelope's own.
    [{ state: 'PENDING', delay: 5 }, { kind: 'later', delay: 5_000 }],
    [{ state: 'completed', data: 1, message: '' }, { kind: 'done', result: '1' }],
    [{ state: 'fail' }, { kind: 'fail', error: { code: 'participant_failed' } }],
    // A verdict is a verdict, whatever else it carries; and what it carries is not dropped.
    [{ state: 'FAIL', error: 'not good enough' }, { kind: 'fail', error: { code: 'participant_failed' }, result: '{"state":"FAIL","error":"not good enough"}' }],
    [{ ...id, state: 'COMPLETE', result: { x: 1 } }, { kind: 'done', result: JSON.stringify({ ...id, state: 'COMPLETE', result: { x: 1 } }) }],
    [{ ...id, state: 'COMPLETE', message: 'only words' }, { kind: 'done', result: null }],
  ])('%j', (body, outcome) => expect(answer(200, body)).toMatchObject(outcome));

  it.each([
    { state: 'open' }, { state: 'pending', order: 7 }, { state: 'complete', data: 1, id: 2 }, { state: 4, job_id: 'x' }, { state: null, job_id: 'x' }, { job_id: 'x', data: 1 },
    { job_id: null, state: 'pending', x: 1 }, { job_id: {}, state: 'running' }, { status: 'pending', job_id: 'x' }, [{ job_id: 'x', state: 'pending' }], 'pending', 3, true,
  ])('is not %j, which is a plain answer', (body) => expect(answer(200, body, { 'content-type': 'application/json' })).toEqual(typeof body === 'string'
    ? expect.objectContaining({ kind: 'fail' }) : { kind: 'done', result: JSON.stringify(body) }));

  it('does not outweigh the status', () => {
    expect(answer(500, { ...id, state: 'complete', data: 1, message: 'boom' })).toMatchObject({ kind: 'fail', error: { code: 'http_status', retryable: true, message: 'Answered 500: boom' } });
    expect(answer(404, { ...id, state: 'pending' })).toMatchObject({ kind: 'fail', error: { code: 'http_status', retryable: false } });
  });
});

describe('a plain answer', () => {
  it.each([
    ['JSON', '{"a": 1.50}', { 'content-type': 'application/json; charset=utf-8' }, '{"a":1.5}'],
    ['JSON of a vendor', '[1]', { 'content-type': 'application/problem+json' }, '[1]'],
    ['JSON null', 'null', { 'content-type': 'application/json' }, null],
    ['JSON with a byte order mark', '\ufeff{"a":1}', { 'content-type': 'application/json' }, '{"a":1}'],
    ['JSON sent as text', '{"a":1}', { 'content-type': 'text/plain' }, '{"a":1}'],
    ['JSON of no type', '12', {}, '12'],
    ['text', '12', { 'content-type': 'text/plain' }, '"12"'],
    ['text that begins like JSON', '{oops', { 'content-type': 'text/plain' }, '"{oops"'],
    ['HTML', '<p>"hi"</p>', { 'content-type': 'text/html' }, '"<p>\\"hi\\"</p>"'],
    ['text of no type', 'hello', {}, '"hello"'],
    ['nothing', '', { 'content-type': 'application/json' }, null],
    ['blanks', ' \r\n', {}, null],
    ['Latin-1', Buffer.from('caf\u00e9', 'latin1'), { 'content-type': 'text/plain; charset=iso-8859-1' }, '"café"'],
    ['a lone surrogate', '"\\ud800"', { 'content-type': 'application/json' }, '"\\ud800"'],
    ['a key that means trouble', '{"__proto__":{"state":"fail","job_id":1}}', { 'content-type': 'application/json' }, '{"__proto__":{"state":"fail","job_id":1}}'],
  ] as const)('of %s', (_, body, headers, result) => expect(answer(200, body, headers)).toEqual({ kind: 'done', result }));

  it('without content is done', () => expect(answer(204, '')).toEqual({ kind: 'done', result: null }));

  it.each([
    ['invalid UTF-8', Buffer.from([0x22, 0xff, 0x22]), { 'content-type': 'application/json' }],
    ['an unknown charset', 'x', { 'content-type': 'text/plain; charset=klingon' }],
    ['what is not the JSON it says', '<html>', { 'content-type': 'application/json' }],
    ['cut JSON', '{"a":', { 'content-type': 'application/json' }],
    ['deep JSON', `${'['.repeat(DEPTH_MAX + 1)}${']'.repeat(DEPTH_MAX + 1)}`, { 'content-type': 'application/json' }],
    ['very deep JSON', '{"a":'.repeat(100_000), { 'content-type': 'application/json' }],
  ] as const)('of %s fails for good', (_, body, headers) => expect(answer(200, body, headers)).toMatchObject({ kind: 'fail', error: { code: 'invalid_answer', retryable: false } }));

  it('may be as deep as the bound, whatever its strings say', () => {
    const body = `${'['.repeat(DEPTH_MAX)}"${'[{'.repeat(100)}\\"["${']'.repeat(DEPTH_MAX)}`;
    expect(answer(200, body, { 'content-type': 'application/json' })).toEqual({ kind: 'done', result: body });
  });

  it('of 202 is asked again only where repeating is safe and was asked for', () => {
    expect(answer(202, 'x', { 'retry-after': '3' }, 'GET')).toEqual({ kind: 'later', delay: 3_000 });
    expect(answer(202, 'x', { 'retry-after': '3' }, 'POST')).toEqual({ kind: 'done', result: '"x"' });
    expect(answer(202, 'x', {}, 'GET')).toEqual({ kind: 'done', result: '"x"' });
    expect(answer(202, { ...id, state: 'pending' }, {}, 'POST')).toEqual({ kind: 'later', delay: LATER_DEFAULT });
  });
});

describe('a failure', () => {
  it.each([[400, false], [401, false], [404, false], [409, false], [410, false], [422, false], [408, true], [425, true], [429, true], [500, true], [501, true], [502, true], [503, true], [599, true], [301, false], [304, false], [307, false]])('%i is retried: %j', (status, retryable) => {
    expect(answer(status, '')).toMatchObject({ kind: 'fail', error: { code: 'http_status', retryable, message: expect.stringContaining(String(status)) } });
  });

  it.each([
    ['5', 5_000], ['0', LATER_MIN], ['999999999999', LATER_MAX], ['Wed, 14 May 2025 12:00:30 GMT', 30_000], ['Wednesday, 14-May-25 12:00:30 GMT', 30_000], ['Wed May 14 12:00:30 2025 GMT', 30_000],
    ['Wed, 14 May 2024 12:00:00 GMT', LATER_MIN], ['Wed, 14 May 2035 12:00:00 GMT', LATER_MAX], ['soon', undefined], ['-5', undefined], ['1.5', undefined], ['', undefined],
  ])('with Retry-After %j waits %j ms', (text, delay) => {
    const outcome = answer(503, 'busy', { 'retry-after': text });
    expect(outcome.kind === 'fail' ? outcome.delay : 'no').toBe(delay);
  });

  it('that is final has no delay', () => expect(answer(400, '', { 'retry-after': '5' })).not.toHaveProperty('delay'));

  it('shows the beginning of what was said, on one line', () => {
    const message = (body: unknown, headers = {}): string => { const outcome = answer(500, body, headers); return outcome.kind === 'fail' ? outcome.error.message : ''; };
    expect(message({ message: 'out of\ncheese', code: 5 })).toBe('Answered 500: out of cheese');
    expect(message({ detail: { a: 1 } })).toBe('Answered 500: {"detail":{"a":1}}');
    expect(message('<h1>\u0007Oops</h1>\r\n', { 'content-type': 'text/html' })).toBe('Answered 500: <h1> Oops</h1>');
    expect(message('x'.repeat(5_000)).length).toBeLessThan(250);
    expect(message(Buffer.from([0xff, 0xfe]))).toBe('Answered 500.');
  });

  it.each<[CallResult, string, boolean]>([
    [{ kind: 'refused', message: 'm' }, 'egress_refused', false], [{ kind: 'unsendable', message: 'm' }, 'egress_refused', false], [{ kind: 'network', message: 'm' }, 'network', true],
    [{ kind: 'timeout', message: 'm' }, 'timeout', true], [{ kind: 'too_large', message: 'm' }, 'answer_too_large', false], [{ kind: 'undecodable', message: 'm' }, 'invalid_answer', false],
  ])('of the call %j becomes %s, retried: %j', (result, code, retryable) => {
    expect(judgeResult(result, { method: 'GET', now }).outcome).toEqual({ kind: 'fail', error: { code, message: 'm', retryable } });
  });

  it('is neither a busy host nor a stop', () => {
    expect(judgeResult({ kind: 'busy', retryAfter: 1_234, message: 'm' }, { method: 'GET', now }).outcome).toEqual({ kind: 'later', delay: 1_234 });
    expect(judgeResult({ kind: 'aborted', message: 'stopping' }, { method: 'GET', now }).outcome).toEqual({ kind: 'interrupted', reason: 'stopping' });
  });
});
