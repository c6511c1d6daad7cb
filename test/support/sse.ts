// Reads streams as strictly as their format is written, so that a test sees bytes and not what a lenient client makes of them.
import { type ClientRequest, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';

export interface SseEvent {
  readonly id: number | null;
  readonly event: string | null;
  readonly retry: number | null;
  /** Parsed; null where a block had no data. */
  readonly data: { readonly type: string; readonly jobId?: string; readonly timestamp?: string; readonly data?: any } | null;
  /** The block as sent. */
  readonly raw: string;
}

/** One block (what stands between two blank lines). @throws on anything that this server does not send */
export function parseBlock(raw: string): SseEvent | null {
  let id: number | null = null;
  let event: string | null = null;
  let retry: number | null = null;
  let data: string | null = null;
  let comments = 0;
  for (const line of raw.split('\n')) {
    if (line.startsWith(':')) comments += 1;
    else if (/^id: \d+$/.test(line) && id === null) id = Number(line.slice(4));
    else if (/^event: \w+$/.test(line) && event === null) event = line.slice(7);
    else if (/^retry: \d+$/.test(line) && retry === null) retry = Number(line.slice(7));
    else if (line.startsWith('data: ') && data === null) data = line.slice(6);
    else throw new Error(`not a line of this server: ${JSON.stringify(line.slice(0, 200))}`);
  }
  if (comments > 0 && raw === ':') return null;
  return { id, event, retry, data: data === null ? null : JSON.parse(data), raw };
}

export interface SseClient {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Everything received, comments left out. */
  readonly events: readonly SseEvent[];
  readonly comments: number;
  /** Ids in order of arrival. */
  ids(): number[];
  types(): string[];
  /** Resolves with the first event, past or coming, for which it holds; rejects when the stream ends before. */
  until(holds: (event: SseEvent) => boolean): Promise<SseEvent>;
  untilComment(): Promise<void>;
  /** Resolves when the server has ended the answer properly; rejects if it was cut. */
  readonly ended: Promise<void>;
  /** Cuts the connection. */
  cut(): void;
}

export async function openStream(url: string, options: { lastEventId?: number | string; method?: string; /** Whose connection it is. */ from?: string } = {}): Promise<SseClient> {
  const headers: Record<string, string> = { accept: 'text/event-stream' };
  if (options.lastEventId !== undefined) headers['last-event-id'] = String(options.lastEventId);
  let outgoing: ClientRequest | undefined;
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    outgoing = request(url, { headers, method: options.method ?? 'GET', agent: false, ...(options.from === undefined ? {} : { localAddress: options.from }) }, resolve);
    outgoing.on('error', reject);
    outgoing.end();
  });
  outgoing?.on('error', () => {}); // a cut is told by the answer
  const events: SseEvent[] = [];
  let comments = 0;
  let over: Error | null = null;
  const checks = new Set<() => void>();
  const look = (): void => { for (const check of checks) check(); };
  let rest = '';
  answer.setEncoding('utf8');
  const ended = new Promise<void>((resolve, reject) => {
    answer.on('data', (text: string) => {
      rest += text;
      for (let at = rest.indexOf('\n\n'); at >= 0; at = rest.indexOf('\n\n')) {
        const block = parseBlock(rest.slice(0, at));
        rest = rest.slice(at + 2);
        if (block === null) comments += 1;
        else events.push(block);
      }
      look();
    });
    answer.on('close', () => {
      over = new Error(`the stream is over after ${events.length} events`);
      look();
      if (answer.complete) resolve();
      else reject(new Error('the connection was cut'));
    });
    answer.on('error', () => {});
  });
  ended.catch(() => {}); // whoever cares awaits it
  const watch = <T>(find: () => T | undefined): Promise<T> => new Promise((resolve, reject) => {
    const check = (): void => {
      const found = find();
      if (found === undefined && over === null) return;
      checks.delete(check);
      if (found !== undefined) resolve(found);
      else reject(over);
    };
    checks.add(check);
    check();
  });
  return {
    status: answer.statusCode ?? 0, headers: answer.headers, events, ended,
    get comments() { return comments; },
    ids: () => events.flatMap((event) => (event.id === null ? [] : [event.id])),
    types: () => events.flatMap((event) => (event.id === null || event.data === null ? [] : [event.data.type])),
    until: (holds) => watch(() => events.find(holds)),
    untilComment: () => { const before = comments; return watch(() => (comments > before ? true : undefined)).then(() => {}); },
    cut: () => { answer.destroy(); outgoing?.destroy(); },
  };
}

/** A plain request, for answers that are no stream. */
export async function ask(url: string, headers: Record<string, string> = {}): Promise<{ status: number; headers: IncomingHttpHeaders; body: any }> {
  const answer = await new Promise<IncomingMessage>((resolve, reject) => { request(url, { headers, agent: false }, resolve).on('error', reject).end(); });
  let text = '';
  answer.setEncoding('utf8');
  for await (const part of answer) text += part as string;
  return { status: answer.statusCode ?? 0, headers: answer.headers, body: text === '' ? null : JSON.parse(text) };
}
