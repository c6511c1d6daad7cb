// One HTTP exchange on a dispatcher: three deadlines in a row, a bound on what is kept, and exactly one result.
// It settles by its own timers: the library's are coarse, and a call waiting for a socket hears no abort there.
import type { Dispatcher } from 'undici';
import type { Clock } from '../../domain/clock.ts';
import { EGRESS_REFUSED } from './connect.ts';

export interface Limits {
  /** The whole exchange, ms; bounds the other two. */
  readonly total: number;
  /** From the request being sent to the end of the answer's headers, ms. */
  readonly headers: number;
  /** From there to the end of the body, ms. */
  readonly body: number;
  /** Of the body, as sent and decoded. */
  readonly maxBytes: number;
}

export type Headers = Readonly<Record<string, string | string[] | undefined>>;
export type Failed =
  /** The guard said no; asking again changes nothing. */
  | { readonly kind: 'refused'; readonly message: string }
  /** The request cannot be sent as it is written. */
  | { readonly kind: 'unsendable'; readonly message: string }
  | { readonly kind: 'network'; readonly message: string }
  | { readonly kind: 'timeout'; readonly message: string }
  | { readonly kind: 'too_large'; readonly message: string }
  /** Ended by the caller's signal, or because the server closes. */
  | { readonly kind: 'aborted'; readonly message: string };
export interface Answered {
  readonly kind: 'answer';
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
}

export interface Exchange {
  readonly url: URL;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

export function exchange(
  dispatcher: Dispatcher, clock: Clock, request: Exchange, limits: Limits & { readonly connect: number }, signal: AbortSignal,
): Promise<Answered | Failed> {
  return new Promise((resolve) => {
    const endsAt = clock.monotonic() + limits.total;
    const chunks: Buffer[] = [];
    let size = 0;
    let status = 0;
    let headers: Headers = {};
    let controller: Dispatcher.DispatchController | null = null;
    let settled = false;
    let cancelTimer = (): void => {};

    const settle = (result: Answered | Failed): void => {
      if (settled) return;
      settled = true;
      cancelTimer();
      signal.removeEventListener('abort', onAbort);
      chunks.length = 0;
      resolve(result);
      if (result.kind !== 'answer') controller?.abort(new Error('given up')); // frees the socket at once
    };
    const onAbort = (): void => settle({ kind: 'aborted', message: reasonOf(signal) });
    const within = (limit: number, what: string): void => {
      cancelTimer();
      const ms = Math.max(0, Math.round(Math.min(limit, endsAt - clock.monotonic())));
      const when = ms < limit ? `before the ${limits.total} ms of the call were over` : `within ${limit} ms`;
      cancelTimer = clock.after(ms, () => settle({ kind: 'timeout', message: `${what} ${when}.` }));
    };
    const tooLarge = (): void => settle({ kind: 'too_large', message: `The answer is larger than ${limits.maxBytes} bytes; the rest was not read.` });

    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    within(limits.connect, `No connection to ${request.url.host} came about`);
    dispatcher.dispatch({
      origin: request.url.origin, path: request.url.pathname + request.url.search, method: request.method,
      headers: request.headers, body: request.body,
    }, {
      onRequestStart(started) {
        controller = started;
        if (settled) return started.abort(new Error('given up'));
        within(limits.headers, `${request.url.host} took the request, but its answer's headers were not complete`);
      },
      onResponseStart(_controller, code, received) {
        if (code < 200) return; // more will come; the deadline runs on
        status = code;
        headers = received;
        if (request.method !== 'HEAD' && Number(received['content-length'] ?? 0) > limits.maxBytes) return tooLarge();
        within(limits.body, `${request.url.host} began to answer with ${code}, but its answer was not complete`);
      },
      onResponseData(_controller, chunk) {
        if (settled) return;
        size += chunk.length;
        if (size > limits.maxBytes) return tooLarge();
        chunks.push(chunk);
      },
      onResponseEnd() {
        settle({ kind: 'answer', status, headers, body: Buffer.concat(chunks) });
      },
      onResponseError(_controller, error) {
        settle(failureOf(error, request.url.host));
      },
    });
  });
}

export function reasonOf(signal: AbortSignal): string {
  const reason: unknown = signal.reason;
  return reason instanceof Error ? reason.message : typeof reason === 'string' ? reason : 'The run was stopped.';
}

export function failureOf(error: Error & { code?: string }, host: string): Failed {
  switch (error.code) {
    case EGRESS_REFUSED: return { kind: 'refused', message: error.message };
    case 'UND_ERR_CONNECT_TIMEOUT': return { kind: 'timeout', message: `No connection to ${host} came about in time.` };
    case 'UND_ERR_HEADERS_OVERFLOW': return { kind: 'too_large', message: `The headers of the answer of ${host} are too large.` };
    case 'UND_ERR_INVALID_ARG': case 'UND_ERR_NOT_SUPPORTED': return { kind: 'unsendable', message: `The request cannot be sent: ${error.message}.` };
    case 'UND_ERR_DESTROYED': case 'UND_ERR_CLOSED': return { kind: 'aborted', message: 'The server is stopping.' };
    default: return { kind: 'network', message: `${host}: ${describe(error)}` };
  }
}

function describe(error: Error & { code?: string }): string {
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.map((each: Error) => each.message).join('; ');
  return error.message === '' ? error.code ?? error.name : error.message;
}
