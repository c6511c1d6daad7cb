// /api/grants, request by request.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type HttpBench, httpBench } from '../../support/http.ts';

const A = `0x${'Aa'.repeat(20)}`;
const B = `0x${'bb'.repeat(20)}`;
const good = { grantor: A, grantee: B, operation: 'prompt_demo_agent', template: { type: 'noop', input: { result: 1 } } };
let bench: HttpBench;
beforeEach(async () => { bench = await httpBench(); });
afterEach(() => bench.close());
const post = (payload: unknown) => bench.inject({ method: 'POST', url: '/api/grants', payload: payload as object });

test('a grant is made, read, listed, revoked, and stays', async () => {
  const made = await post({ ...good, id: 4096, parameters: { goal: 'x' }, expiresAt: '2030-01-01T01:00:00+01:00' });
  expect([made.statusCode, made.headers['location'], made.json()]).toEqual([201, '/api/grants/4096', {
    id: 4096, grantor: A.toLowerCase(), grantee: B, operation: 'prompt_demo_agent', parameters: { goal: 'x' }, template: { type: 'noop', input: { result: 1 }, deliver: {}, maxAttempts: 1 },
    expiresAt: '2030-01-01T00:00:00.000Z', createdAt: '2026-01-01T00:00:00.000Z', revokedAt: null,
  }]);
  expect(await bench.get('/api/grants/4096')).toEqual(made.json());
  expect((await post(good)).json().id).toBe(4097);
  const page = await bench.get('/api/grants?limit=1');
  expect([page.grants.map((one: any) => one.id), (await bench.get(`/api/grants?limit=1&cursor=${page.nextCursor}`)).grants.map((one: any) => one.id)]).toEqual([[4097], [4096]]);
  expect((await bench.get(`/api/grants?grantee=${A}`)).grants).toEqual([]);
  const gone = await bench.inject({ method: 'DELETE', url: '/api/grants/4096' });
  expect([gone.statusCode, gone.json().revokedAt]).toEqual([200, '2026-01-01T00:00:00.000Z']);
  expect((await bench.get('/api/grants/4096')).revokedAt).toBe('2026-01-01T00:00:00.000Z');
});

describe('is refused', () => {
  test.each<[what: string, body: unknown, status: number, code: string]>([
    ['an id that is taken', { ...good, id: 1 }, 409, 'conflict'], ['id 0', { ...good, id: 0 }, 422, 'invalid'], ['an address that is none', { ...good, grantee: 'bob' }, 422, 'invalid'], ['a job type that is none', { ...good, template: { type: 'nothing', input: {} } }, 422, 'invalid'], ['a job type that every object has', { ...good, template: { type: 'constructor', input: {} } }, 422, 'invalid'],
    ['an input that its type does not take', { ...good, template: { type: 'noop', input: { nonsense: 1 } } }, 400, 'invalid_request'], ['a delivery that its type does not take', { ...good, template: { type: 'noop', input: {}, deliver: { stdin: true } } }, 400, 'invalid_request'],
    ['a URL that may not be called', { ...good, template: { type: 'request', input: { url: 'http://169.254.169.254/' } } }, 422, 'invalid'], ['a property that is none', { ...good, revokedAt: null }, 400, 'invalid_request'],
    ['an operation with a space', { ...good, operation: 'a b' }, 422, 'invalid'], ['a date that is none', { ...good, expiresAt: 'soon' }, 422, 'invalid'], ['no template', { grantor: A, grantee: B, operation: 'x' }, 400, 'invalid_request'],
  ])('%s', async (_what, body, status, code) => {
    await post({ ...good, id: 1 });
    const answer = await post(body);
    expect([answer.statusCode, answer.json().code]).toEqual([status, code]);
    expect((await bench.get('/api/grants')).grants).toHaveLength(1);
  });

  test('a grant that is not there: 404, of any spelling that is a number, and 400 else', async () => {
    for (const [id, status] of [['1', 404], ['999999999999999', 404], ['9007199254740991', 400], ['0', 400], ['x', 400], ['-1', 400]] as const) {
      for (const method of ['GET', 'DELETE'] as const) expect([id, method, (await bench.inject({ method, url: `/api/grants/${id}` })).statusCode]).toEqual([id, method, status]);
    }
  });
});
