import { createConfig, lintFromString } from '@redocly/openapi-core';
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PROBLEMS } from '../../src/http/problem.ts';
import { type HttpBench, httpBench } from '../support/http.ts';

let bench: HttpBench;
let document: any;
beforeAll(async () => {
  bench = await httpBench({ debug: true });
  document = await bench.get('/openapi.json');
});
afterAll(() => bench.close());

const lint = async (source: unknown) => (await lintFromString({ source: JSON.stringify(source), config: await createConfig({ extends: ['recommended'] }) })).map((problem) => `${problem.ruleId}: ${problem.message} ${problem.location[0]?.pointer}`);
const operations = (): [string, string, any][] => Object.entries<any>(document.paths).flatMap(([path, methods]) => Object.entries<any>(methods).map(([method, operation]): [string, string, any] => [path, method, operation]));

test("Redocly's recommended rules find nothing, and would find something", async () => {
  expect(document.openapi).toBe('3.1.0');
  expect(await lint(document)).toEqual([]);
  const broken = structuredClone(document);
  delete broken.paths['/api/jobs'].post.operationId;
  expect(await lint(broken)).not.toEqual([]);
});

test('every route is in the document, and nothing else', () => {
  const listed = new Set(operations().map(([path, method]) => `${method.toUpperCase()} ${path}`));
  const served = bench.app.printRoutes({ commonPrefix: false }).split('\n').length;
  expect(served).toBeGreaterThan(20);
  for (const route of ['POST /api/jobs', 'POST /api/jobs/bulk', 'GET /api/jobs', 'GET /api/jobs/{id}', 'PATCH /api/jobs/{id}', 'DELETE /api/jobs/{id}', 'GET /api/jobs/{id}/children', 'GET /api/jobs/{id}/events', 'GET /api/jobs/{id}/logs', 'GET /api/jobs/{id}/explain', 'POST /api/jobs/{id}/start', 'POST /api/jobs/{id}/pause', 'POST /api/jobs/{id}/resume', 'POST /api/jobs/{id}/cancel', 'POST /api/jobs/{id}/retry', 'GET /api/types', 'PATCH /api/types/{type}', 'GET /health', 'GET /ready', 'GET /metrics', 'GET /openapi.json', 'GET /docs', 'GET /']) expect(listed).toContain(route);
});

test('every operation has a name of its own, and declares its refusals as problems', () => {
  const names = operations().map(([, , operation]) => operation.operationId);
  expect(new Set(names).size).toBe(names.length);
  for (const [path, , operation] of operations()) {
    for (const [status, response] of Object.entries<any>(operation.responses)) {
      if (Number(status) < 400 || (path === '/ready' && status === '503')) continue;
      const own = path.startsWith('/aitp/') ? ['application/json', ...(['400', '408', '431'].includes(status) ? ['application/problem+json'] : [])] : ['application/problem+json'];
      expect([path, status, Object.keys(response.content)]).toEqual([path, status, own]);
    }
    expect(Object.keys(operation.responses)).toEqual(expect.arrayContaining(['400', '421', '500']));
  }
});

test('what POST /api/jobs opens is linked, and every link leads to an operation', () => {
  const links = Object.values<any>(document.paths['/api/jobs'].post.responses['201'].links);
  const names = new Set([...operations().map(([, , operation]) => operation.operationId), 'streamJob']); // the streams are added by the composition root
  expect(links.length).toBeGreaterThan(10);
  for (const link of links) expect(names).toContain(link.operationId);
});

test('statuses met in practice are declared', async () => {
  const job = await bench.submit({ type: 'noop', hold: true });
  const ids: Record<string, string> = { id: job.id, job_id: job.id, type: 'noop', job: 'x' };
  for (const [path, method, operation] of operations()) {
    const url = path.replace(/\{(\w+)\}/g, (_all, name: string) => ids[name] ?? '');
    for (const payload of [undefined, {}, { nonsense: 1 }]) {
      for (const target of [url, url.replace(job.id, 'job_01jv5x9k3qf0bsx1r4y7m2n8ga'), `${url}?nonsense=1`]) {
        if (method === 'get' && payload !== undefined) continue;
        const answer = await bench.inject({ method: method.toUpperCase() as 'GET', url: target, ...(payload === undefined ? {} : { payload }) });
        expect([method, target, Object.keys(operation.responses).includes(String(answer.statusCode)) ? 'declared' : answer.statusCode]).toEqual([method, target, 'declared']);
      }
    }
  }
});

describe('the page', () => {
  test('shows every operation and every refusal, and runs nothing', async () => {
    const page = await bench.inject({ method: 'GET', url: '/docs' });
    for (const [path, , operation] of operations()) {
      expect(page.body).toContain(`id="${operation.operationId}"`);
      expect(page.body).toContain(path);
    }
    for (const code of Object.keys(PROBLEMS)) expect(page.body).toContain(`<tr id="${code}">`);
    expect(page.body).not.toMatch(/<script|javascript:|https?:\/\/(?!127\.0\.0\.1|participant\.example|a\.example|b\.example)[a-z]/);
    expect(page.body).not.toMatch(/ style="| on\w+="|undefined|\[object/);
    expect((await bench.inject({ method: 'GET', url: '/' })).body).toBe(page.body);
  });

  test('is allowed its own style sheet by its hash, and nothing else', async () => {
    const { headers, body } = await bench.inject({ method: 'GET', url: '/docs' });
    const style = /<style>([\s\S]*?)<\/style>/.exec(body)?.[1] ?? '';
    const hash = createHash('sha256').update(style).digest('base64');
    expect(headers['content-security-policy']).toBe(`default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`);
  });

  test('every link within it has a target', async () => {
    const { body } = await bench.inject({ method: 'GET', url: '/docs' });
    const targets = new Set([...body.matchAll(/ id="([^"]+)"/g)].map((match) => match[1]));
    for (const [, target] of body.matchAll(/href="#([^"]+)"/g)) expect(targets).toContain(target);
  });

  test('its curl commands are accepted by the server', async () => {
    const { body } = await bench.inject({ method: 'GET', url: '/docs' });
    const bodies = [...body.matchAll(/-d &#39;(.*?)&#39;<\/pre>/gs)].map((match) => (match[1] ?? '').replaceAll('&#34;', '"').replaceAll('&#38;', '&'));
    expect(bodies.length).toBeGreaterThan(5);
    for (const text of bodies.filter((one) => one.includes('"type"') && !one.includes('.example'))) {
      const payload = JSON.parse(text);
      const answer = await bench.inject({ method: 'POST', url: payload.jobs === undefined ? '/api/jobs' : '/api/jobs/bulk', payload });
      expect([text, answer.statusCode]).toEqual([text, 201]);
    }
  });
});
