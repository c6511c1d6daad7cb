// A call whose answer is read as it comes: an agent's event stream. Guarded like every call; four deadlines instead of one
// body's, since a stream that lives may live long: connect, first data, silence in between, and the whole.
import type { Dispatcher } from 'undici';
import type { Clock } from '../../domain/clock.ts';
import { failureOf, type Failed, type Headers, reasonOf } from './exchange.ts';

export interface StreamLimits {
  readonly connect: number;
  /** From the request being sent to the first byte of the body, ms. */
  readonly first: number;
  /** Between two pieces of the body, ms. */
  readonly silence: number;
  readonly total: number;
  /** Of the body. */
  readonly maxBytes: number;
}

/** closed: the other side ended it; stopped: the reader had enough. */
export type StreamEnd = Failed | { readonly kind: 'closed' | 'stopped' } | { readonly kind: 'status'; readonly status: number; readonly headers: Headers; readonly body: string };

export interface StreamFlow {
  /** The reader has caught up; what comes next may come. */
  resume(): void;
  /** The reader has enough. */
  stop(): void;
}

export interface StreamSink {
  /** Headers of a 2xx answer; false = not this one. */
  head(headers: Headers, flow: StreamFlow): boolean;
  /** Nothing more comes until `resume`: a reader that is behind holds the other side back, not its pieces in memory. */
  data(chunk: Buffer): void;
}

/** What is kept of the body of a refusal. */
const ERROR_BYTES = 2_048;

export interface StreamRequest { readonly url: URL; readonly method: string; readonly headers: Readonly<Record<string, string>>; readonly body: string }

export function streamExchange(dispatcher: Dispatcher, clock: Clock, request: StreamRequest, limits: StreamLimits, signal: AbortSignal, sink: StreamSink): Promise<StreamEnd> {
  return new Promise((resolve) => {
    const { host } = request.url;
    const endsAt = clock.monotonic() + limits.total;
    let refusedAs: { status: number; headers: Headers; body: Buffer[]; size: number } | null = null;
    let controller: Dispatcher.DispatchController | null = null;
    let size = 0;
    let settled = false;
    let heardAt = 0;
    let cancelTimer = (): void => {};

    const settle = (result: StreamEnd, keep = false): void => {
      if (settled) return;
      settled = true;
      cancelTimer();
      signal.removeEventListener('abort', onAbort);
      resolve(result);
      if (!keep) controller?.abort(new Error('given up')); // frees the socket at once
    };
    const onAbort = (): void => settle({ kind: 'aborted', message: reasonOf(signal) });
    const timeout = (limit: number, what: string): void => settle({ kind: 'timeout', message: clock.monotonic() >= endsAt ? `The call to ${host} took longer than ${limits.total} ms.` : `${what} within ${limit} ms.` });
    const within = (limit: number, what: string): void => {
      cancelTimer();
      cancelTimer = clock.after(Math.max(0, Math.round(Math.min(limit, endsAt - clock.monotonic()))), () => timeout(limit, what));
    };
    /** One timer for the whole stream, moved on when it rings: a timer per piece would cost more than the piece. */
    const watchSilence = (): void => {
      const now = clock.monotonic();
      const rest = Math.min(heardAt + limits.silence, endsAt) - now;
      if (rest <= 0) return timeout(limits.silence, `${host} sent nothing more`);
      cancelTimer = clock.after(Math.ceil(rest), watchSilence);
    };

    let isPaused = false;
    const flow: StreamFlow = {
      resume() {
        if (settled || !isPaused) return;
        isPaused = false;
        heardAt = clock.monotonic(); // while it was held back it could not speak
        controller?.resume();
      },
      stop: () => settle({ kind: 'stopped' }),
    };

    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    within(limits.connect, `No connection to ${host} came about`);
    dispatcher.dispatch({ origin: request.url.origin, path: request.url.pathname + request.url.search, method: request.method as 'POST', headers: request.headers, body: request.body }, {
      onRequestStart(started) {
        controller = started;
        if (settled) return started.abort(new Error('given up'));
        within(limits.first, `${host} took the request and sent no data`);
      },
      onResponseStart(_controller, status, headers) {
        if (status < 200 || settled) return;
        if (status > 299) refusedAs = { status, headers, body: [], size: 0 };
        else if (!sink.head(headers, flow)) settle({ kind: 'stopped' });
      },
      onResponseData(_controller, chunk) {
        if (settled) return;
        if (refusedAs !== null) {
          refusedAs.body.push(chunk);
          refusedAs.size += chunk.length;
          if (refusedAs.size > ERROR_BYTES) settle({ kind: 'status', status: refusedAs.status, headers: refusedAs.headers, body: said(refusedAs.body) });
          return;
        }
        const isFirst = heardAt === 0;
        heardAt = clock.monotonic();
        if (isFirst) {
          cancelTimer();
          watchSilence();
        }
        size += chunk.length;
        if (size > limits.maxBytes) return settle({ kind: 'too_large', message: `The stream of ${host} is larger than ${limits.maxBytes} bytes.` });
        controller?.pause();
        isPaused = true;
        sink.data(chunk);
      },
      onResponseEnd() {
        settle(refusedAs === null ? { kind: 'closed' } : { kind: 'status', status: refusedAs.status, headers: refusedAs.headers, body: said(refusedAs.body) }, true);
      },
      onResponseError(_controller, error) { settle(failureOf(error, host)); },
    });
  });
}

const said = (body: readonly Buffer[]): string => Buffer.concat(body).subarray(0, ERROR_BYTES).toString('utf8').replace(/\uFFFD$/, '');
