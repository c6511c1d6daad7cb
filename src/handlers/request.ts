// `request`: asks one HTTP endpoint, and lets its answer decide the job. A batch's own final call is the same ask.
import type { Claim } from '../domain/commands.ts';
import type { Clock } from '../domain/clock.ts';
import type { JobError } from '../domain/job.ts';
import type { Outcome } from '../domain/outcome.ts';
import { readJson } from '../domain/read-json.ts';
import { judgeResult } from './answer.ts';
import { type Egress, lowerCased, TOTAL_TIMEOUT } from './egress/client.ts';
import type { Handler, HandlerContext } from './handler.ts';
import { expandUrl, requestStored, type RequestStored } from './inputs.ts';

export interface AskTools {
  readonly egress: Egress;
  readonly clock: Clock;
  /** What $ARENA$ stands for. */
  readonly arenaUrl: string;
}

export interface Ask {
  readonly url: string;
  readonly method: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Absent: nothing is sent. */
  readonly body?: unknown;
  readonly timeout?: number | undefined;
  /** The same call is made at most once by a receiver that knows this key. Not for polls: it would freeze the first answer. */
  readonly idempotencyKey?: string;
}

export const createRequest = (tools: AskTools): Handler => async (job, context) => {
  const input: RequestStored = requestStored.parse(readJson(job.input));
  if (input.about === undefined) {
    return await ask(tools, { ...input, method: input.method ?? (input.body === undefined ? 'GET' : 'POST') }, job, context);
  }
  const body = await context.finalBody(input.about);
  if (body === null) return terminal('handler_error', `Job ${input.about} was deleted before its end could be reported.`);
  return await ask(tools, { ...input, method: input.method ?? 'POST', body, idempotencyKey: job.id }, job, context);
};

export const terminal = (code: JobError['code'], message: string): Outcome => ({ kind: 'fail', error: { code, message, retryable: false } });

/** Makes the call and judges the answer; says so in the job's log. */
export async function ask(tools: AskTools, wish: Ask, job: Claim, context: HandlerContext): Promise<Outcome> {
  const url = expandUrl(wish.url, job.id, tools.arenaUrl);
  const type = Object.entries(wish.headers ?? {}).find(([name]) => name.toLowerCase() === 'content-type')?.[1];
  const asIs = typeof wish.body === 'string' && type !== undefined && !/[/+]json\s*(;|$)/i.test(type);
  const body = wish.body === undefined ? undefined : asIs ? wish.body as string : JSON.stringify(wish.body);
  const since = tools.clock.monotonic();
  const result = await tools.egress.call({
    url, method: wish.method,
    headers: { accept: 'application/json, */*;q=0.5', 'user-agent': 'muster', ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...lowerCased(wish.headers) },
    ownHeaders: {
      'muster-job-id': job.id, 'muster-attempt': String(job.attempt),
      ...(wish.idempotencyKey === undefined ? {} : { 'idempotency-key': wish.idempotencyKey }),
    },
    ...(body === undefined ? {} : { body }),
  }, { total: callTimeout(wish.timeout, job.spec.timeout) }, context.signal);
  const { outcome, line } = judgeResult(result, { method: wish.method, now: tools.clock.now() });
  // The query stays out of the log: it is where keys are put.
  context.log(`${wish.method} ${url.replace(/[?#].*$/s, '').slice(0, 300)} → ${line} (${Math.round(tools.clock.monotonic() - since)} ms)`);
  return outcome;
}

/** The shorter of what the call and the job allow. */
const callTimeout = (call: number | undefined, attempt: number | undefined): number =>
  call === undefined && attempt === undefined ? TOTAL_TIMEOUT : Math.min(call ?? Infinity, attempt ?? Infinity);
