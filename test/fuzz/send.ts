// Sends one request over real HTTP and brings back the answer, or the first of a stream. Kept connections; odd bytes get their own.
import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import { connect } from 'node:net';
import type { Request } from './plans.ts';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Cut by us: a stream that was seen to begin. */
  readonly isCut: boolean;
}
/** no: nothing came. left: we did not wait for a long poll to end. */
export type Sent = Answer | { readonly no: string } | 'left';

/** Only a hang is that slow: the longest that a valid request asks to wait is a second. */
const PATIENCE = 15_000;
/** A wish to wait for up to a minute is left after this. */
const LEAVE = 1_500;
/** Of a stream this is enough to see the hello and some events. */
const STREAM_BYTES = 4_000;
/** A stream that says nothing more is closed after its first words, ms. */
const STREAM_QUIET = 30;

export const createAgent = (sockets: number): Agent => new Agent({ keepAlive: true, maxSockets: sockets });

export function send(base: string, agent: Agent, wish: Request, mayWait: boolean): Promise<Sent> {
  return wish.raw ? sendRaw(base, wish) : new Promise((resolve) => {
    const headers: Record<string, string | string[]> = {};
    for (const [name, value] of wish.headers) headers[name.toLowerCase()] = value;
    if (wish.body !== null) headers['content-length'] = String(wish.body.length);
    const { hostname, port } = new URL(base);
    const outgoing = request({ hostname, port, agent, method: wish.method, path: wish.target, headers }, (answer) => {
      const parts: Buffer[] = [];
      let size = 0;
      const done = (isCut: boolean): void => {
        clearTimeout(late);
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(parts), isCut });
      };
      const isStream = String(answer.headers['content-type']).startsWith('text/event-stream');
      let quiet: NodeJS.Timeout | undefined;
      const cut = (): void => { clearTimeout(quiet); done(true); outgoing.destroy(); };
      answer.on('data', (part: Buffer) => {
        parts.push(part);
        size += part.length;
        if (!isStream) return;
        clearTimeout(quiet);
        if (size > STREAM_BYTES) cut();
        else quiet = setTimeout(cut, STREAM_QUIET);
      });
      answer.on('end', () => { clearTimeout(quiet); done(false); });
      answer.on('error', (error) => { clearTimeout(quiet); clearTimeout(late); resolve({ no: `cut within the answer: ${error.message}` }); });
    });
    const late = setTimeout(() => {
      resolve(mayWait ? 'left' : { no: `no answer within ${PATIENCE} ms` });
      outgoing.destroy();
    }, mayWait ? LEAVE : PATIENCE);
    outgoing.on('error', (error: Error & { code?: string }) => { clearTimeout(late); resolve({ no: `${error.code ?? ''} ${error.message}` }); });
    outgoing.end(wish.body ?? undefined);
  });
}

/** Said as it is. The first answer counts; the rest of the connection is not looked at. */
function sendRaw(base: string, { method, target, headers, body }: Request): Promise<Sent> {
  const { hostname, port, host } = new URL(base);
  const has = (name: string): boolean => headers.some(([known]) => known.toLowerCase() === name);
  const lines = [`${method} ${target} HTTP/1.1`, ...(has('host') ? [] : [`Host: ${host}`]), ...headers.map(([name, value]) => `${name}: ${value}`), ...(body === null || has('content-length') || has('transfer-encoding') ? [] : [`Content-Length: ${body.length}`]), ...(has('connection') ? [] : ['Connection: close'])];
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    let got = Buffer.alloc(0);
    // A body that is announced and never comes would be waited for; it is ended by closing our side.
    const end = (): void => { clearTimeout(late); socket.destroy(); const answer = parse(got); resolve(answer ?? { no: `the connection closed after ${JSON.stringify(got.toString('latin1').slice(0, 100))}` }); };
    const late = setTimeout(end, PATIENCE);
    socket.on('connect', () => { socket.write(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), body ?? Buffer.alloc(0)])); });
    socket.on('data', (part: Buffer) => {
      got = Buffer.concat([got, part]);
      const answer = parse(got);
      if (answer !== null && (answer.isCut || isWhole(answer, method))) end();
    });
    socket.on('close', end);
    socket.on('error', () => {});
    if (has('content-length')) socket.on('connect', () => setTimeout(() => socket.end(), 20));
  });
}

const isWhole = (answer: Answer, method: string): boolean => method === 'HEAD' || answer.status === 204 || answer.body.length >= Number(answer.headers['content-length'] ?? Infinity);

function parse(got: Buffer): Answer | null {
  let at = got.indexOf('\r\n\r\n');
  let from = 0;
  if (at > 0 && got.toString('latin1', 0, 13).startsWith('HTTP/1.1 100 ')) { from = at + 4; at = got.indexOf('\r\n\r\n', from); }
  if (at < 0) return null;
  const [first = '', ...rest] = got.toString('latin1', from, at).split('\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(first)?.[1] ?? 0);
  const headers = Object.fromEntries(rest.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]));
  const body = got.subarray(at + 4);
  if (String(headers['content-type']).startsWith('text/event-stream')) return { status, headers, body: unchunk(body), isCut: body.length > 0 };
  // What Node's parser says of the rest of a connection comes behind the answer.
  return { status, headers, body: headers['transfer-encoding'] === 'chunked' ? unchunk(body) : body.subarray(0, Number(headers['content-length'] ?? body.length)), isCut: false };
}

function unchunk(body: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < body.length;) {
    const end = body.indexOf('\r\n', at);
    const size = end < 0 ? Number.NaN : Number.parseInt(body.toString('latin1', at, end), 16);
    if (!(size > 0)) break;
    parts.push(body.subarray(end + 2, end + 2 + size));
    at = end + 4 + size;
  }
  return Buffer.concat(parts);
}
