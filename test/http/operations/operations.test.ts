// The operations dialect, request by request: what is asked, what is answered, which events were written, and that no others were.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { STATUSES } from '../../../src/domain/job.ts';
import { artifactNames, STATUS_OF, STATUS_WORDS, statusText } from '../../../src/http/operations/wire.ts';
import { job as makeJob } from '../../support/make.ts';
import { GRANTEE, GRANTOR, type OperationsBench, operationsBench, STRANGER, ZERO } from '../../support/operations.ts';

let bench: OperationsBench;
beforeEach(async () => { bench = await operationsBench(); });
afterEach(() => bench.close());

const post = (url: string, payload: unknown, headers: Record<string, string> = {}) => bench.inject({ method: 'POST', url, payload: payload as object, headers });
const signed = (text: string, by = GRANTEE) => ({ app_signature: by.sign(text), operation_request_json: text });
const errorOf = (answer: { json(): any; headers: Record<string, unknown> }) => { expect(String(answer.headers['content-type'])).toMatch(/^application\/json/); expect(answer.headers['access-control-allow-origin']).toBe('*'); return answer.json().detail; };

describe('POST /api/v1/operations', () => {
  test('starts a job as the template says, with the grant\'s parameters over those of the request', async () => {
    const { id } = await bench.grant({ parameters: { goal: 'the grant\'s', keep: { a: 1 } }, template: { type: 'request', input: { url: 'http://127.0.0.1:8000/x' }, deliver: { body: true }, timeout: 5_000 } });
    const answer = await post('/api/v1/operations', signed(JSON.stringify({ permission_id: id, operation: 'prompt_demo_agent', parameters: { goal: 'mine', keep: { b: 2 }, more: [1] } })));
    expect([answer.statusCode, answer.headers['access-control-allow-origin']]).toEqual([202, '*']);
    const created = answer.json();
    expect(created).toEqual({ kind: 'OperationCreated', id: expect.stringMatching(/^job_/), created_at: '2026-01-01T00:00:00.000Z' });
    expect(answer.headers['location']).toBe(`/api/v1/operations/${created.id}`);
    const job = await bench.get(`/api/jobs/${created.id}`);
    expect(job).toMatchObject({ type: 'request', status: 'queued', maxAttempts: 1, options: { grant: id, timeout: 5_000 } });
    expect(job.input.body).toEqual({ operation: 'prompt_demo_agent', parameters: { goal: 'the grant\'s', keep: { a: 1 }, more: [1] } });
    expect((await bench.store.events({ jobId: created.id }, 0, 10)).map(({ type }) => type)).toEqual(['job:status']);
  });

  const text = '{"permission_id": 1}';
  test.each<[what: string, body: unknown, status: number, code: string, field: string | null]>([
    ['no body', undefined, 400, 'VALIDATION_ERROR', null],
    ['no signature', { operation_request_json: text }, 400, 'VALIDATION_ERROR_APP_SIGNATURE', 'app_signature'],
    ['a short signature', { app_signature: '0x00', operation_request_json: text }, 400, 'VALIDATION_ERROR_APP_SIGNATURE', 'app_signature'],
    ['the signature that documentation prints, outside development', { app_signature: '0x0000...000', operation_request_json: text }, 400, 'VALIDATION_ERROR_APP_SIGNATURE', 'app_signature'],
    ['the zero signature outside development', { app_signature: ZERO, operation_request_json: text }, 401, 'AUTHENTICATION_ERROR', 'app_signature'],
    ['a high s', { app_signature: GRANTEE.signHigh(text), operation_request_json: text }, 401, 'AUTHENTICATION_ERROR', 'app_signature'],
    ['no request', { app_signature: ZERO }, 400, 'VALIDATION_ERROR_OPERATION_REQUEST_JSON', 'operation_request_json'],
    ['a request of one character', { app_signature: ZERO, operation_request_json: '1' }, 400, 'VALIDATION_ERROR_OPERATION_REQUEST_JSON', 'operation_request_json'],
    ['a request of 100,001 characters', { app_signature: ZERO, operation_request_json: ' '.repeat(100_001) }, 400, 'VALIDATION_ERROR_OPERATION_REQUEST_JSON', 'operation_request_json'],
    ['a request that is no JSON', signed('{permission}'), 400, 'VALIDATION_ERROR_OPERATION_REQUEST_JSON', 'operation_request_json'],
    ['a request with a key twice', signed('{"permission_id":1,"permission_id":2}'), 400, 'VALIDATION_ERROR_OPERATION_REQUEST_JSON', 'operation_request_json'],
    ['a request with a poisoned key', signed('{"permission_id":1,"__proto__":{}}'), 400, 'VALIDATION_ERROR_OPERATION_REQUEST_JSON', 'operation_request_json'],
    ['no permission', signed('{}'), 400, 'VALIDATION_ERROR_PERMISSION_ID', 'permission_id'],
    ['permission 0', signed('{"permission_id":0}'), 400, 'VALIDATION_ERROR_PERMISSION_ID', 'permission_id'],
    ['parameters that are a list', signed('{"permission_id":1,"parameters":[]}'), 400, 'VALIDATION_ERROR_PARAMETERS', 'parameters'],
    ['a permission that is not there', signed('{"permission_id":77}'), 404, 'NOT_FOUND_ERROR', null],
    ['a stranger\'s signature', signed(text, STRANGER), 401, 'AUTHENTICATION_ERROR', null],
    ['the grantor\'s signature', signed(text, GRANTOR), 401, 'AUTHENTICATION_ERROR', null],
    ['a signature of another text', { ...signed('{"permission_id": 2}'), operation_request_json: text }, 401, 'AUTHENTICATION_ERROR', null],
    ['another operation', signed('{"permission_id":1,"operation":"llm_inference"}'), 400, 'GRANT_VALIDATION_ERROR', 'operation'],
    ['no goal', signed('{"permission_id":2}'), 400, 'GRANT_VALIDATION_ERROR', 'parameters.goal'],
    ['a goal that is no string', signed('{"permission_id":2,"parameters":{"goal":1}}'), 400, 'GRANT_VALIDATION_ERROR', 'parameters.goal'],
  ])('with %s is refused, and nothing is written', async (_what, body, status, code, field) => {
    await bench.grant({ id: 1 });
    // As a container's would be; a no-op has no variables, so the store is asked directly.
    await bench.store.execute({ kind: 'grant', grant: { id: 2, grantor: GRANTOR.address, grantee: GRANTEE.address, operation: 'x', parameters: {}, expiresAt: null, template: { type: 'noop', input: {}, deliver: { goalEnv: 'GOAL' } } } });
    const before = await bench.seq();
    const answer = await post('/api/v1/operations', body);
    expect([answer.statusCode, errorOf(answer)]).toEqual([status, { kind: 'Error', detail: expect.stringMatching(/^(?!.*(\.\.|The errors name)).*\. .*\.$/s), error_code: code, field }]);
    expect(await bench.seq()).toBe(before);
  });

  test('under a grant that has expired or was revoked is refused, at the instant', async () => {
    const brief = await bench.grant({ expiresAt: new Date(bench.clock.now() + 1_000).toISOString() });
    await bench.start(brief.id);
    bench.clock.advance(1_000);
    expect(errorOf(await post('/api/v1/operations', signed(JSON.stringify({ permission_id: brief.id }))))).toMatchObject({ error_code: 'GRANT_VALIDATION_ERROR', detail: expect.stringContaining('has expired') });
    const grant = await bench.grant();
    const revoked = await bench.inject({ method: 'DELETE', url: `/api/grants/${grant.id}` });
    expect([revoked.statusCode, revoked.json().revokedAt]).toEqual([200, expect.any(String)]);
    expect(errorOf(await post('/api/v1/operations', signed(JSON.stringify({ permission_id: grant.id }))))).toMatchObject({ error_code: 'GRANT_VALIDATION_ERROR', detail: expect.stringContaining('was revoked') });
  });

  test('is decided with the commit: a grant revoked after the first look is not used', async () => {
    const { id } = await bench.grant();
    await bench.store.execute({ kind: 'revoke', grantId: id });
    await expect(bench.store.execute({ kind: 'submit', jobs: [{ type: 'noop', input: '{}', spec: { grant: id } }], under: { permissionId: id, signer: GRANTEE.address } })).rejects.toMatchObject({ code: 'grant_invalid' });
    await expect(bench.store.execute({ kind: 'submit', jobs: [{ type: 'noop', input: '{}', spec: { grant: 99 } }], under: { permissionId: 99, signer: null } })).rejects.toMatchObject({ code: 'not_found' });
  });

  test('answers every refusal of the server in its own words', async () => {
    expect(errorOf(await bench.inject({ method: 'POST', url: '/api/v1/operations', payload: '{', headers: { 'content-type': 'application/json' } }))).toMatchObject({ error_code: 'VALIDATION_ERROR' });
    expect(errorOf(await bench.inject({ method: 'POST', url: '/api/v1/operations', payload: 'x', headers: { 'content-type': 'text/plain' } }))).toMatchObject({ error_code: 'UNSUPPORTED_MEDIA_TYPE_ERROR' });
    const large = await bench.inject({ method: 'POST', url: '/api/v1/operations', payload: `"${'x'.repeat(1_100_000)}"`, headers: { 'content-type': 'application/json' } });
    expect([large.statusCode, errorOf(large).error_code]).toEqual([413, 'PAYLOAD_TOO_LARGE_ERROR']);
    const missing = await bench.inject({ method: 'GET', url: '/api/v1/nothing' });
    expect([missing.statusCode, errorOf(missing).error_code]).toEqual([404, 'NOT_FOUND_ERROR']);
    const method = await bench.inject({ method: 'DELETE', url: '/api/v1/operations' });
    expect([method.statusCode, method.headers['allow'], errorOf(method).error_code]).toEqual([405, 'OPTIONS, POST', 'METHOD_NOT_ALLOWED_ERROR']);
    const odd = await bench.inject({ method: 'GET', url: '/api/v1/operations/%zz' });
    expect([odd.statusCode, errorOf(odd).error_code]).toEqual([400, 'VALIDATION_ERROR']);
    bench.phase = 'stopping';
    const stopping = await post('/api/v1/operations', {});
    expect([stopping.statusCode, stopping.headers['retry-after'], errorOf(stopping).error_code]).toEqual([503, '5', 'UNAVAILABLE_ERROR']);
    expect((await bench.inject({ method: 'GET', url: '/api/none' })).headers['content-type']).toBe('application/problem+json; charset=utf-8');
  });
});

describe('an operation', () => {
  test('is shown from its first line to its end', async () => {
    const id = await bench.start((await bench.grant()).id);
    const url = `/api/v1/operations/${id}`;
    expect(await bench.get(url)).toEqual({
      kind: 'OperationStatus', id, status: 'starting', started_at: null, finished_at: null, error: null,
      result: { status: 'starting', summary: 'Task is starting', result: {}, artifacts: [], logs: [], log_count: 0, truncated: false },
    });
    const claim = await bench.run(id);
    await bench.print(claim, ...Array.from({ length: 150 }, (_, i) => `line ${i}`));
    const running = await bench.get(url);
    expect(running).toMatchObject({ status: 'processing', started_at: '2026-01-01T00:00:00.000Z', finished_at: null, result: { summary: 'Task is processing', log_count: 150 } });
    expect(running.result.logs).toHaveLength(100);
    expect(running.result.logs.at(-1)).toBe('line 149');
    expect((await bench.get(`${url}?lines=1000`)).result.logs).toHaveLength(150);
    expect((await bench.get(`${url}?lines=1`)).result.logs).toEqual(['line 149']);
    await bench.end(claim, { kind: 'done', result: '{"status":"ok","summary":"Did it","artifacts":["./out/a"],"notes":"n"}' });
    expect(await bench.get(`${url}?lines=1`)).toEqual({
      kind: 'OperationStatus', id, status: 'succeeded', started_at: expect.any(String), finished_at: expect.any(String), error: null,
      result: { status: 'ok', summary: 'Did it', result: {}, artifacts: ['./out/a'], notes: 'n', logs: ['line 149'], log_count: 150, truncated: false },
    });
  });

  test.each(['0', '1001', 'x', '', '1e2', '-1', '99999'])('with lines=%s is refused', async (lines) => {
    const id = await bench.start((await bench.grant()).id);
    const answer = await bench.inject({ method: 'GET', url: `/api/v1/operations/${id}?lines=${lines}` });
    expect([answer.statusCode, errorOf(answer).error_code]).toEqual([400, 'VALIDATION_ERROR_LINES']);
  });

  test('that failed says why', async () => {
    const id = await bench.start((await bench.grant()).id);
    await bench.end(await bench.run(id), { kind: 'fail', error: { code: 'handler_error', message: 'It broke.', retryable: false } });
    expect(await bench.get(`/api/v1/operations/${id}`)).toMatchObject({ status: 'failed', error: { code: 'handler_error', message: 'It broke.' }, result: { status: 'failed', summary: 'Task is failed: It broke.' } });
  });

  test('is canceled once: 204, then 404; native reads and verbs know it too', async () => {
    const id = await bench.start((await bench.grant()).id);
    const paused = await bench.inject({ method: 'POST', url: `/api/jobs/${id}/pause` });
    expect(paused.json().status).toBe('paused');
    expect((await bench.get(`/api/v1/operations/${id}`)).status).toBe('starting');
    const first = await bench.inject({ method: 'POST', url: `/api/v1/operations/${id}/cancel` });
    expect([first.statusCode, first.body]).toEqual([204, '']);
    expect(await bench.get(`/api/v1/operations/${id}`)).toMatchObject({ status: 'canceled', error: { code: 'cancelled' } });
    const again = await bench.inject({ method: 'POST', url: `/api/v1/operations/${id}/cancel` });
    expect([again.statusCode, errorOf(again)]).toEqual([404, { kind: 'Error', detail: `Operation ${id} has finished. There is nothing left to cancel.`, error_code: 'NOT_FOUND_ERROR', field: null }]);
  });

  test('that is not there, or is a job but no operation, is 404 everywhere', async () => {
    const { id: job } = await bench.submit({ type: 'noop' });
    for (const id of ['job_01jv5x9k3qf0bsx1r4y7m2n8ga', 'mock_1', '..', job]) {
      for (const [method, path] of [['GET', ''], ['GET', '/stream'], ['POST', '/cancel']] as const) {
        const answer = await bench.inject({ method, url: `/api/v1/operations/${encodeURIComponent(id)}${path}` });
        expect([id, path, answer.statusCode, errorOf(answer).error_code]).toEqual([id, path, 404, 'NOT_FOUND_ERROR']);
      }
    }
  });

  test('may be started, read and followed by pages of other origins', async () => {
    const { id } = await bench.grant();
    const preflight = await bench.inject({ method: 'OPTIONS', url: '/api/v1/operations', headers: { origin: 'https://app.example', 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' } });
    expect([preflight.statusCode, preflight.headers['access-control-allow-origin'], preflight.headers['access-control-allow-methods'], preflight.headers['access-control-allow-headers']]).toEqual([204, '*', 'GET, POST', 'content-type, last-event-id, x-request-id']);
    const foreign = await post('/api/v1/operations', signed(JSON.stringify({ permission_id: id })), { origin: 'https://app.example', 'sec-fetch-site': 'cross-site' });
    expect(foreign.statusCode).toBe(202);
    expect((await bench.inject({ method: 'POST', url: '/api/jobs', payload: { type: 'noop' }, headers: { origin: 'https://app.example' } })).statusCode).toBe(403); // of this dialect only
  });
});

describe('development', () => {
  beforeEach(async () => { await bench.close(); bench = await operationsBench({ isOpen: true, wallet: null }); });

  test('takes the zero signature for the grantee\'s, whole or as documentation prints it; not from pages of other sites', async () => {
    await bench.grant({ id: 4096 });
    for (const app_signature of [ZERO, '0x0000...000']) expect((await post('/api/v1/operations', { app_signature, operation_request_json: '{"permission_id": 4096}' })).statusCode).toBe(202);
    const foreign = await post('/api/v1/operations', { app_signature: ZERO, operation_request_json: '{"permission_id": 4096}' }, { origin: 'https://app.example' });
    expect([foreign.statusCode, errorOf(foreign).error_code]).toEqual([403, 'AUTHORIZATION_ERROR']);
    const stranger = await post('/api/v1/operations', signed('{"permission_id": 4096}', STRANGER));
    expect(stranger.statusCode).toBe(401);
  });

  test('without a mnemonic has no identity, and says what to set', async () => {
    const answer = await bench.inject({ method: 'GET', url: `/api/v1/identity?address=${GRANTEE.address}` });
    expect([answer.statusCode, errorOf(answer)]).toEqual([501, expect.objectContaining({ error_code: 'NOT_CONFIGURED_ERROR', detail: expect.stringContaining('MUSTER_WALLET_MNEMONIC') })]);
  });
});

test('GET /api/v1/identity tells the key of a user', async () => {
  const answer = await bench.inject({ method: 'GET', url: '/api/v1/identity?address=0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed' });
  expect(answer.json()).toEqual({ kind: 'Identity', user_address: '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed', personal_server: { kind: 'PersonalServer', address: expect.stringMatching(/^0x[0-9a-fA-F]{40}$/), public_key: expect.stringMatching(/^0x[0-9a-f]{128}$/) } });
  for (const query of ['', '?address=', '?address=0x12', '?address=5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed00']) {
    const bad = await bench.inject({ method: 'GET', url: `/api/v1/identity${query}` });
    expect([query, bad.statusCode, errorOf(bad).error_code]).toEqual([query, 400, 'VALIDATION_ERROR_ADDRESS']);
  }
});

describe('artifacts', () => {
  const body = (id: string, by = GRANTEE) => ({ operation_id: id, signature: by.sign(`{"operation_id":"${id}"}`) });
  let id: string;
  beforeEach(async () => {
    id = await bench.start((await bench.grant()).id);
    bench.files.set(id, new Map([['out/report.txt', Buffer.from('hello\n')], ['deep/päge "1".html', Buffer.from('<script>')], ['raw', Buffer.from([0, 255, 1])]]));
  });

  test.each([['grantee', GRANTEE], ['grantor', GRANTOR]])('are listed and downloaded for the %s, byte for byte', async (_who, by) => {
    const list = await post(`/api/v1/artifacts/${id}/list`, body(id, by));
    expect([list.statusCode, list.json()]).toEqual([200, { kind: 'ArtifactList', operation_id: id, artifacts: [{ path: 'report.txt', size: 6, content_type: 'text/plain; charset=utf-8' }, { path: 'deep/päge "1".html', size: 8, content_type: 'text/html; charset=utf-8' }, { path: 'raw', size: 3, content_type: 'application/octet-stream' }] }]);
    for (const path of ['report.txt', './out/report.txt', './report.txt']) {
      const file = await post('/api/v1/artifacts/download', { ...body(id, by), artifact_path: path });
      expect([file.statusCode, file.body, file.headers['content-disposition'], file.headers['cache-control'], file.headers['content-type']]).toEqual([200, 'hello\n', 'inline; filename="report.txt"', 'private, max-age=3600', 'text/plain; charset=utf-8']);
    }
    expect((await post('/api/v1/artifacts/download', { ...body(id, by), artifact_path: 'raw' })).rawPayload).toEqual(Buffer.from([0, 255, 1]));
    const page = await post('/api/v1/artifacts/download', { ...body(id, by), artifact_path: 'deep/päge "1".html' });
    expect([page.headers['content-disposition'], page.headers['content-security-policy'], page.headers['x-content-type-options']]).toEqual([`inline; filename="p_ge _1_.html"; filename*=UTF-8''p%C3%A4ge%20%221%22.html`, "sandbox; default-src 'none'", 'nosniff']);
  });

  test('are nobody else\'s', async () => {
    const other = await bench.start((await bench.grant()).id);
    for (const [what, url, payload, status] of [
      ['a stranger lists', `/api/v1/artifacts/${id}/list`, body(id, STRANGER), 403], ['a stranger downloads', '/api/v1/artifacts/download', { ...body(id, STRANGER), artifact_path: 'raw' }, 403],
      ['a signature for another operation', `/api/v1/artifacts/${id}/list`, { ...body(other), operation_id: id }, 403], ['another id in the path', `/api/v1/artifacts/${other}/list`, body(id), 400],
      ['zeros', `/api/v1/artifacts/${id}/list`, { operation_id: id, signature: ZERO }, 401], ['no signature', `/api/v1/artifacts/${id}/list`, { operation_id: id }, 400],
      ['no such operation', '/api/v1/artifacts/job_01jv5x9k3qf0bsx1r4y7m2n8ga/list', body('job_01jv5x9k3qf0bsx1r4y7m2n8ga'), 404], ['no such file', '/api/v1/artifacts/download', { ...body(id), artifact_path: 'nothing' }, 404],
      ['a way out', '/api/v1/artifacts/download', { ...body(id), artifact_path: '../../etc/passwd' }, 404],
    ] as const) {
      const answer = await post(url, payload);
      expect([what, answer.statusCode]).toEqual([what, status]);
      errorOf(answer);
    }
  });
});

describe('the words', () => {
  test('every status has one, a final status a final word, and no other', () => {
    fc.assert(fc.property(fc.constantFrom(...STATUSES), (status) => {
      expect(STATUS_WORDS).toContain(STATUS_OF[status]);
      expect(['succeeded', 'failed', 'canceled'].includes(STATUS_OF[status])).toBe(['completed', 'failed', 'cancelled'].includes(status));
    }));
    expect(new Set(Object.values(STATUS_OF))).toEqual(new Set(STATUS_WORDS));
  });

  test('of a container its own answer is shown, not what is known of the run; without one, the files it left', () => {
    const shown = (result: object) => JSON.parse(statusText({ job: makeJob({ type: 'container', status: 'completed' }), result: JSON.stringify(result) }, { lines: [], total: 0, truncated: false })).result;
    const files = [{ path: 'out/a', size: 1, contentType: 'x' }];
    expect(shown({ exitCode: 0, imageId: 'sha256:1', artifacts: files, output: { status: 'ok', summary: 's', artifacts: ['./out/a'], logs: ['forged'] } })).toEqual({ status: 'ok', summary: 's', result: {}, artifacts: ['./out/a'], exit_code: 0, logs: [], log_count: 0, truncated: false });
    expect(shown({ exitCode: 3, artifacts: files, output: null })).toEqual({ status: 'succeeded', summary: 'Task is succeeded', result: {}, artifacts: ['out/a'], exit_code: 3, logs: [], log_count: 0, truncated: false });
  });

  test('files have the names of this dialect, and no two the same', () => {
    expect([...artifactNames(['a', 'out/a', 'out/b', 'out/out/c', 'x/out/d'])]).toEqual([['a', 'a'], ['out/a', 'out/a'], ['b', 'out/b'], ['out/c', 'out/out/c'], ['x/out/d', 'x/out/d']]);
  });

  test('an answer is within its form whatever the result is, and its lines are never the agent\'s to write', () => {
    fc.assert(fc.property(fc.constantFrom(...STATUSES), fc.jsonValue(), fc.array(fc.string(), { maxLength: 3 }), (status, result, lines) => {
      const shown = JSON.parse(statusText({ job: makeJob({ status }), result: JSON.stringify(result) }, { lines, total: lines.length, truncated: false }));
      expect(shown.status).toBe(STATUS_OF[status]);
      expect(shown.result).toMatchObject({ logs: lines, log_count: lines.length, truncated: false });
      expect(Array.isArray(shown.result.artifacts)).toBe(true);
    }));
    const forged = JSON.parse(statusText({ job: makeJob({ status: 'failed' }), result: '{"logs":["forged"],"log_count":9,"truncated":true,"id":"x","kind":"x"}' }, { lines: ['real'], total: 1, truncated: false }));
    expect(forged).toMatchObject({ kind: 'OperationStatus', status: 'failed', result: { logs: ['real'], log_count: 1, truncated: false } });
  });
});
