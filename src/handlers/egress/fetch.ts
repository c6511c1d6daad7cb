// `fetch` for libraries that take one: every call they make goes through the guard, with its limits, and keeps its answer bounded.
import type { Egress } from './client.ts';
import type { Limits } from './exchange.ts';

/** The call never left, or never came back; `kind` says how, as CallResult has it. */
export class EgressError extends Error {
  readonly kind: string;
  readonly retryAfter: number | undefined;

  constructor(kind: string, message: string, retryAfter?: number) {
    super(message);
    this.name = 'EgressError';
    this.kind = kind;
    this.retryAfter = retryAfter;
  }
}

export function guardedFetch(egress: Egress, limits: Partial<Limits>, signal: AbortSignal): typeof fetch {
  return async (target, init = {}) => {
    const url = target instanceof Request ? target.url : String(target);
    const headers = Object.fromEntries([...new Headers(init.headers)].filter(([name]) => name !== 'content-length' && name !== 'host' && name !== 'connection' && name !== 'accept-encoding'));
    const body = init.body === undefined || init.body === null ? undefined : typeof init.body === 'string' ? init.body : await new Response(init.body).text();
    const result = await egress.call({ url, method: init.method ?? 'GET', headers, ...(body === undefined ? {} : { body }) }, limits, signal);
    if (result.kind !== 'answer') throw new EgressError(result.kind, result.message, result.kind === 'busy' ? result.retryAfter : undefined);
    const given = Object.entries(result.headers).flatMap(([name, value]): [string, string][] => (value === undefined || name === 'content-encoding' || name === 'content-length' ? [] : [[name, String(value)]]));
    return new Response(result.status === 204 || result.status === 304 ? null : new Uint8Array(result.body), { status: result.status, headers: given });
  };
}
