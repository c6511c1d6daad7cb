// The demo agent speaks AG-UI as the official client has it: its verification and its apply functions take every event.
import { defaultApplyEvents, transformChunks, verifyEvents } from '@ag-ui/client';
import { EventSchema } from '@ag-ui/core/schemas';
import { from, lastValueFrom, toArray } from 'rxjs';
import { expect, test } from 'vitest';
import { demoEvents, demoStream } from '../../../src/domain/evaluation/demo-agent.ts';

const input = { threadId: 't', runId: 'r', messages: [{ id: 'm', role: 'user' as const, content: 'Why is checkout slow?' }], tools: [], context: [{ description: 'Services', value: 'checkout' }], state: {}, forwardedProps: {} };

test('every event is well formed and in its place', async () => {
  for (const event of demoEvents(input)) expect(EventSchema.safeParse(event).error).toBeUndefined();
  const seen = await lastValueFrom(from(demoEvents(input) as never[]).pipe(transformChunks(), verifyEvents(), toArray()));
  expect(seen).toHaveLength(demoEvents(input).length);
});

test('applied, they make the messages and the state that they tell', async () => {
  const events = from(demoEvents(input) as never[]).pipe(transformChunks(), verifyEvents());
  const agent = { agentId: 'demo', messages: [...input.messages], state: {} };
  const changes = await lastValueFrom(defaultApplyEvents(input as never, events as never, agent as never, []).pipe(toArray()));
  const messages = changes.findLast(({ messages: list }) => list !== undefined)?.messages ?? [];
  expect(messages.map(({ role }) => role)).toEqual(expect.arrayContaining(['user', 'assistant', 'tool']));
  expect(messages.filter(({ role }) => role === 'assistant').map(({ content }) => content).join(' ')).toContain('Why is checkout slow?');
  expect(changes.findLast(({ state }) => state !== undefined)?.state).toEqual({ phase: 'answering' });
});

test('the same case gives the same bytes', () => expect(demoStream(input)).toBe(demoStream(input)));
