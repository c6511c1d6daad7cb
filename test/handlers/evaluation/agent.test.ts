// A real agent process that misbehaves in every way there is: each ends in a failed case with a reason, none in a stuck run.
import { AGUIMock } from '@copilotkit/aimock';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { EvaluationInput } from '../../../src/domain/evaluation/model.ts';
import { runAgent, type AgentRun } from '../../../src/handlers/evaluation/agent.ts';
import { createEvaluation } from '../../../src/handlers/evaluation/evaluation.ts';
import { Pump } from '../../../src/handlers/evaluation/pump.ts';
import { type EvaluationTools, NO_EVALUATION_METER } from '../../../src/handlers/evaluation/tools.ts';
import { type AgentProcess, startAgent } from '../../support/agent.ts';
import { claim, clock, contextFor, egressFor, never } from '../support.ts';

let agent: AgentProcess;
beforeAll(async () => { agent = await startAgent(); });
afterAll(() => agent.stop());

const tools = (more: Partial<EvaluationTools> = {}): EvaluationTools => ({
  egress: egressFor(), clock, meter: NO_EVALUATION_METER, part: async () => null, secret: async () => null, report: async () => null, outcomes: async () => [], ...more,
});
const input = (prompt: string, more: Partial<EvaluationInput> = {}): EvaluationInput => ({
  experimentId: null, experimentRunId: null, useCaseId: 'c', version: 1, repetition: 0, useCase: { name: 'c', initialPrompt: prompt, context: [] },
  agent: { key: 'a', endpoint: agent.url, timeouts: { first: 400, silence: 400, total: 20_000 } }, modelId: 'rules', judge: { modelId: 'rules', kind: 'rules' }, ...more,
});
const run = (prompt: string, more: Partial<EvaluationInput> = {}, signal: AbortSignal = never): Promise<AgentRun> =>
  runAgent(tools(), new Pump(clock), input(prompt, more), claim(input(prompt, more), { type: 'evaluation' }), { headers: {}, onStep: () => {}, signal });

describe('a run that goes well', () => {
  test('has the steps, the raw events, the run id of RUN_STARTED and the usage', async () => {
    const done = await run('hello');
    expect(done.error).toBeNull();
    expect(done.steps.map(({ type }) => type)).toEqual(['thinking', 'action', 'tool_result', 'response']);
    expect(JSON.parse(done.rawEvents).map(({ type }: any) => type)).toEqual(expect.arrayContaining(['RUN_STARTED', 'STATE_DELTA', 'RUN_FINISHED']));
    expect(done).toMatchObject({ runId: expect.stringMatching(/^run-/), usage: { inputTokens: 30, outputTokens: 12 }, limit: null, rawDropped: 0 });
  });
  test.each(['old', 'chunks'])('%s names mean the same', async (mode) => {
    const done = await run(`mode=${mode}`);
    expect([done.error, done.steps.map(({ type }) => type)]).toEqual([null, ['thinking', 'action', 'tool_result', 'response']]);
  });
  test('the demo agent needs no network', async () => {
    const done = await run('why is it slow?', { agent: { key: 'demo', endpoint: 'mock://demo' } });
    expect([done.error, done.steps.map(({ type }) => type)]).toEqual([null, ['thinking', 'assistant', 'action', 'tool_result', 'response']]);
  });
});

describe("others' mock of an agent", () => {
  const mock = new AGUIMock();
  const started = mock.start();
  afterAll(async () => { await started; await mock.stop(); });
  const ask = async (prompt: string): Promise<AgentRun> => {
    await started;
    return await run(prompt, { agent: { key: 'a', endpoint: `${mock.url}/`, timeouts: { first: 5_000, silence: 400, total: 20_000 } } });
  };

  test('is understood: text, tools, thoughts', async () => {
    mock.onMessage(/hello/, 'Hello there.').onToolCall(/search/, 'search', '{"q":1}', { result: '{"found":2}' }).onReasoning(/think/, 'I think so.');
    expect((await ask('hello')).steps).toMatchObject([{ type: 'response', content: 'Hello there.' }]);
    expect((await ask('search')).steps).toMatchObject([{ type: 'action', toolName: 'search', toolArgs: { q: 1 } }, { type: 'tool_result', content: '{\n  "found": 2\n}' }]);
    expect((await ask('think')).steps).toMatchObject([{ type: 'thinking', content: 'I think so.' }]);
  });
  test('its faults are reasons: an error, events out of order, a stream that ends too soon, nothing at all', async () => {
    mock.onRun(/fail/, [{ type: 'RUN_STARTED', threadId: 't', runId: 'r' }, { type: 'RUN_ERROR', message: 'mocked' }] as never)
      .onRun(/disorder/, [{ type: 'RUN_STARTED', threadId: 't', runId: 'r' }, { type: 'TEXT_MESSAGE_CONTENT', messageId: 'm', delta: 'x' }] as never)
      .onRun(/short/, [{ type: 'RUN_STARTED', threadId: 't', runId: 'r' }] as never);
    expect((await ask('fail')).error).toMatchObject({ code: 'participant_failed', message: expect.stringContaining('mocked') });
    expect((await ask('disorder')).error).toMatchObject({ code: 'invalid_answer', message: expect.stringContaining('legal order') });
    expect((await ask('short')).error).toMatchObject({ code: 'invalid_answer', message: expect.stringContaining('before RUN_FINISHED') });
    expect((await ask('unknown to it')).error).toMatchObject({ code: 'http_status' });
  });
});

describe('ends with a reason', () => {
  test.each([
    ['mode=error', 'participant_failed', /out of tokens/], ['mode=cut', 'network', /./], ['mode=close', 'invalid_answer', /before RUN_FINISHED/], ['mode=status', 'http_status', /503: out of order/],
    ['mode=html', 'invalid_answer', /text\/html/], ['mode=silent', 'timeout', /sent no data within 400 ms/], ['mode=stall', 'timeout', /nothing more within 400 ms/], ['mode=malformed', 'invalid_answer', /TEXT_MESSAGE_START is malformed/],
    ['mode=broken', 'invalid_answer', /not JSON/], ['mode=order', 'invalid_answer', /legal order.*RUN_STARTED/s], ['mode=huge', 'answer_too_large', /larger than 33554432 bytes/],
  ])('%s: %s', { timeout: 60_000 }, async (prompt, code, why) => {
    const { error } = await run(prompt);
    expect(error).toMatchObject({ code, message: expect.stringMatching(why) });
  });
  test('an endless stream: at the end of its time', async () => {
    expect((await run('mode=endless', { agent: { key: 'a', endpoint: agent.url, timeouts: { total: 600 } } })).error).toMatchObject({ code: 'timeout', message: expect.stringContaining('longer than 600 ms') });
  });
  test('nobody there, and an address that may not be called', async () => {
    expect((await run('x', { agent: { key: 'a', endpoint: 'http://127.0.0.1:1/' } })).error).toMatchObject({ code: 'egress_refused' });
    expect((await run('x', { agent: { key: 'a', endpoint: 'http://169.254.169.254/' } })).error).toMatchObject({ code: 'egress_refused' });
    expect((await run('x', { agent: { key: 'a', endpoint: 'http://127.0.0.1:65001/' } })).error).toMatchObject({ code: 'network' });
  });
  test('cut off from our side, it says so and lets go of the socket', async () => {
    const controller = new AbortController();
    const running = run('mode=endless', {}, controller.signal);
    setTimeout(() => controller.abort(new Error('enough')), 100);
    expect(await running).toMatchObject({ aborted: true });
  });
});

describe('a limit that is reached is no error', () => {
  test.each([['steps', 'mode=steps', { steps: 5 }], ['tokens', 'hello', { tokens: 40 }], ['time', 'mode=endless', { time: 300 }]])('%s', async (limit, prompt, limits) => {
    const done = await run(prompt, { limits });
    expect(done).toMatchObject({ limit, error: null });
    if (limit === 'steps') expect(done.steps.length).toBeLessThanOrEqual(6);
  });
});

test('what the agent says of its headers is kept nowhere', async () => {
  const key = 'Bearer sk-very-secret-0123456789';
  const handler = createEvaluation(tools({ secret: async (kind) => (kind === 'agent' ? JSON.stringify({ headers: { authorization: key } }) : null) }));
  const context = contextFor();
  const outcome = await handler(claim(input('mode=echo'), { type: 'evaluation' }), context);
  expect(outcome.kind).toBe('spawn');
  expect(JSON.stringify([outcome, context.lines, context.stepped])).not.toContain('sk-very-secret');
  expect(JSON.stringify(outcome)).toContain('[secret]');
});

test('an agent has as many runs at once as it allows; who comes too late comes back', async () => {
  const deferred: string[] = [];
  const handler = createEvaluation(tools({ meter: { ...NO_EVALUATION_METER, deferred: (what) => deferred.push(what) } }));
  const controller = new AbortController();
  onTestFinished(() => controller.abort());
  const one = input('mode=endless', { agent: { key: 'a', endpoint: agent.url, concurrency: 1 } });
  const first = handler(claim(one, { id: 'job_1' }), contextFor({ signal: controller.signal }));
  expect(await handler(claim(one, { id: 'job_2' }), contextFor())).toEqual({ kind: 'later', delay: 250 });
  expect(deferred).toEqual(['agent']);
  controller.abort(new Error('enough'));
  expect((await first).kind).toBe('interrupted');
  expect((await handler(claim(input('hello', { agent: { key: 'a', endpoint: agent.url, concurrency: 1 } }), { id: 'job_3' }), contextFor())).kind).toBe('spawn');
});
