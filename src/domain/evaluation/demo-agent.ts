// The demo agent: a scripted AG-UI agent for newcomers and tests. The same case always gets the same events; it thinks,
// calls a tool, keeps state and answers with what the case asks about, so that every kind of step is seen.

export interface DemoInput { readonly threadId: string; readonly runId: string; readonly messages: readonly { readonly content?: unknown }[]; readonly context?: readonly unknown[] }

export interface DemoEvent extends Readonly<Record<string, unknown>> { readonly type: string }

const clip = (text: string, max: number): string => (text.length <= max ? text : `${text.slice(0, max - 1)}…`).toWellFormed();

/** In order, and legal as the official client judges it. */
export function demoEvents(input: DemoInput): DemoEvent[] {
  const { threadId, runId } = input;
  const question = clip(String(input.messages.at(-1)?.content ?? ''), 400);
  const facts = (input.context ?? []).map((item) => item as { readonly description?: unknown; readonly value?: unknown }).map(({ description, value }) => clip(`${String(description ?? '')}: ${String(value ?? '')}`.replace(/\s+/g, ' '), 200));
  const words = [`I looked into it: ${question}`, facts.length === 0 ? ' There was no context to go by.' : ` The context says: ${facts.join(' ')}`, ' Most likely the slow call is the root cause; I recommend to roll back the latest change.'];
  return [
    { type: 'RUN_STARTED', threadId, runId },
    { type: 'STATE_SNAPSHOT', snapshot: { phase: 'thinking' } },
    { type: 'REASONING_START', messageId: 'thought-1' },
    { type: 'REASONING_MESSAGE_START', messageId: 'thought-1', role: 'reasoning' },
    { type: 'REASONING_MESSAGE_CONTENT', messageId: 'thought-1', delta: 'I should look at the data ' },
    { type: 'REASONING_MESSAGE_CONTENT', messageId: 'thought-1', delta: 'before I conclude.' },
    { type: 'REASONING_MESSAGE_END', messageId: 'thought-1' },
    { type: 'REASONING_END', messageId: 'thought-1' },
    { type: 'TEXT_MESSAGE_START', messageId: 'text-1', role: 'assistant' },
    { type: 'TEXT_MESSAGE_CONTENT', messageId: 'text-1', delta: 'I will query the traces first.' },
    { type: 'TEXT_MESSAGE_END', messageId: 'text-1' },
    { type: 'TOOL_CALL_START', toolCallId: 'call-1', toolCallName: 'SearchIndexTool', parentMessageId: 'text-1' },
    { type: 'TOOL_CALL_ARGS', toolCallId: 'call-1', delta: '{"index":"otel-v1-apm-span-*",' },
    { type: 'TOOL_CALL_ARGS', toolCallId: 'call-1', delta: '"query":"slow spans"}' },
    { type: 'TOOL_CALL_END', toolCallId: 'call-1' },
    { type: 'TOOL_CALL_RESULT', messageId: 'result-1', toolCallId: 'call-1', content: '{"hits":3,"slowest":"checkout"}', role: 'tool' },
    { type: 'STATE_DELTA', delta: [{ op: 'replace', path: '/phase', value: 'answering' }] },
    { type: 'TEXT_MESSAGE_START', messageId: 'text-2', role: 'assistant' },
    ...words.map((delta) => ({ type: 'TEXT_MESSAGE_CONTENT', messageId: 'text-2', delta })),
    { type: 'TEXT_MESSAGE_END', messageId: 'text-2' },
    { type: 'RUN_FINISHED', threadId, runId },
  ];
}

export const demoStream = (input: DemoInput): string => demoEvents(input).map((event) => `data: ${JSON.stringify(event)}\n\n`).join('');
