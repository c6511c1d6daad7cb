// The one way out: every call that leaves this process for someone else's URL goes through `call`.
// It follows no redirect, reads no proxy from the environment, keeps a bounded answer and always comes back.
import { Agent, type Dispatcher } from 'undici';
import type { Clock } from '../../domain/clock.ts';
import { guardedConnector, type Resolve, resolveBySystem } from './connect.ts';
import { decodeBody } from './decode.ts';
import { type Answered, exchange, type Failed, type Limits } from './exchange.ts';
import { checkHeaders, checkUrl, type EgressPolicy } from './guard.ts';
import { type StreamEnd, streamExchange, type StreamLimits, type StreamSink } from './stream.ts';
import { createTurnstile, PER_HOST } from './turnstile.ts';

/** Name lookup, TCP and TLS; three SYNs (1 s, 3 s) fit. */
export const CONNECT_TIMEOUT = 5_000;
/** An agent may think for long before its first byte, so this is the default of the whole as well. */
export const TOTAL_TIMEOUT = 60_000;
/** An answer that has begun comes from a server at work: drip-feeding one byte a second ends here. */
export const BODY_TIMEOUT = 30_000;
/** As much as a submission may have; larger things belong in a store of their own, with a link in the answer. */
export const ANSWER_BYTES_MAX = 1_048_576;
/** Four times Node's default: some gateways add long cookies and policies. Endless headers end here. */
const HEADER_BYTES_MAX = 65_536;

export interface EgressRequest {
  readonly url: string;
  readonly method: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Of this server's own; not judged, and stronger than `headers`. */
  readonly ownHeaders?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export type CallResult =
  | Answered
  | Failed
  /** The answer's encoding is unknown or broken. */
  | { readonly kind: 'undecodable'; readonly message: string }
  /** Nothing was sent: as many calls to this host are open as may be. Come back in `retryAfter` ms. */
  | { readonly kind: 'busy'; readonly retryAfter: number; readonly message: string };

export interface Egress {
  /** Never throws. `body` of an answer is decoded, and within the limit. */
  call(request: EgressRequest, limits: Partial<Limits>, signal: AbortSignal): Promise<CallResult>;
  /** Never throws. The answer is handed over as it comes. How many may be open is the caller's to say: streams are long. */
  stream(request: EgressRequest & { readonly body: string }, limits: Omit<StreamLimits, 'connect'>, signal: AbortSignal, sink: StreamSink): Promise<StreamEnd>;
  /** Hosts being called or waited for now. */
  readonly hosts: number;
  /** Cuts what is open and lets go of all sockets. */
  close(): Promise<void>;
}

export interface EgressOptions {
  readonly policy: EgressPolicy;
  readonly clock: Clock;
  /** Calls to one host at once. */
  readonly perHost?: number;
  readonly connectTimeout?: number;
  readonly resolve?: Resolve;
  /** In place of sockets: simulation. The guard of addresses goes with the sockets, that of URLs stays. */
  readonly dispatcher?: Dispatcher;
}

export function createEgress(options: EgressOptions): Egress {
  const { policy, clock } = options;
  const connect = options.connectTimeout ?? CONNECT_TIMEOUT;
  const perHost = options.perHost ?? PER_HOST;
  const turnstile = createTurnstile(clock, perHost);
  // A plain Agent: the environment's proxies are read by another class only. Its timers are off, ours are exact.
  const agent = options.dispatcher ?? new Agent({
    connect: guardedConnector(policy, connect, options.resolve ?? resolveBySystem), allowH2: false,
    connections: perHost, pipelining: 1, headersTimeout: 0, bodyTimeout: 0, maxHeaderSize: HEADER_BYTES_MAX,
  });

  async function call(request: EgressRequest, limits: Partial<Limits>, signal: AbortSignal): Promise<CallResult> {
    const checked = checkUrl(request.url, policy);
    if (!checked.ok) return { kind: 'refused', message: checked.message };
    const { url } = checked;
    const bad = checkHeaders(request.headers ?? {});
    if (bad !== null) return { kind: 'refused', message: bad.message };
    const total = limits.total ?? TOTAL_TIMEOUT;
    const maxBytes = limits.maxBytes ?? ANSWER_BYTES_MAX;

    const turn = await turnstile.enter(url.origin, signal);
    if (turn.kind === 'aborted') return { kind: 'aborted', message: 'Stopped before anything was sent.' };
    if (turn.kind === 'busy') return { ...turn, message: `${perHost} calls to ${url.host} are open already.` };
    try {
      const answer = await exchange(agent, clock, {
        url, method: request.method, body: request.body ?? null,
        headers: { ...lowerCased(request.headers), ...request.ownHeaders, 'accept-encoding': 'identity' },
      }, { connect, total, headers: limits.headers ?? total, body: limits.body ?? BODY_TIMEOUT, maxBytes }, signal);
      return answer.kind === 'answer' ? await decoded(answer, maxBytes) : answer;
    } finally {
      turn.leave();
    }
  }

  // Without a bound per host: whoever streams bounds itself, and a stream must not wait for a socket that another one keeps.
  const streaming = options.dispatcher ?? new Agent({
    connect: guardedConnector(policy, connect, options.resolve ?? resolveBySystem), allowH2: false,
    connections: null, pipelining: 1, headersTimeout: 0, bodyTimeout: 0, maxHeaderSize: HEADER_BYTES_MAX,
  });

  async function stream(request: EgressRequest & { readonly body: string }, limits: Omit<StreamLimits, 'connect'>, signal: AbortSignal, sink: StreamSink): Promise<StreamEnd> {
    const checked = checkUrl(request.url, policy);
    if (!checked.ok) return { kind: 'refused', message: checked.message };
    const bad = checkHeaders(request.headers ?? {});
    if (bad !== null) return { kind: 'refused', message: bad.message };
    const headers = { ...lowerCased(request.headers), ...request.ownHeaders, 'accept-encoding': 'identity' };
    return await streamExchange(streaming, clock, { url: checked.url, method: request.method, headers, body: request.body }, { ...limits, connect }, signal, sink);
  }

  return {
    call,
    stream,
    get hosts() { return turnstile.size; },
    close: async () => { await Promise.all([agent.destroy(), streaming.destroy()]); },
  };
}

export const lowerCased = (headers: Readonly<Record<string, string>> = {}): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));

async function decoded(answer: Answered, maxBytes: number): Promise<CallResult> {
  const encoding = answer.headers['content-encoding'];
  if (encoding === undefined) return answer;
  const result = await decodeBody(answer.body, String(encoding), maxBytes);
  switch (result.kind) {
    case 'ok': return { ...answer, body: result.body };
    case 'too_large': return { kind: 'too_large', message: `The answer is larger than ${maxBytes} bytes when decompressed; the rest was not read.` };
    case 'broken': return { kind: 'undecodable', message: `The answer cannot be read: ${result.message}.` };
  }
}
