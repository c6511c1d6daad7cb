// GET /api/jobs/{id}/artifacts and /artifacts/{path}: the files that a job left.
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { DomainError } from '../../domain/errors.ts';
import { answers } from '../answers.ts';
import type { HttpDeps } from '../deps.ts';
import { idParams } from './query.ts';
import { noSuchJob } from './reads.ts';
import { sendJson } from './reply.ts';
import { artifactListSchema, jobId } from './schemas.ts';

const fileParams = z.object({ id: jobId, '*': z.string().min(1).max(1_024).describe('Path of the file, as listed') });

/** Of a path only its last part, and of that only what no header and no file system reads as anything else. */
export const fileName = (path: string): string => (path.split('/').at(-1) ?? '').replace(/[^A-Za-z0-9._-]/g, '_').slice(0, 100).replace(/^\.+/, '_');

export function registerArtifacts(instance: FastifyInstance, { store, artifacts }: HttpDeps): void {
  const app = instance.withTypeProvider<ZodTypeProvider>();

  app.get('/api/jobs/:id/artifacts', {
    schema: {
      operationId: 'listArtifacts', tags: ['Watching'], summary: 'List the files that a job left',
      params: idParams, response: answers({ 200: ['By path; none before the job has ended', artifactListSchema] }, 404, 503),
    },
  }, async ({ params }, reply) => {
    if ((await store.job(params.id)) === null) throw noSuchJob(params.id);
    return sendJson(reply, JSON.stringify({ artifacts: await artifacts.list(params.id) }));
  });

  app.get('/api/jobs/:id/artifacts/*', {
    schema: {
      operationId: 'readArtifact', tags: ['Watching'], summary: 'Download a file that a job left',
      params: fileParams, response: answers({ 200: ['The file', z.string(), 'application/octet-stream'] }, 404, 503),
    },
  }, async ({ params }, reply) => {
    const file = (await store.job(params.id)) === null ? null : await artifacts.open(params.id, params['*']);
    if (file === null) throw new DomainError('not_found', `Job ${params.id} left no such file.`, { hint: `GET /api/jobs/${params.id}/artifacts lists what there is.` });
    // What a container wrote is shown by nobody's browser as if it were ours.
    return reply.header('content-type', file.contentType).header('content-length', file.size).header('content-disposition', `attachment; filename="${fileName(file.path)}"`)
      .header('content-security-policy', "sandbox; default-src 'none'").header('x-content-type-options', 'nosniff').header('cache-control', 'private, no-cache').send(file.stream);
  });
}
