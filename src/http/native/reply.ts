// Sending text that is already JSON, and the small things that the native routes share.
import type { FastifyReply } from 'fastify';
import type { Clock } from '../../domain/clock.ts';
import { isFinal } from '../../domain/job.ts';
import { childrenOf, renderResult } from '../../orchestrator/final.ts';
import type { JobRecord, Store } from '../../store/store.ts';
import type { HttpDeps } from '../deps.ts';
import { jobText } from './wire.ts';

const JSON_TYPE = 'application/json; charset=utf-8';

export const sendJson = (reply: FastifyReply, text: string, status = 200): FastifyReply =>
  reply.code(status).header('content-type', JSON_TYPE).send(text);

/** A job as GET answers it, with the children's results once it has ended. */
export async function fullJobText(deps: Pick<HttpDeps, 'store' | 'policies' | 'words'>, record: JobRecord, cursor: number): Promise<string> {
  const { job } = record;
  const children = isFinal(job.status) && (job.type === 'batch' || job.type === 'verify') ? await childrenOf(deps.store, record) : { results: [], truncated: false };
  return await inWords(deps, record, jobText(record, renderResult(record, children), deps.policies, String(cursor)));
}

/** In the words of its type's dialect, if it has one. */
const inWords = (deps: Pick<HttpDeps, 'words'>, record: JobRecord, native: string): string | Promise<string> => deps.words?.[record.job.type]?.job(record, native) ?? native;

/** A job in a list: a batch's result is made of its children's and is left to GET /api/jobs/{id}. */
export function listedJobText(deps: Pick<HttpDeps, 'policies' | 'words'>, record: JobRecord, cursor: number): string | Promise<string> {
  return inWords(deps, record, jobText(record, isFinal(record.job.status) ? (record.result ?? 'null') : 'null', deps.policies, String(cursor)));
}

/** Aborted when the client goes away before it has its answer. */
export function whenGone(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => controller.abort());
  return controller.signal;
}

/** How stale the cursor of a fresh job may be, ms. It only has to stand before the job's first event. */
const CURSOR_AGE = 100;

/** A cursor from before now, read at most ten times a second: a submission should not pay for two more reads. */
export function recentCursor(store: Store, clock: Clock): () => Promise<number> | number {
  let value = 0;
  let readAt = -Infinity;
  return () => {
    if (clock.monotonic() - readAt < CURSOR_AGE) return value;
    const at = clock.monotonic();
    return store.lastSeq().then((seq) => {
      value = seq;
      readAt = at;
      return seq;
    });
  };
}
