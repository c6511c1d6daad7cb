// GET of jobs: one, lists, children, events, why it does not run.
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { DomainError } from '../../domain/errors.ts';
import { isFinal } from '../../domain/job.ts';
import { explain } from '../../orchestrator/explain.ts';
import { wireEvent } from '../../orchestrator/final.ts';
import type { JobFilter, JobPage } from '../../store/store.ts';
import { answers } from '../answers.ts';
import type { HttpDeps } from '../deps.ts';
import { FILE_DAMAGED } from '../problem.ts';
import { childrenQuery, DEFAULT_LIMIT, encodeCursor, eventsQuery, idParams, listQuery, waitQuery } from './query.ts';
import { fullJobText, listedJobText, sendJson, whenGone } from './reply.ts';
import { eventListSchema, explainSchema, jobListSchema, jobSchema } from './schemas.ts';

const DEFAULT_EVENTS = 200;
/** A page of events ends early rather than be larger; the store cuts pages of jobs alike. Characters. */
const PAGE_BYTES = 8 * 1_048_576;

export const noSuchJob = (id: string): DomainError => new DomainError('not_found', `There is no job ${id}.`, { hint: 'Check the id; a deleted job is gone for good.' });

export function registerReads(instance: FastifyInstance, deps: HttpDeps): void {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  const { store, waiters, capacity, clock, log } = deps;

  app.get('/api/jobs', {
    schema: {
      operationId: 'listJobs', tags: ['Jobs'], summary: 'List jobs, newest first', querystring: listQuery,
      description: 'A page may be short, even empty, and still have a `nextCursor`: `text` looks at a share of the jobs for each. Jobs that the disk has changed are left out and named in `damaged`. The `result` of a batch stands in GET /api/jobs/{id} only.',
      response: answers({ 200: ['One page', jobListSchema] }, 503),
    },
  }, async ({ query }, reply) => {
    const filter: JobFilter = {
      ...(query.status === undefined ? {} : { status: query.status }), ...(query.type === undefined ? {} : { type: query.type }),
      ...(query.parent === undefined ? {} : { parentId: query.parent }), ...(query.root === undefined ? {} : { rootId: query.root }),
      ...(query.tag === undefined ? {} : { tag: query.tag }), ...(query.text === undefined ? {} : { text: query.text }),
    };
    return sendPage(reply, 'j', query.limit ?? DEFAULT_LIMIT, (limit) => store.jobs(filter, query.cursor ?? null, limit));
  });

  app.get('/api/jobs/:id/children', {
    schema: {
      operationId: 'listChildren', tags: ['Jobs'], summary: 'List the children of a job, in order', params: idParams, querystring: childrenQuery,
      response: answers({ 200: ['One page', jobListSchema] }, 404, 503),
    },
  }, async ({ params, query }, reply) => {
    if ((await store.job(params.id)) === null) throw noSuchJob(params.id);
    return sendPage(reply, 'c', query.limit ?? DEFAULT_LIMIT, (limit) => store.children(params.id, query.status ?? null, query.cursor ?? null, limit));
  });

  async function sendPage(reply: FastifyReply, kind: string, limit: number, read: (limit: number) => Promise<JobPage>): Promise<FastifyReply> {
    const cursor = await store.lastSeq();
    const page = await read(limit);
    const damaged = page.damaged.map(({ id, what }) => ({ id, detail: what }));
    const texts = await Promise.all(page.items.map(async (record) => {
      try {
        return await listedJobText(deps, record, cursor);
      } catch (error) { // of what its dialect shows with it
        if (!(error instanceof DomainError) || error.code !== 'damaged') throw error;
        damaged.push({ id: record.job.id, detail: error.message });
        return null;
      }
    }));
    if (damaged.length > 0) log.error({ damaged }, FILE_DAMAGED);
    const said = damaged.length === 0 ? '' : `,"damaged":${JSON.stringify(damaged)}`;
    return sendJson(reply, `{"jobs":[${texts.filter((text) => text !== null).join(',')}],"nextCursor":${JSON.stringify(encodeCursor(kind, page.next))}${said}}`);
  }

  app.get('/api/jobs/:id', {
    schema: {
      operationId: 'getJob', tags: ['Jobs'], summary: 'Get a job', description: '`?wait=30` answers when the job has ended, or after 30 seconds with what it is then.',
      params: idParams, querystring: waitQuery, response: answers({ 200: ['The job', jobSchema] }, 404, 503),
    },
  }, async (request, reply) => {
    const { id } = request.params;
    let cursor = await store.lastSeq(); // before the job: events after it are then sure to be missing from the picture
    let record = await store.job(id);
    if (record === null) throw noSuchJob(id);
    const { wait } = request.query;
    if (wait !== undefined && wait > 0 && !isFinal(record.job.status)) {
      await waiters.wait(id, wait * 1_000, whenGone(reply));
      cursor = await store.lastSeq();
      record = await store.job(id);
      if (record === null) throw noSuchJob(id);
    }
    return sendJson(reply, await fullJobText(deps, record, cursor));
  });

  app.get('/api/jobs/:id/events', {
    schema: {
      operationId: 'listEvents', tags: ['Watching'], summary: 'Read the log of a job and what is below it',
      description: 'The same events, byte for byte, as the stream. Ask again with `nextCursor` to go on; `more` tells whether there is more already.',
      params: idParams, querystring: eventsQuery, response: answers({ 200: ['Events in order', eventListSchema] }, 404, 503),
    },
  }, async ({ params, query }, reply) => {
    if ((await store.job(params.id)) === null) throw noSuchJob(params.id);
    const after = query.after ?? 0;
    const limit = query.limit ?? DEFAULT_EVENTS;
    const events = await store.events({ jobId: params.id }, after, limit);
    const floor = await store.floorSeq();
    const texts: string[] = [];
    let bytes = 0;
    for (const event of events) {
      const text = await wireEvent(store, event);
      bytes += text.length;
      if (bytes > PAGE_BYTES && texts.length > 0) break;
      texts.push(text);
    }
    const next = texts.length === 0 ? after : (events[texts.length - 1]?.seq ?? after);
    const more = texts.length < events.length || events.length === limit;
    return sendJson(reply, `{"events":[${texts.join(',')}],"nextCursor":"${next}","more":${more},"reset":${after > 0 && after < floor}}`);
  });

  app.get('/api/jobs/:id/explain', {
    schema: {
      operationId: 'explainJob', tags: ['Watching'], summary: 'Why a job does not run, and what would change that',
      params: idParams, response: answers({ 200: ['Reasons, the first to solve first; none if it runs, is next in turn or has ended', explainSchema] }, 404, 503),
    },
  }, async ({ params }, reply) => {
    const [job, ...ancestors] = await store.lineage(params.id);
    if (job === undefined) throw noSuchJob(params.id);
    return sendJson(reply, JSON.stringify(explain({ lineage: [job, ...ancestors], capacity: capacity.list(), health: store.health(), now: clock.now() })));
  });
}
