// One HTTP exchange as the driver sees it: an answer, or what became of it. Never throws: losing answers is the point.
import { Agent, type IncomingMessage, request } from 'node:http';

export type Exchange =
  | { readonly kind: 'answer'; readonly status: number; readonly headers: IncomingMessage['headers']; readonly body: any }
  /** It may or may not have been carried out. `sent`: it had left us entirely before the connection broke. */
  | { readonly kind: 'lost'; readonly why: string; readonly sent: boolean; readonly sentAt: number }
  /** It was never taken. */
  | { readonly kind: 'refused' };

export interface Call {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer later than this counts as lost: the longest that is asked for waits two seconds. */
const PATIENCE = 20_000;

export const createAgent = (): Agent => new Agent({ keepAlive: true, maxSockets: 64 });

export function exchange(base: string, call: Call, agent: Agent): Promise<Exchange> {
  const isText = typeof call.body === 'string';
  const text = call.body === undefined ? undefined : isText ? call.body as string : JSON.stringify(call.body);
  return new Promise((resolve) => {
    let sentAt = 0;
    let connected = false;
    const lost = (error: Error & { code?: string }): void => {
      if (!connected && error.code === 'ECONNREFUSED') resolve({ kind: 'refused' });
      else resolve({ kind: 'lost', why: error.code ?? error.message, sent: sentAt > 0, sentAt });
    };
    const outgoing = request(base + call.path, {
      method: call.method, agent, timeout: PATIENCE,
      headers: { ...(text === undefined ? {} : { 'content-type': isText ? 'application/x-ndjson' : 'application/json', 'content-length': Buffer.byteLength(text) }), ...call.headers },
    }, (answer) => {
      let received = '';
      answer.setEncoding('utf8');
      answer.on('data', (part: string) => { received += part; });
      answer.on('error', lost);
      answer.on('close', () => {
        if (!answer.complete) return lost(new Error('the answer broke off'));
        try {
          resolve({ kind: 'answer', status: answer.statusCode ?? 0, headers: answer.headers, body: received === '' ? null : JSON.parse(received) });
        } catch {
          resolve({ kind: 'answer', status: answer.statusCode ?? 0, headers: answer.headers, body: received });
        }
      });
    });
    outgoing.on('socket', (socket) => {
      if (!socket.connecting) connected = true;
      else socket.once('connect', () => { connected = true; });
    });
    outgoing.on('finish', () => { if (connected) sentAt = Date.now(); });
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer in ${PATIENCE} ms`)));
    outgoing.on('error', lost);
    outgoing.end(text);
  });
}
