// The seed's success criteria, over real HTTP against the real process and a real AG-UI agent: twelve cases, paused after the
// third, the server killed during the sixth, resumed; five clients that see the same; cancel; restarts.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { ServerProcess } from '../fault/server.ts';
import { type AgentProcess, startAgent } from '../support/agent.ts';
import { openStream, type SseClient } from '../support/sse.ts';

const LIMIT = { timeout: 180_000 };
let agent: AgentProcess;
let folder: string;
let server: ServerProcess;
let url: string;

const start = async (): Promise<void> => {
  server = new ServerProcess(['src/start.mjs'], join(folder, 'muster.db'));
  ({ url } = await server.ready);
};
beforeAll(async () => { agent = await startAgent(); });
afterAll(() => agent.stop());
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'muster-eval-'));
  await start();
});
afterEach(async () => {
  await server.kill('SIGTERM');
  rmSync(folder, { recursive: true, force: true });
});

const call = async (method: string, path: string, body?: unknown): Promise<{ status: number; body: any }> => {
  const answer = await fetch(url + path, { method, ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }) });
  const text = await answer.text();
  return { status: answer.status, body: text === '' ? null : JSON.parse(text) };
};
const job = async (id: string): Promise<any> => (await call('GET', `/api/jobs/${id}`)).body;
const progress = (useCaseId: string, status: string) => ({ data }: SseClient['events'][number]) => data?.type === 'job:progress' && data.data.useCaseId === useCaseId && data.data.status === status;
const shown = (client: SseClient) => client.events.filter(({ id }) => id !== null).map(({ raw }) => raw);

/** An experiment of so many cases, each told apart by its prompt. */
async function prepare(name: string, count: number, more: Record<string, unknown> = {}, words: (i: number) => string = () => 'delay=8'): Promise<{ id: string; cases: string[] }> {
  const cases = Array.from({ length: count }, (_, i) => `${name}-${String(i + 1).padStart(2, '0')}`);
  await call('POST', '/api/eval/test-cases/import', cases.map((id, i) => ({ id, name: id, initialPrompt: `${id} ${words(i)}`, context: [], expectedOutcomes: ['tool: search', 'The cause is the slow query'] })));
  await call('POST', '/api/eval/agents', { key: `agent-${name}`, endpoint: agent.url });
  await call('POST', '/api/eval/experiments', { id: `exp-${name}`, name, testCaseIds: cases });
  const made = await call('POST', '/api/jobs', { experimentId: `exp-${name}`, runConfig: { name: 'Test Run', agentKey: `agent-${name}`, modelId: 'rules', ...more } });
  expect(made).toMatchObject({ status: 201, body: { status: 'queued', experimentId: `exp-${name}`, useCaseIds: cases, currentUseCaseIndex: 0, currentUseCaseId: cases[0], startedAt: null, error: null } });
  return { id: made.body.id, cases };
}

test('twelve cases, paused after the third, killed in the sixth, resumed: each has one report, none ran twice to its end, and the order holds', LIMIT, async () => {
  const { id, cases } = await prepare('kill', 12, {}, (i) => (i === 5 ? 'mode=hold' : 'delay=8'));
  const first = await openStream(`${url}/api/jobs/${id}/stream`);
  expect(first.events[0]?.data ?? (await first.until(() => true)).data).toEqual({ type: 'connected' });
  expect((await call('POST', `/api/jobs/${id}/start`)).body).toMatchObject({ success: true });
  expect((await call('POST', `/api/jobs/${id}/start`)).status).toBe(409);
  // The third is at work: pause lets it end.
  await first.until(progress(cases[2]!, 'running'));
  expect((await call('POST', `/api/jobs/${id}/pause`)).body).toMatchObject({ success: true });
  await first.until(({ data }) => data?.type === 'job:status' && data.data.status === 'paused');
  const paused = await job(id);
  expect(paused).toMatchObject({ status: 'paused', currentUseCaseIndex: 3, currentUseCaseId: cases[3], pausedAt: expect.stringMatching(/Z$/), completedAt: null });
  expect(agent.noted().filter((line) => line.includes('kill-'))).toHaveLength(6);
  const early = await call('GET', `/api/eval/reports?jobId=${id}`);
  expect(early.body.reports.map((report: any) => report.testCaseId)).toEqual(cases.slice(0, 3));

  const clients = [first, ...(await Promise.all(Array.from({ length: 4 }, () => openStream(`${url}/api/jobs/${id}/stream`))))];
  expect((await call('POST', `/api/jobs/${id}/resume`)).body).toMatchObject({ success: true });
  await first.until(progress(cases[5]!, 'running'));
  await first.until(({ data }) => data?.type === 'job:trajectory' && data.data.useCaseId === cases[5]);
  await server.kill('SIGKILL');
  await Promise.all(clients.map((client) => client.ended.catch(() => {})));
  const before = clients.map((client) => client.ids().at(-1)!);

  await start();
  const found = await job(id);
  expect(found).toMatchObject({ status: 'paused', currentUseCaseIndex: 5, currentUseCaseId: cases[5] });
  // Each client goes on where it was.
  const again = await Promise.all(before.map((lastEventId) => openStream(`${url}/api/jobs/${id}/stream`, { lastEventId })));
  expect((await call('POST', `/api/jobs/${id}/resume`)).body).toMatchObject({ success: true });
  await Promise.all(again.map((client) => client.ended));
  const all = clients.map((client, i) => [...shown(client), ...shown(again[i]!)]);
  for (const one of all) expect(one).toEqual(all[0]);

  const done = await job(id);
  expect(done).toMatchObject({ status: 'completed', currentUseCaseIndex: 12, currentUseCaseId: null, completedAt: expect.any(String), error: null });
  expect(Object.keys(done.results)).toEqual(cases);
  expect(Object.values(done.results).every((result: any) => result.status === 'completed' && result.reportId.startsWith('report_'))).toBe(true);
  for (const name of cases.slice(0, 3)) expect(done.results[name]).toEqual(paused.results[name]);
  const { body: { reports } } = await call('GET', `/api/eval/reports?jobId=${id}&limit=200`);
  expect(reports.map((report: any) => report.testCaseId).toSorted()).toEqual(cases);
  expect(reports.slice(0, 3)).toEqual(early.body.reports);
  const noted = agent.noted().filter((line) => line.includes('kill-')).map((line) => line.split(' ').slice(0, 2).join(' '));
  expect(noted.filter((line) => line.startsWith('end'))).toEqual(cases.map((name) => `end ${name}`));
  expect(noted.filter((line) => line.startsWith('begin'))).toEqual([...cases.slice(0, 6), ...cases.slice(5)].map((name) => `begin ${name}`));
  // The words of the stream, case by case.
  const words = all[0]!.map((raw) => JSON.parse(/^data: (.*)$/m.exec(raw)![1]!));
  expect(new Set(words.map(({ type }) => type))).toEqual(new Set(['job:status', 'job:progress', 'job:trajectory', 'job:complete']));
  expect(words.every(({ jobId, timestamp }) => jobId === id && Number.isInteger(timestamp))).toBe(true);
  const completed = words.filter(({ type, data }) => type === 'job:progress' && data.status === 'completed').map(({ data }) => data.useCaseId);
  expect(completed).toEqual(cases);
  expect(words.filter(({ type }) => type === 'job:trajectory').map(({ data }) => data.step.type)).toEqual(expect.arrayContaining(['thinking', 'action', 'tool_result', 'response']));
  expect(words.filter(({ type }) => type === 'job:status').map(({ data }) => data.status)).toEqual(['queued', 'queued', 'running', 'running', 'paused', 'running', 'paused', 'running']);
  expect(words.at(-1)).toMatchObject({ type: 'job:complete', data: { status: 'completed', result: { total: 12, passed: 12 } } });
  expect((await call('DELETE', `/api/jobs/${id}`)).status).toBe(204);
  expect((await call('GET', `/api/jobs/${id}`)).status).toBe(404);
  expect((await call('GET', `/api/eval/reports/${done.results[cases[0]!].reportId}`)).status).toBe(200);
});

test('cancelled while it runs, the current case ends and no other begins', LIMIT, async () => {
  const { id, cases } = await prepare('stop', 3, {}, () => 'delay=20');
  const client = await openStream(`${url}/api/jobs/${id}/stream`);
  await call('POST', `/api/jobs/${id}/start`);
  await client.until(progress(cases[0]!, 'running'));
  expect((await call('POST', `/api/jobs/${id}/cancel`)).body).toMatchObject({ success: true, status: 'running' });
  await client.ended;
  const ended = await job(id);
  expect(ended).toMatchObject({ status: 'cancelled', currentUseCaseIndex: 1, results: { [cases[0]!]: { status: 'completed' }, [cases[1]!]: { status: 'failed', reportId: '' } } });
  expect(ended.error).toBe('Cancelled by request.');
  expect(agent.noted().filter((line) => line.startsWith('end stop-'))).toHaveLength(1);
  expect(client.events.at(-1)?.data).toMatchObject({ type: 'job:error', data: { status: 'cancelled', error: 'Cancelled by request.' } });
});

test('a run that says so goes on by itself after a restart', LIMIT, async () => {
  const { id, cases } = await prepare('goes', 3, { onRestart: 'resume' }, (i) => (i === 1 ? 'mode=hold' : 'delay=8'));
  const client = await openStream(`${url}/api/jobs/${id}/stream`);
  await call('POST', `/api/jobs/${id}/start`);
  await client.until(({ data }) => data?.type === 'job:trajectory' && data.data.useCaseId === cases[1]);
  await server.kill('SIGKILL');
  await client.ended.catch(() => {});
  await start();
  const after = await openStream(`${url}/api/jobs/${id}/stream`);
  await after.ended;
  expect(await job(id)).toMatchObject({ status: 'completed', currentUseCaseIndex: 3 });
  expect(agent.noted().filter((line) => line.startsWith('end goes-'))).toHaveLength(3);
});
