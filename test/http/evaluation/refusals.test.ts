// What no run could use is refused when it is stored, with its place, and without the value.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type HttpBench, httpBench } from '../../support/http.ts';

let bench: HttpBench;
beforeEach(async () => { bench = await httpBench(); });
afterEach(() => bench.close());

const post = (url: string, payload: object) => bench.inject({ method: 'POST', url, payload });

test.each([
  ['a header of an agent', '/api/eval/agents', { key: 'mine', endpoint: 'https://a.example/', headers: { authorization: 'Bearer s3cret…' } }, 422, '#/headers'],
  ['a header of the server itself', '/api/eval/agents', { key: 'mine', endpoint: 'https://a.example/', headers: { host: 's3cret' } }, 422, '#/headers'],
  ['a header of a model', '/api/eval/models', { id: 'gpt', baseUrl: 'https://a.example/v1', headers: { 'x y': 's3cret' } }, 422, '#/headers'],
  ['the key of a model', '/api/eval/models', { id: 'gpt', baseUrl: 'https://a.example/v1', apiKey: 's3cret\n' }, 422, '#/apiKey'],
  ['a header of a run', '/api/jobs', { experimentId: 'nightly', runConfig: { name: 'First', agentKey: 'demo', modelId: 'rules', headers: { a: 's3cret…' } } }, 400, '#/runConfig/headers'],
])('%s that cannot be sent is refused, with its place', async (_, path, body, status, pointer) => {
  const answer = await post(path, body);
  expect(answer.json()).toMatchObject({ status, errors: [{ pointer }] });
  expect(answer.body).not.toContain('s3cret');
});

test('what is not there is named with the list that would have it', async () => {
  await post('/api/eval/test-cases', { id: 'slow', name: 'Slow', initialPrompt: 'Why?' });
  expect((await post('/api/eval/test', { testCaseId: 'slow', agentKey: 'nobody', modelId: 'rules' })).json()).toMatchObject({ status: 404, hint: 'GET /api/eval/agents lists those there are.' });
});
