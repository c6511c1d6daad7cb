// A real AG-UI agent as a process of its own, built on the official encoder: it streams text, tool calls, thinking, state and
// errors with delays, by what the prompt says. `node test/support/agent-server.ts LOG` prints its port; each run is a line in LOG
// when it begins and one when it has been sent whole.
import { appendFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { EventEncoder } from '@ag-ui/encoder';

const log = process.argv[2];
const note = (line: string): void => { if (log !== undefined) appendFileSync(log, `${line}\n`); };
const wait = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });

const held = new Set<string>();
interface Input { threadId: string; runId: string; messages: { content: string }[] }

/** Words of the prompt that it obeys: `delay=20`, `mode=error|cut|silent|malformed|order|endless|html|status|huge|old|chunks|many|hold`, `events=1000`. */
const option = (prompt: string, name: string): string | undefined => new RegExp(`\\b${name}=(\\S+)`).exec(prompt)?.[1];

async function run(input: Input, prompt: string, response: ServerResponse): Promise<void> {
  const { threadId, runId } = input;
  const mode = option(prompt, 'mode') ?? 'plain';
  const delay = Number(option(prompt, 'delay') ?? 0);
  const encoder = new EventEncoder();
  let open = true;
  let wake = (): void => {};
  response.on('close', () => { open = false; wake(); }).on('drain', () => wake());
  const send = async (event: Record<string, unknown>): Promise<void> => {
    if (!open) return;
    if (!response.write(encoder.encode(event as never))) await new Promise<void>((resolve) => { wake = resolve; });
    if (delay > 0) await wait(delay);
  };
  const text = async (id: string, ...deltas: string[]): Promise<void> => {
    await send({ type: 'TEXT_MESSAGE_START', messageId: id, role: 'assistant' });
    for (const delta of deltas) await send({ type: 'TEXT_MESSAGE_CONTENT', messageId: id, delta });
    await send({ type: 'TEXT_MESSAGE_END', messageId: id });
  };

  if (mode === 'status') { response.writeHead(503, { 'content-type': 'text/plain' }).end('out of order'); return; }
  if (mode === 'html') { response.writeHead(200, { 'content-type': 'text/html' }).end('<p>hello</p>'); return; }
  response.writeHead(200, { 'content-type': encoder.getContentType() });
  if (mode === 'silent') { response.flushHeaders(); return; }
  if (mode === 'order') { await text('m', 'too early'); response.end(); return; }
  await send({ type: 'RUN_STARTED', threadId, runId });
  if (mode === 'stall') return;
  if (mode === 'malformed') { response.end('data: {"type":"TEXT_MESSAGE_START","messageId":7}\n\n'); return; }
  if (mode === 'broken') { response.end('data: {"type":"TEXT_MESS\n\n'); return; }
  if (mode === 'endless') { while (open) { await send({ type: 'CUSTOM', name: 'tick', value: 1 }); await wait(1); } return; }
  if (mode === 'steps') { for (let i = 0; open && i < 5_000; i++) await text(`m${i}`, `step ${i}`); return; }
  if (mode === 'huge') { while (open) await send({ type: 'CUSTOM', name: 'block', value: 'x'.repeat(1_000_000) }); return; }
  if (mode === 'many') {
    const events = Number(option(prompt, 'events') ?? 1_000);
    await send({ type: 'TEXT_MESSAGE_START', messageId: 'm', role: 'assistant' });
    for (let i = 0; i < events - 4; i++) await send({ type: 'TEXT_MESSAGE_CONTENT', messageId: 'm', delta: 'word ' });
    await send({ type: 'TEXT_MESSAGE_END', messageId: 'm' });
    if (open) note(`end ${prompt}`);
    await send({ type: 'RUN_FINISHED', threadId, runId });
    response.end();
    return;
  }
  if (mode === 'old') {
    for (const event of [{ type: 'THINKING_START' }, { type: 'THINKING_TEXT_MESSAGE_START' }, { type: 'THINKING_TEXT_MESSAGE_CONTENT', delta: 'old words' }, { type: 'THINKING_TEXT_MESSAGE_END' }, { type: 'THINKING_END' }]) await send(event);
  } else {
    await send({ type: 'REASONING_START', messageId: 'r' });
    await send({ type: 'REASONING_MESSAGE_START', messageId: 'r', role: 'reasoning' });
    await send({ type: 'REASONING_MESSAGE_CONTENT', messageId: 'r', delta: 'Let me look.' });
    await send({ type: 'REASONING_MESSAGE_END', messageId: 'r' });
    await send({ type: 'REASONING_END', messageId: 'r' });
  }
  await send({ type: 'STATE_SNAPSHOT', snapshot: { looked: false } });
  await send({ type: 'TOOL_CALL_START', toolCallId: 't', toolCallName: 'search' });
  await send({ type: 'TOOL_CALL_ARGS', toolCallId: 't', delta: '{"query":' });
  await send({ type: 'TOOL_CALL_ARGS', toolCallId: 't', delta: '"slow"}' });
  await send({ type: 'TOOL_CALL_END', toolCallId: 't' });
  await send({ type: 'TOOL_CALL_RESULT', messageId: 'tr', toolCallId: 't', content: '{"found":1}', role: 'tool' });
  await send({ type: 'STATE_DELTA', delta: [{ op: 'replace', path: '/looked', value: true }] });
  if (mode === 'hold' && !held.has(prompt)) { // the first run of this prompt stands still until it is cut off
    held.add(prompt);
    while (open) await new Promise<void>((resolve) => { wake = resolve; });
    return;
  }
  if (mode === 'cut') { response.destroy(); return; }
  if (mode === 'close') { response.end(); return; }
  if (mode === 'error') { await send({ type: 'RUN_ERROR', message: 'the model is out of tokens', code: 'E1' }); response.end(); return; }
  if (mode === 'chunks') {
    for (const delta of ['The cause is ', 'the slow query.']) await send({ type: 'TEXT_MESSAGE_CHUNK', messageId: 'c', role: 'assistant', delta });
  } else if (mode === 'echo') await text('e', `my headers: ${prompt.split('ECHO ')[1] ?? ''}`);
  else await text('m', 'The cause is ', 'the slow query ', `of ${prompt.slice(0, 40)}.`);
  if (open) note(`end ${prompt}`); // before: whoever reads the last event may look at once
  await send({ type: 'RUN_FINISHED', threadId, runId, usage: [{ inputTokens: 30, outputTokens: 12, totalTokens: 42 }] });
  response.end();
}

const server = createServer((request, response) => {
  let body = '';
  request.on('data', (part) => { body += part; }).on('end', () => {
    const input = JSON.parse(body) as Input;
    let prompt = input.messages[0]?.content ?? '';
    note(`begin ${prompt}`);
    if (prompt.includes('mode=echo')) prompt += ` ECHO ${String(request.headers['authorization'])}`;
    run(input, prompt, response).catch(() => response.destroy());
  });
});
server.listen(Number(process.argv[3] ?? 0), '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
