// The contract's table of events and steps, on every recorded stream and row by row.
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Step } from '../../../src/domain/evaluation/steps.ts';
import { openEvents } from '../../../src/handlers/evaluation/events.ts';

const FOLDER = new URL('../../data/ag-ui/', import.meta.url);
type Event = Record<string, any> & { type: string };
const recorded = (name: string): Event[] => JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8'));

async function convert(events: readonly Event[], now = 1_000): Promise<{ steps: Step[]; live: Step[]; problem: string | null; reader: Awaited<ReturnType<typeof openEvents>> }> {
  const live: Step[] = [];
  const reader = await openEvents((step) => live.push(step));
  let problem: string | null = null;
  for (const [i, event] of events.entries()) problem ??= reader.accept(event, now + i)?.message ?? null;
  reader.end();
  return { steps: [...reader.steps], live, problem, reader };
}
const RUN = { type: 'RUN_STARTED', threadId: 't', runId: 'r' };
const END = { type: 'RUN_FINISHED', threadId: 't', runId: 'r' };
const text = (id: string, ...deltas: string[]): Event[] => [{ type: 'TEXT_MESSAGE_START', messageId: id, role: 'assistant' }, ...deltas.map((delta) => ({ type: 'TEXT_MESSAGE_CONTENT', messageId: id, delta })), { type: 'TEXT_MESSAGE_END', messageId: id }];
const call = (id: string, name: string, ...deltas: string[]): Event[] => [{ type: 'TOOL_CALL_START', toolCallId: id, toolCallName: name }, ...deltas.map((delta) => ({ type: 'TOOL_CALL_ARGS', toolCallId: id, delta })), { type: 'TOOL_CALL_END', toolCallId: id }];
const result = (id: string, content: string): Event => ({ type: 'TOOL_CALL_RESULT', messageId: `of-${id}`, toolCallId: id, content, role: 'tool' });

/** What the table demands of a stream, told without a converter: by looking at the events of each entity. */
function demanded(events: readonly Event[]): { type: string; content?: string; toolName?: string; toolArgs?: unknown }[] {
  const joined = (type: string, key: string, id: string): string => events.filter((event) => event.type === type && event[key] === id).map((event) => event.delta).join('');
  const wanted: { at: number; type: string; content?: string; toolName?: string; toolArgs?: unknown }[] = [];
  for (const [at, event] of events.entries()) {
    if (event.type === 'TEXT_MESSAGE_END') wanted.push({ at, type: 'assistant', content: joined('TEXT_MESSAGE_CONTENT', 'messageId', event.messageId) });
    if (event.type === 'REASONING_MESSAGE_END') wanted.push({ at, type: 'thinking', content: joined('REASONING_MESSAGE_CONTENT', 'messageId', event.messageId) });
    if (event.type === 'TOOL_CALL_END') {
      const name = events.find((one) => one.type === 'TOOL_CALL_START' && one.toolCallId === event.toolCallId)?.toolCallName;
      wanted.push({ at, type: 'action', content: `Calling ${name}...`, toolName: name, toolArgs: JSON.parse(joined('TOOL_CALL_ARGS', 'toolCallId', event.toolCallId)) });
    }
    if (event.type === 'TOOL_CALL_RESULT') wanted.push({ at, type: 'tool_result', content: JSON.stringify(JSON.parse(event.content), null, 2) });
  }
  const kept = wanted.filter(({ content }) => content?.trim() !== '');
  const last = events.some(({ type }) => type === 'RUN_FINISHED') ? kept.findLast(({ type }) => type === 'assistant') : undefined;
  if (last !== undefined) last.type = 'response';
  return kept.map(({ at: _at, ...rest }) => rest);
}

const streams = readdirSync(FOLDER).filter((name) => name.startsWith('dotnet_'));

describe('every recorded stream', () => {
  test.each(streams)('%s gives the steps that the table demands, and the official client takes it', async (name) => {
    const events = recorded(name);
    const { steps, problem, reader } = await convert(events);
    expect(problem).toBeNull();
    expect(reader.finished).toBe(true);
    expect(steps).toMatchObject(demanded(events));
    expect(steps).toHaveLength(demanded(events).length);
    expect(reader.runId).toBe('run_Id_1');
  });

  test('events of a later version are taken for what we know of them', async () => {
    const known = recorded('forward-compatibility.json').filter(({ type }) => ['RUN_STARTED', 'STATE_SNAPSHOT', 'STATE_DELTA', 'CUSTOM', 'RAW', 'ACTIVITY_SNAPSHOT', 'RUN_FINISHED'].includes(type));
    expect(await convert([...known.slice(0, 1), { type: 'FROM_THE_FUTURE', what: 1 }, ...known.slice(1)])).toMatchObject({ problem: null });
  });

  test.each(['message-events.json', 'tool-call-events.json', 'activity-events.json', 'run-events.json'])('each event of %s is well formed: only its place can be wrong', async (name) => {
    for (const event of recorded(name)) {
      const { problem } = await convert(event.type === 'RUN_STARTED' ? [event] : [RUN, event]);
      if (problem !== null) expect(problem).toMatch(/not in a legal order/);
    }
  });
});

describe('the table, row by row', () => {
  const types = async (...events: Event[]): Promise<string[]> => (await convert([RUN, ...events, END])).steps.map(({ type }) => type);

  test('the last assistant text becomes the response, also when a tool follows it; followers of the live steps hear of it', async () => {
    expect(await types(...text('a', 'one'), ...text('b', 'two'))).toEqual(['assistant', 'response']);
    const { steps, live } = await convert([RUN, ...text('a', 'hello'), ...call('t', 'x', '{}'), END]);
    expect(steps.map(({ type }) => type)).toEqual(['response', 'action']);
    expect(live.map(({ id, type }) => [id, type])).toEqual([['step-1', 'assistant'], ['step-2', 'action'], ['step-1', 'response']]);
  });
  test('empty texts and empty thoughts are no steps', async () => expect(await types(...text('a', ' ', ''), ...text('b'))).toEqual([]));
  test('a text that was quoted of the user is no response', async () => {
    expect(await types(...text('a', 'mine'), { type: 'TEXT_MESSAGE_START', messageId: 'u', role: 'user' }, { type: 'TEXT_MESSAGE_CONTENT', messageId: 'u', delta: 'yours' }, { type: 'TEXT_MESSAGE_END', messageId: 'u' })).toEqual(['response', 'assistant']);
  });
  test('arguments that are not a JSON object are kept raw; an id and the time of the start stand', async () => {
    const { steps } = await convert([RUN, ...call('t', 'x', '{"a":', '1'), END]);
    expect(steps).toEqual([{ id: 'step-1', timestamp: 1_001, type: 'action', content: 'Calling x...', toolName: 'x', toolArgs: { _raw: '{"a":1' } }]);
  });
  test('a result gives its action first if the end never came, is pretty if it is JSON, and is dropped if nobody asked', async () => {
    const { steps } = await convert([RUN, { type: 'TOOL_CALL_START', toolCallId: 't', toolCallName: 'x' }, result('t', '{"a":1}'), { type: 'TOOL_CALL_END', toolCallId: 't' }, result('nobody', 'x'), END]);
    expect(steps).toMatchObject([{ type: 'action' }, { type: 'tool_result', status: 'SUCCESS', content: '{\n  "a": 1\n}', latencyMs: 1 }]);
  });
  test('activities are actions, and their check mark is a result', async () => {
    const { steps } = await convert([RUN, { type: 'ACTIVITY_SNAPSHOT', messageId: 'a', activityType: 'T', content: { title: 'Running search completed', description: 'index: logs\nsize: 5' } },
      { type: 'ACTIVITY_DELTA', messageId: 'a', activityType: 'T', patch: [{ op: 'replace', path: '/icon', value: 'CheckCircle' }, { op: 'replace', path: '/description', value: 'found 3' }] },
      { type: 'ACTIVITY_DELTA', messageId: 'a', activityType: 'T', patch: [{ op: 'replace', path: '/icon', value: 'Spinner' }] }, END]);
    expect(steps).toMatchObject([{ type: 'action', toolName: 'search', toolArgs: { index: 'logs', size: '5' } }, { type: 'tool_result', content: 'found 3' }]);
  });
  test.each([['THINKING_TEXT_MESSAGE', 'THINKING'], ['REASONING_MESSAGE', 'REASONING']])('%s_* gives a thought with the time of its start', async (message, span) => {
    const id = message === 'REASONING_MESSAGE' ? { messageId: 'x' } : {};
    const { steps, problem } = await convert([RUN, { type: `${span}_START`, ...id }, { type: `${message}_START`, ...id, ...(message === 'REASONING_MESSAGE' ? { role: 'reasoning' } : {}) }, { type: `${message}_CONTENT`, ...id, delta: 'hm' }, { type: `${message}_END`, ...id }, { type: `${span}_END`, ...id }, END]);
    expect(problem).toBeNull();
    expect(steps).toEqual([{ id: 'step-1', timestamp: 1_002, type: 'thinking', content: 'hm' }]);
  });
  test('chunks are what they stand for', async () => {
    expect(await types({ type: 'REASONING_MESSAGE_CHUNK', messageId: 'r', delta: 'hm' }, { type: 'TOOL_CALL_CHUNK', toolCallId: 't', toolCallName: 'x', delta: '{}' }, { type: 'TEXT_MESSAGE_CHUNK', messageId: 'a', delta: 'so' })).toEqual(['thinking', 'action', 'response']);
  });
  test('RUN_ERROR is a failed result, and what was said before it stays said', async () => {
    const { steps, reader } = await convert([RUN, ...text('a', 'well'), { type: 'RUN_ERROR', message: 'gone' }]);
    expect(steps).toMatchObject([{ type: 'assistant' }, { type: 'tool_result', content: 'Error: gone', status: 'FAILURE' }]);
    expect(reader.failed).toBe('gone');
  });
  test('the time of an event is its own, and steps stand in that order', async () => {
    const { steps } = await convert([RUN, ...text('a', 'x').map((event) => ({ ...event, timestamp: 77 })), END]);
    expect(steps[0]?.timestamp).toBe(77);
  });
});

describe('refused with a reason', () => {
  test.each([
    ['no start', [...text('a', 'x')], /First event must be 'RUN_STARTED'/], ['a text that was never begun', [RUN, { type: 'TEXT_MESSAGE_CONTENT', messageId: 'a', delta: 'x' }], /legal order/],
    ['an end with a text open', [RUN, ...text('a', 'x').slice(0, 2), END], /still active/], ['a malformed event', [RUN, { type: 'TEXT_MESSAGE_START', messageId: 7 }], /TEXT_MESSAGE_START is malformed: messageId/],
    ['no object', [RUN, 5 as unknown as Event], /not an object with a type/],
  ])('%s', async (_what, events, why) => expect((await convert(events as Event[])).problem).toMatch(why));
});
