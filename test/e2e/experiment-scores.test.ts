// Scores, over real HTTP against the real process: a judge that fails in turn, judging again without the agent, repetitions,
// comparison and the gate, error rates, retry of what failed, export and import, the report page; and keys that are nowhere.
import Database from 'better-sqlite3';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ServerProcess } from '../fault/server.ts';
import { type AgentProcess, startAgent } from '../support/agent.ts';

const LIMIT = { timeout: 120_000 };
const JUDGE_KEY = 'sk-judge-key-that-nobody-may-see-1';
const AGENT_KEY = 'agent-header-that-nobody-may-see-2';
const RUN_KEY = 'run-header-that-nobody-may-see-3';
let agent: AgentProcess;
let folder: string;
let server: ServerProcess;
let url: string;
let provider: Server;
let providerUrl: string;
/** What the provider answers next; the last one for ever. */
let script: { status: number; body: string }[] = [];
let asked = 0;

const verdict = (accuracy: number) => JSON.stringify({ choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: JSON.stringify({ pass_fail_status: accuracy >= 70 ? 'passed' : 'failed', accuracy, reasoning: `As the key ${JUDGE_KEY} says.`, improvement_strategies: [] }) } }], usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 } });

beforeAll(async () => {
  agent = await startAgent();
  folder = mkdtempSync(join(tmpdir(), 'muster-eval-'));
  server = new ServerProcess(['src/start.mjs'], join(folder, 'muster.db'), { env: { LOG_LEVEL: 'debug' } });
  ({ url } = await server.ready);
  provider = createServer((request, response) => {
    request.resume().on('end', () => {
      const { status, body } = script[Math.min(asked++, script.length - 1)]!;
      response.writeHead(status, { 'content-type': 'application/json', 'retry-after-ms': '0', ...(status === 429 ? { 'retry-after': '0' } : {}) }).end(body);
    });
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => { provider.once('listening', resolve); });
  providerUrl = `http://127.0.0.1:${(provider.address() as AddressInfo).port}/v1`;
  await call('POST', '/api/eval/agents', { key: 'plain', endpoint: agent.url, headers: { authorization: `Bearer ${AGENT_KEY}` } });
  await call('POST', '/api/eval/models', { id: 'gpt', baseUrl: providerUrl, apiKey: JUDGE_KEY, prices: { input: 1, output: 1 } });
});
afterAll(async () => {
  await agent.stop();
  provider.closeAllConnections();
  provider.close();
  await server.kill('SIGTERM');
  rmSync(folder, { recursive: true, force: true });
});

async function call(method: string, path: string, body?: unknown): Promise<{ status: number; body: any; text: string; headers: Headers }> {
  const answer = await fetch(url + path, { method, ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }) });
  const text = await answer.text();
  return { status: answer.status, text, headers: answer.headers, body: /json/.test(answer.headers.get('content-type') ?? '') && text !== '' ? JSON.parse(text.startsWith('[') || text.startsWith('{') ? text : 'null') : null };
}
async function ended(id: string): Promise<any> {
  for (;;) {
    const { body } = await call('GET', `/api/jobs/${id}?wait=30`);
    if (body.state !== 'PENDING') return body;
  }
}
async function run(name: string, prompts: readonly string[], config: Record<string, unknown> = {}): Promise<any> {
  const ids = prompts.map((_, i) => `${name}-${i}`);
  await call('POST', '/api/eval/test-cases/import', ids.map((id, i) => ({ id, name: id, initialPrompt: prompts[i], expectedOutcomes: ['tool: search', 'The cause is the slow query'] })));
  await call('PUT', `/api/eval/experiments/${name}`, { name, testCaseIds: ids }).then(({ status }) => (status === 404 ? call('POST', '/api/eval/experiments', { id: name, name, testCaseIds: ids }) : null));
  const made = await call('POST', '/api/jobs', { experimentId: name, runConfig: { name: 'Run', agentKey: 'plain', modelId: 'rules', ...config } });
  expect(made.status).toBe(201);
  await call('POST', `/api/jobs/${made.body.id}/start`);
  return await ended(made.body.id);
}

test('a judge that answers 429, 500, broken JSON and then a verdict: the score is right, and each try is an attempt of its job', LIMIT, async () => {
  asked = 0;
  script = [{ status: 429, body: `{"error":{"message":"slow down ${JUDGE_KEY}"}}` }, { status: 500, body: `${JUDGE_KEY}` }, { status: 200, body: '{"choices":[{"message":{"content":"{\\"accuracy\\":"}}]}' }, { status: 200, body: verdict(85) }];
  const done = await run('tries', ['hello'], { modelId: 'gpt', headers: { 'x-run': RUN_KEY } });
  expect(done).toMatchObject({ status: 'completed', results: { 'tries-0': { status: 'completed' } }, runConfig: { headers: { 'x-run': '[secret]' } } });
  const { body: children } = await call('GET', `/api/jobs/${done.id}/children`);
  const { body: judges } = await call('GET', `/api/jobs/${children.jobs[0].id}/children`);
  expect(judges.jobs[0]).toMatchObject({ type: 'judge', status: 'completed', attempt: 4 });
  expect(judges.jobs[0].attempts.map(({ outcome, error }: any) => [outcome, error?.code ?? null])).toEqual([['failed', 'http_status'], ['failed', 'http_status'], ['failed', 'judge_invalid'], ['completed', null]]);
  const { body: report } = await call('GET', `/api/eval/reports/${done.results['tries-0'].reportId}?raw=1`);
  expect(report).toMatchObject({ passFailStatus: 'passed', metrics: { accuracy: 85 }, judge: { modelId: 'gpt', kind: 'openai' }, judgeUsage: { inputTokens: 10, outputTokens: 5, cost: 0.000015 }, llmJudgeReasoning: 'As the key [secret] says.' });
  expect(report.rawEvents.at(-1)).toMatchObject({ type: 'RUN_FINISHED' });
});

test('a report is judged again without the agent, and keeps the verdicts it had', LIMIT, async () => {
  const done = await run('again', ['hello again']);
  const { reportId } = done.results['again-0'];
  const began = agent.noted().length;
  asked = 0;
  script = [{ status: 200, body: verdict(40) }];
  const again = await call('POST', `/api/eval/reports/${reportId}/rejudge`, { modelId: 'gpt' });
  expect(again).toMatchObject({ status: 202, body: { reportId } });
  expect(await ended(again.body.jobId)).toMatchObject({ type: 'judge', status: 'completed' });
  const { body: report } = await call('GET', `/api/eval/reports/${reportId}`);
  expect(report).toMatchObject({ metrics: { accuracy: 40 }, passFailStatus: 'failed', judge: { modelId: 'gpt' }, judgements: 2 });
  expect(report.verdicts.map((one: any) => one.judge.modelId)).toEqual(['rules', 'gpt']);
  expect(agent.noted()).toHaveLength(began);
});

test('repetitions have a mean and a spread; against a baseline a run that got worse fails the gate', LIMIT, async () => {
  const base = await run('gate', ['one', 'two', 'three'], { repetitions: 2, width: 3 });
  expect(base).toMatchObject({ status: 'completed', result: { total: 6, passed: 6, accuracy: { n: 6, mean: 100, sd: 0 }, gate: null } });
  expect(base.results['gate-0'].reportIds).toHaveLength(2);
  const same = await run('gate', ['one', 'two', 'three'], { repetitions: 2, baseline: { jobId: base.id } });
  expect(same.result.gate).toMatchObject({ verdict: 'PASS', difference: { mean: 0 } });
  // A planted regression: cut short before it answers.
  const worse = await run('gate', ['one', 'two', 'three'], { limits: { steps: 1 }, baseline: { jobId: base.id } });
  expect(worse.result).toMatchObject({ passed: 0, failed: 3, gate: { verdict: 'FAIL' } });
  const { body: comparison } = await call('GET', `/api/eval/runs/${worse.id}/comparison?baseline=${base.id}`);
  expect(comparison).toMatchObject({ verdict: 'FAIL', cases: [{ useCaseId: 'gate-0', before: 100, change: 'worse' }, { change: 'worse' }, { change: 'worse' }] });
  const page = await call('GET', `/api/eval/runs/${worse.id}/report.html`);
  expect(page.headers.get('content-security-policy')).toMatch(/^default-src 'none'; style-src 'sha256-[^']+'/);
  expect(page.text).toContain('<svg');
  expect(page.text).toMatch(/class="FAIL">FAIL/);
  expect(page.text).not.toMatch(/<script|javascript:|https?:\/\//);
});

test('a case that the agent breaks has failed with a reason and a report; retry runs only what failed', LIMIT, async () => {
  const done = await run('broken', ['fine', 'mode=error', 'mode=close']);
  expect(done).toMatchObject({ status: 'completed', results: { 'broken-0': { status: 'completed' }, 'broken-1': { status: 'failed' }, 'broken-2': { status: 'failed' } }, result: { errors: 2 } });
  const { body: report } = await call('GET', `/api/eval/reports/${done.results['broken-1'].reportId}`);
  expect(report).toMatchObject({ status: 'failed', passFailStatus: 'failed', metrics: { accuracy: 0 }, llmJudgeReasoning: expect.stringMatching(/^Evaluation failed: The agent reported an error: the model is out of tokens/) });
  const began = agent.noted().length;
  expect((await call('POST', `/api/jobs/${done.id}/retry`)).body).toMatchObject({ success: true });
  expect(await ended(done.id)).toMatchObject({ status: 'completed', results: done.results });
  expect(agent.noted().slice(began)).toEqual(['begin mode=error', 'begin mode=close']);
  expect((await call('GET', `/api/eval/reports?jobId=${done.id}`)).body.reports).toHaveLength(3);
});

test('past its error rate a run stops and fails', LIMIT, async () => {
  const done = await run('rate', ['mode=close', 'mode=close', 'fine', 'fine'], { maxErrorRate: 0.25 });
  expect(done).toMatchObject({ status: 'failed', failure: { code: 'error_rate' }, children: { failed: 2, cancelled: 2 } });
  expect(done.error).toMatch(/2 of 4 cases ended without a score; at most 1 may/);
});

test('one case at once, by the built-in agent and judge', LIMIT, async () => {
  await call('POST', '/api/eval/test-cases', { id: 'single', name: 'Single', initialPrompt: 'Why is checkout slow?', expectedOutcomes: ['tool: SearchIndexTool', 'contains: root cause'] });
  const { status, body } = await call('POST', '/api/eval/test', { testCaseId: 'single', agentKey: 'demo', modelId: 'rules' });
  expect(status).toBe(200);
  expect(body).toMatchObject({ status: 'completed', runId: expect.stringMatching(/^run-/), metrics: { accuracy: 100 }, passFailStatus: 'passed', judge: { kind: 'rules', prompt: 'rules@1' } });
  expect(body.trajectory.map((step: any) => step.type)).toEqual(['thinking', 'assistant', 'action', 'tool_result', 'response']);
  expect((await call('GET', `/api/eval/reports/${body.reportId}`)).body).toMatchObject({ testCaseId: 'single', trajectory: body.trajectory });
  expect((await call('POST', '/api/eval/test', { testCaseId: 'nowhere', agentKey: 'demo' })).status).toBe(404);
  const judged = await call('POST', '/api/judge', { trajectory: body.trajectory, expectedOutcomes: ['tool: none'] });
  expect(judged.body).toMatchObject({ passFailStatus: 'failed', metrics: { accuracy: 0 } });
});

test('what was stored goes out and comes in again: cases, experiments, agents, reports, as JSON and as lines', LIMIT, async () => {
  for (const kind of ['test-cases', 'experiments', 'agents']) {
    const { body } = await call('GET', `/api/eval/${kind}/export`);
    expect((await call('POST', `/api/eval/${kind}/import`, body)).status).toBe(200);
    const lines = await fetch(`${url}/api/eval/${kind}/export?format=jsonl`).then((answer) => answer.text());
    expect(lines.trim().split('\n')).toHaveLength(body.length);
    const taken = await fetch(`${url}/api/eval/${kind}/import`, { method: 'POST', headers: { 'content-type': 'application/x-ndjson' }, body: lines });
    expect(taken.status).toBe(200);
    expect((await call('GET', `/api/eval/${kind}/export`)).body).toEqual(expect.arrayContaining(body));
  }
  const { body: reports } = await call('GET', '/api/eval/reports/export?raw=1');
  const mine = reports.filter((report: any) => report.testCaseId === 'single').map((report: any) => ({ ...report, id: `copy-${report.id}` }));
  expect((await call('POST', '/api/eval/reports/import', mine)).body).toEqual({ ids: mine.map((report: any) => report.id) });
  expect((await call('GET', `/api/eval/reports/${mine[0].id}?raw=1`)).body).toMatchObject({ metrics: mine[0].metrics, trajectory: mine[0].trajectory, rawEvents: mine[0].rawEvents, passFailStatus: 'passed', judge: mine[0].judge });
  // A key that was stored stays when its document is imported again.
  expect((await call('GET', '/api/eval/agents/plain')).body).toMatchObject({ key: 'plain', endpoint: agent.url });
});

test('keys stand in no log, event, report, error or page; in the file only where no route reads', LIMIT, async () => {
  const secrets = new RegExp([JUDGE_KEY, AGENT_KEY, RUN_KEY, Buffer.from(JUDGE_KEY).toString('base64').slice(0, 30)].join('|'));
  const seen: string[] = [server.log()];
  for (const path of ['/api/jobs?limit=200', '/api/eval/agents', '/api/eval/models', '/api/eval/experiments', '/api/eval/reports?limit=200', '/api/eval/reports/export?raw=1', '/api/eval/models/export', '/api/eval/agents/export', '/metrics']) seen.push((await call('GET', path)).text);
  for (const { id } of (await call('GET', '/api/jobs?limit=200')).body.jobs) for (const path of ['', '/events?limit=1000', '/logs', '/children']) seen.push((await call('GET', `/api/jobs/${id}${path}`)).text);
  for (const text of seen) expect(secrets.exec(text)).toBeNull();
  const db = new Database(join(folder, 'muster.db'), { readonly: true });
  const tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").pluck().all() as string[];
  const holding = tables.filter((name) => secrets.test(JSON.stringify(db.prepare(`SELECT * FROM "${name}"`).all())));
  db.close();
  expect(holding).toEqual(['document_secret']); // and so this test can see one
});
