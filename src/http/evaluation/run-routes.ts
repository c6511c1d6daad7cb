// Running and reading evaluations: POST /api/jobs {experimentId}, /api/eval/test, /api/judge, reports, figures, comparison.
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { DomainError } from '../../domain/errors.ts';
import { type RunConfig, RULES_MODEL } from '../../domain/evaluation/model.ts';
import type { Step } from '../../domain/evaluation/steps.ts';
import { isFinal } from '../../domain/job.ts';
import { compareRuns, figuresOf } from '../../domain/evaluation/statistics.ts';
import type { Evaluations } from '../../orchestrator/evaluations.ts';
import { REPORT_STYLE, reportCsp } from '../../orchestrator/evaluations/html.ts';
import type { StoredDocument } from '../../store/store.ts';
import { answers } from '../answers.ts';
import { Refusal } from '../problem.ts';
import { refusalOf } from '../validate.ts';
import type { OtherSubmit } from '../words.ts';
import { checkCall, EXPORT_TYPES, exported, fileAnswers, IMPORT_LIMIT, type Refuse } from './library-routes.ts';
import { addLinesParser } from './lines.ts';
import {
  comparisonQuery, comparisonSchema, docParams, encodeCursor, experimentSubmit, figuresSchema, htmlQuery, importedSchema, judgeAnswer, judgeBody, pageSchema, rejudgeBody, removedSchema,
  reportImport, reportQuery, reportSchema, reportsExport, reportsQuery, runParams, startedSchema, testAnswer, testBody,
} from './schemas.ts';

/** One case is waited for as long as an agent may take by default, and its judge a while. */
const TEST_PATIENCE = 15 * 60_000;
const JUDGE_PATIENCE = 600_000;

const sendText = (reply: FastifyReply, text: string, status = 200): FastifyReply => reply.code(status).header('content-type', 'application/json; charset=utf-8').send(text);

function whenGone(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => controller.abort());
  return controller.signal;
}

/**
 * The seed posts experiments to the path of native jobs. Its body is known by `experimentId`, which no native body has; it is
 * taken before the native schema looks at it, so neither body's rules (and messages) are loosened for the other.
 */
export function experimentSubmitOf(evaluations: Evaluations, refuse: Refuse, show: (jobId: string) => Promise<string>): OtherSubmit {
  return {
    mark: 'experimentId', schema: experimentSubmit,
    async take(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
      const checked = experimentSubmit.safeParse(request.body);
      if (!checked.success) {
        const refusal = refusalOf(checked.error.issues, 'body');
        throw new Refusal('invalid_request', refusal.message, refusal.errors === undefined ? {} : { errors: refusal.errors }); // the contract: 400 for every bad config
      }
      const { experimentId, runConfig } = checked.data;
      checkCall({ url: runConfig.agentEndpoint, headers: runConfig.headers }, { url: '#/runConfig/agentEndpoint', headers: '#/runConfig/headers' }, 'invalid_request', refuse);
      const { job } = await evaluations.runs.submit(experimentId, runConfig as RunConfig);
      reply.header('location', `/api/jobs/${job.id}`);
      return sendText(reply, await show(job.id), 201);
    },
  };
}

export function registerRuns(instance: FastifyInstance, evaluations: Evaluations): void {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  const { runs } = evaluations;
  const tags = ['Evaluation'];

  app.post('/api/eval/test', {
    schema: {
      operationId: 'testCase', tags, summary: 'Run one case and wait for its score', description: 'Built in: the agent `demo` and the judge `rules` (taken if modelId is absent). `status` is running if it takes longer than 15 minutes; the report then tells.',
      body: testBody, response: answers({ 200: ['What it came to', testAnswer] }, 403, 404, 413, 415, 422, 503),
    },
  }, async ({ body }, reply) => {
    const record = await runs.test(body.testCaseId, body.agentKey, body.modelId ?? RULES_MODEL, TEST_PATIENCE, whenGone(reply));
    return sendText(reply, await evaluations.testText(record));
  });

  app.post('/api/judge', {
    schema: { operationId: 'judgeTrajectory', tags, summary: 'Score a trajectory', body: judgeBody, response: answers({ 200: ['The verdict', judgeAnswer] }, 403, 404, 413, 415, 422, 503) },
  }, async ({ body }, reply) => {
    const { modelId, trajectory, ...expected } = body;
    const { job, result } = await runs.judge({ ...expected, trajectory: trajectory as unknown as readonly Step[] }, modelId ?? RULES_MODEL, JUDGE_PATIENCE, whenGone(reply));
    if (result !== null && job.status === 'completed') return sendText(reply, result);
    if (!isFinal(job.status)) throw new DomainError('unavailable', 'The judge has not answered in time.', { hint: `GET /api/jobs/${job.id} tells when it has.`, jobId: job.id });
    throw new DomainError('unavailable', `The judge gave no verdict: ${job.error?.message ?? ''}`, { jobId: job.id });
  });

  registerReports(instance, evaluations);

  const ended = [404, 503] as const;
  app.get('/api/eval/runs/:id/figures', {
    schema: { operationId: 'runFigures', tags, summary: 'What a run came to: by case, with mean and spread', params: runParams, response: answers({ 200: ['Figures of the cases that have ended', figuresSchema] }, ...ended) },
  }, async ({ params }, reply) => sendText(reply, JSON.stringify(figuresOf(await runs.outcomes(params.id)))));

  app.get('/api/eval/runs/:id/comparison', {
    schema: { operationId: 'compareRuns', tags, summary: 'Compare a run with a baseline, case by case', description: 'PASS if the 95% interval of the mean difference lies above −tolerance, FAIL if the mean lies below, else UNSURE.', params: runParams, querystring: comparisonQuery, response: answers({ 200: ['The comparison', comparisonSchema] }, ...ended) },
  }, async ({ params, query }, reply) => sendText(reply, JSON.stringify(compareRuns(await runs.outcomes(query.baseline), await runs.outcomes(params.id), query.tolerance))));

  const style = createHash('sha256').update(REPORT_STYLE).digest('base64');
  app.get('/api/eval/runs/:id/report.html', {
    schema: { operationId: 'runReport', tags, summary: 'A run as one HTML file, with plots', params: runParams, querystring: htmlQuery, response: answers({ 200: ['The report', z.string(), 'text/html'] }, ...ended) },
  }, async ({ params, query }, reply) => {
    const html = await evaluations.html(params.id, query.baseline);
    if (query.download === true) reply.header('content-disposition', `attachment; filename="${params.id}.html"`);
    return reply.header('content-type', 'text/html; charset=utf-8').header('content-security-policy', reportCsp(style)).header('cache-control', 'no-store').send(html);
  });
}

function registerReports(instance: FastifyInstance, evaluations: Evaluations): void {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  const { runs, reports, library } = evaluations;
  const tags = ['Evaluation'];
  const filterOf = (query: { jobId?: string | undefined; testCaseId?: string | undefined }) => (query.jobId !== undefined ? { owner: query.jobId } : query.testCaseId !== undefined ? { subject: query.testCaseId } : {});
  const views = (documents: readonly StoredDocument[]): Promise<unknown[]> => Promise.all(documents.map((document) => reports.view(document)));

  app.get('/api/eval/reports', {
    schema: { operationId: 'listReports', tags, summary: 'List reports', description: 'Newest first; those of one run in its order. Without trajectories.', querystring: reportsQuery, response: answers({ 200: ['One page', pageSchema('reports', reportSchema)] }, 503) },
  }, async ({ query }, reply) => {
    const { documents, next } = await reports.page(filterOf(query), query.cursor ?? null, query.limit ?? 50);
    return sendText(reply, JSON.stringify({ reports: await views(documents), nextCursor: encodeCursor(next) }));
  });

  app.get('/api/eval/reports/export', {
    schema: { operationId: 'exportReports', tags, summary: 'Reports as a file, with their trajectories', querystring: reportsExport, response: fileAnswers(reportSchema) },
  }, async ({ query }, reply) => {
    const format = query.format ?? 'json';
    const read = async (after: number | null): Promise<{ texts: string[]; next: number | null }> => {
      const { documents, next } = await reports.page(filterOf(query), after, 10); // each may have some MiB
      const texts: string[] = [];
      for (const document of documents) texts.push(await reports.whole(document, query.raw === true));
      return { texts, next };
    };
    return reply.header('content-type', EXPORT_TYPES[format]).header('content-disposition', `attachment; filename="reports.${format}"`).send(Readable.from(exported(read, format)));
  });

  instance.register((scope, _options, done) => {
    addLinesParser(scope);
    scope.withTypeProvider<ZodTypeProvider>().post('/api/eval/reports/import', {
      bodyLimit: IMPORT_LIMIT,
      schema: { operationId: 'importReports', tags, summary: 'Take up exported reports, all or none', body: reportImport, response: answers({ 200: ['Ids in the order they were sent', importedSchema] }, 403, 413, 415, 422, 503) },
    }, async ({ body }, reply) => sendText(reply, JSON.stringify({ ids: await evaluations.importReports(body) })));
    done();
  });

  app.get('/api/eval/reports/:id', {
    schema: { operationId: 'getReport', tags, summary: 'Get a report with its trajectory', params: docParams, querystring: reportQuery, response: answers({ 200: ['The report', reportSchema] }, 404, 503) },
  }, async ({ params, query }, reply) => sendText(reply, await reports.whole(await library.get('report', params.id), query.raw === true)));

  app.delete('/api/eval/reports/:id', {
    schema: { operationId: 'deleteReport', tags, summary: 'Delete a report', params: docParams, response: answers({ 200: ['Gone', removedSchema] }, 403, 404, 413, 415, 503) },
  }, async ({ params }, reply) => sendText(reply, JSON.stringify({ deleted: await library.remove('report', params.id) })));

  app.post('/api/eval/reports/:id/rejudge', {
    schema: { operationId: 'rejudgeReport', tags, summary: 'Score a report again', description: 'By the judge it had, or another. The agent is not asked. The answer names the job; its verdict stands beside those before.', params: docParams, body: rejudgeBody, response: answers({ 202: ['The judge is at work', startedSchema] }, 403, 404, 413, 415, 422, 503) },
  }, async ({ params, body }, reply) => {
    const job = await runs.rejudge(params.id, body?.modelId);
    reply.header('location', `/api/jobs/${job.id}`);
    return sendText(reply, JSON.stringify({ jobId: job.id, reportId: params.id }), 202);
  });
}
