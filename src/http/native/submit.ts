// POST /api/jobs and /api/jobs/bulk. The first is the hot path: the answer is written from what was committed.
import { createHash } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { IdempotencyClaim, NewJob } from '../../domain/commands.ts';
import { MAX_TREE } from '../../domain/decide-submit.ts';
import { DomainError, tooMuchWaits } from '../../domain/errors.ts';
import { isFinal } from '../../domain/job.ts';
import { MAX_WAIT } from '../../orchestrator/wait.ts';
import { answers } from '../answers.ts';
import type { HttpDeps } from '../deps.ts';
import { parseJson, refuseEncoding } from '../json-body.ts';
import { Refusal } from '../problem.ts';
import { fullJobText, recentCursor, sendJson, whenGone } from './reply.ts';
import { bulkAnswer, submitAnswer, type Submit, type SubmitSchemas } from './schemas.ts';
import { checkUrls } from './urls.ts';
import { fromWire, jobText } from './wire.ts';

/** 10,000 jobs of about 1.6 KB. */
export const BULK_LIMIT = 16 * 1_048_576;
/** Until there are accounts everybody is the same caller. */
const CALLER = 'anonymous';

/** The Idempotency-Key of a request, bound to what was asked. @throws Refusal */
function claimOf(request: FastifyRequest, body: unknown): IdempotencyClaim | undefined {
  const key = request.headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key !== 'string' || !/^[\x21-\x7e]{1,255}$/.test(key)) {
    throw new Refusal('invalid_request', 'An Idempotency-Key has 1 to 255 visible ASCII characters, and stands once.', { errors: [{ parameter: 'Idempotency-Key', detail: '1 to 255 visible ASCII characters' }] });
  }
  return { scope: CALLER, key, bodyHash: createHash('sha256').update(JSON.stringify(body)).digest('hex') };
}

/** Seconds of `Prefer: wait=N` as ms; null = do not wait. What it cannot read it may ignore (RFC 7240). */
export function preferredWait(header: string | string[] | undefined): number | null {
  if (header === undefined) return null;
  const match = /(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:[,;]|$)/i.exec(String(header));
  return match === null ? null : Math.min(Number(match[1]) * 1_000, MAX_WAIT);
}

/** `Prefer: return=minimal`, of several the first (RFC 7240): an id instead of the job. */
export const prefersMinimal = (header: string | string[] | undefined): boolean =>
  header !== undefined && /(?:^|,)\s*return\s*=\s*"?(\w+)"?\s*(?:[,;]|$)/i.exec(String(header))?.[1]?.toLowerCase() === 'minimal';

export function registerSubmit(instance: FastifyInstance, deps: HttpDeps, { submit, bulk }: Pick<SubmitSchemas, 'submit' | 'bulk'>): void {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  const { store, jobs, waiters, policies, clock, refuseUrl } = deps;
  const cursorNow = recentCursor(store, clock);
  // Before the body is parsed and validated, which is most of what a submission costs: refusing ten times as much as can be
  // taken must be cheaper than taking it. The store refuses all the same what comes between.
  const refuseEarly = (_request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void): void => {
    done(store.overloaded() ? tooMuchWaits() : undefined);
  };

  const other = deps.otherSubmit;
  /** A foreign body is known by one property that no native one has, and taken before the native schema refuses it. */
  const takeOther = (request: FastifyRequest, reply: FastifyReply, done: () => void): void => {
    const { body } = request;
    if (other === undefined || typeof body !== 'object' || body === null || !(other.mark in body)) return done();
    other.take(request, reply).catch((error: unknown) => { void reply.send(error); });
  };

  app.post('/api/jobs', {
    onRequest: refuseEarly,
    ...(other === undefined ? {} : { preValidation: takeOther }),
    schema: {
      operationId: 'submitJob', tags: ['Jobs'], summary: 'Submit a job, or a whole tree',
      description: 'Answers 201 when the job is on disk. `Prefer: wait=N` waits up to N seconds for its end; `Prefer: return=minimal`, without a wait, answers with the id alone. With an `Idempotency-Key` the same body gets the same job again, or 409 if that was deleted.',
      body: submit, response: answers({ 200: ['The job this Idempotency-Key stands for already', submitAnswer], 201: ['The job as it was stored', submitAnswer] }, 403, 404, 409, 413, 415, 422, 503),
    },
  }, async (request, reply) => {
    const { body } = request;
    const claim = claimOf(request, body);
    checkUrls([body], '#', refuseUrl);
    const job = fromWire(body, clock.now());
    const before = cursorNow();
    const cursor = typeof before === 'number' ? before : await before;
    const submitted = await jobs.submit([job], { ...(body.parentId === undefined ? {} : { parentId: body.parentId }), ...(claim === undefined ? {} : { idempotency: claim }) });
    const replayedId = submitted.replayed?.[0];
    const added = submitted.jobs[0];
    const id = replayedId ?? added?.id ?? '';
    if (replayedId !== undefined && (await store.job(replayedId)) === null) {
      throw new DomainError('conflict', `This Idempotency-Key stands for the job ${replayedId}, which was deleted.`, { hint: 'Use a new key for new work.', jobIds: submitted.replayed });
    }
    reply.header('location', `/api/jobs/${id}`);
    if (replayedId !== undefined) reply.header('idempotency-replayed', 'true');
    const wait = preferredWait(request.headers.prefer);
    if (wait !== null) {
      reply.header('preference-applied', `wait=${wait / 1_000}`);
      const seq = await store.lastSeq();
      const record = await waiters.wait(id, wait, whenGone(reply));
      if (record !== null) {
        const known = isFinal(record.job.status) ? await store.lastSeq() : seq;
        return sendJson(reply, await fullJobText(deps, record, known), replayedId === undefined ? 201 : 200);
      }
    }
    if (wait === null && prefersMinimal(request.headers.prefer)) {
      reply.header('preference-applied', 'return=minimal');
      return sendJson(reply, `{"id":"${id}"}`, replayedId === undefined ? 201 : 200);
    }
    if (added === undefined) {
      const seq = await store.lastSeq();
      return sendJson(reply, await fullJobText(deps, await jobs.get(id), seq));
    }
    return sendJson(reply, jobText({ job: added, input: job.input, result: null, finalSeq: null, attempts: [], facts: [] }, 'null', policies, String(cursor)), 201);
  });

  instance.register((scope, _options, done) => {
    const own = scope.withTypeProvider<ZodTypeProvider>();
    scope.addContentTypeParser('application/x-ndjson', { parseAs: 'buffer', bodyLimit: BULK_LIMIT }, (request, body, parsed) => {
      refuseEncoding(request.headers['content-encoding']);
      parsed(null, { jobs: parseLines(body as Buffer) });
    });
    own.post('/api/jobs/bulk', {
      bodyLimit: BULK_LIMIT,
      onRequest: refuseEarly,
      schema: {
        operationId: 'submitJobs', tags: ['Jobs'], summary: `Submit up to ${MAX_TREE} jobs, all or none`,
        description: 'JSON `{"jobs":[…]}`, or NDJSON with one job a line. One transaction: if one is refused, none is stored.',
        body: bulk, response: answers({ 200: ['The jobs this Idempotency-Key stands for already', bulkAnswer], 201: ['Ids in the order they were sent', bulkAnswer] }, 403, 404, 409, 413, 415, 422, 503),
      },
    }, async (request, reply) => {
      const list: readonly Submit[] = request.body.jobs;
      const claim = claimOf(request, request.body);
      checkUrls(list, '#/jobs', refuseUrl);
      const { plans, parentId } = planBulk(list, clock.now());
      const submitted = await jobs.submit(plans, { ...(parentId === undefined ? {} : { parentId }), ...(claim === undefined ? {} : { idempotency: claim }) });
      if (submitted.replayed !== null) reply.header('idempotency-replayed', 'true');
      const ids = submitted.replayed ?? submitted.jobs.map((job) => job.id);
      return sendJson(reply, JSON.stringify({ ids }), submitted.replayed === null ? 201 : 200);
    });
    done();
  });
}

/** One commit has one parent: all the jobs of a bulk name the same one, or none. */
function planBulk(list: readonly Submit[], now: number): { plans: NewJob[]; parentId: string | undefined } {
  const parentId = list[0]?.parentId;
  const other = list.findIndex((job) => job.parentId !== parentId);
  if (other >= 0) {
    throw new Refusal('invalid', 'All jobs of one bulk request go to the same parent, or none does.', { hint: 'Send one request for each parent.', errors: [{ pointer: `#/jobs/${other}/parentId`, detail: `the first job has ${parentId ?? 'none'}` }] });
  }
  return { plans: list.map((job) => fromWire(job, now)), parentId };
}

/** NDJSON: one job a line, LF or CRLF, empty lines left out. @throws Refusal naming the line */
export function parseLines(body: Buffer): unknown[] {
  const list: unknown[] = [];
  for (let from = 0, line = 1; from < body.length; line++) {
    const end = body.indexOf(0x0a, from);
    const to = end < 0 ? body.length : end;
    if (to > from && !(to === from + 1 && body[from] === 0x0d)) {
      if (list.length === MAX_TREE) throw new Refusal('invalid', `More than ${MAX_TREE} jobs in one request.`, { hint: 'Send them in several requests.' });
      try {
        list.push(parseJson(body, from, to));
      } catch (error) {
        if (error instanceof Refusal) throw new Refusal(error.code, `Line ${line}: ${error.message}`, { hint: error.hint ?? 'Each line holds one job as JSON.' });
        throw error;
      }
    }
    from = to + 1;
  }
  return list;
}

