// The agent of bench/goals/evaluation.ts: answers at once, with a short run or with one of as many events as the prompt says.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const frame = (event: object): string => `data: ${JSON.stringify(event)}\n\n`;
/** Events in one piece, so that a long run arrives as a stream does. */
const PIECE = 20;

function run(events: number): Buffer[] {
  const list = [
    { type: 'RUN_STARTED', threadId: 't', runId: 'r' }, { type: 'TEXT_MESSAGE_START', messageId: 'm', role: 'assistant' },
    ...Array.from({ length: events - 4 }, () => ({ type: 'TEXT_MESSAGE_CONTENT', messageId: 'm', delta: 'the slow query ' })),
    { type: 'TEXT_MESSAGE_END', messageId: 'm' }, { type: 'RUN_FINISHED', threadId: 't', runId: 'r' },
  ].map(frame);
  return Array.from({ length: Math.ceil(list.length / PIECE) }, (_, i) => Buffer.from(list.slice(i * PIECE, (i + 1) * PIECE).join('')));
}
const SHORT = run(6);
const made = new Map<number, Buffer[]>();

const server = createServer((request, response) => {
  let body = '';
  request.on('data', (part) => { body += part; }).on('end', () => {
    const events = Number(/events=(\d+)/.exec(body)?.[1] ?? 6);
    const pieces = events === 6 ? SHORT : (made.get(events) ?? made.set(events, run(events)).get(events) ?? SHORT);
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    if (events === 6) { response.end(Buffer.concat(pieces)); return; }
    const next = (i: number): void => {
      const piece = pieces[i];
      if (piece === undefined || response.destroyed) { response.end(); return; }
      response.write(piece);
      setImmediate(() => next(i + 1));
    };
    next(0);
  });
});
server.listen(0, '127.0.0.1', () => process.send?.({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` }));
