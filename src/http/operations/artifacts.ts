// POST /api/v1/artifacts/*: what an operation left, for its grantor and its grantee. The bytes are whoever keeps them's.
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { DomainError } from '../../domain/errors.ts';
import type { Artifacts } from '../../orchestrator/artifacts.ts';
import type { Store } from '../../store/store.ts';
import { answersIn } from '../answers.ts';
import { Refusal } from '../problem.ts';
import { checkParty } from './access.ts';
import { refusalSchema } from './envelope.ts';
import { dispositionOf } from './disposition.ts';
import { artifactBody, artifactListBody, artifactNames, artifactsSchema, operationParams } from './wire.ts';

export interface ArtifactDeps {
  readonly store: Store;
  readonly artifacts: Pick<Artifacts, 'list' | 'open'>;
  readonly isOpen: boolean;
}

export function registerArtifacts(instance: FastifyInstance, { store, artifacts, isOpen }: ArtifactDeps): void {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  const tags = ['Agent operations'];

  app.post('/api/v1/artifacts/:operation_id/list', {
    schema: {
      operationId: 'listArtifacts', tags, summary: 'List the files an operation left', params: operationParams, body: artifactListBody(isOpen),
      response: answersIn(refusalSchema, { 200: ['The files', artifactsSchema] }, 401, 403, 404, 413, 415, 503),
    },
  }, async (request, reply) => {
    const { operation_id: id } = request.body;
    if (id !== request.params.operation_id) throw new Refusal('invalid_request', 'The operation_id of the body is not that of the path.', { hint: 'Send the same one in both.', errors: [{ pointer: '#/operation_id', detail: 'is not that of the path' }] });
    await checkParty(store, request, request.body, isOpen);
    const found = await artifacts.list(id);
    const names = [...artifactNames(found.map(({ path }) => path)).keys()];
    const list = found.map(({ path, size, contentType }, i) => ({ path: names[i] ?? path, size, content_type: contentType }));
    return reply.header('content-type', 'application/json; charset=utf-8').header('cache-control', 'no-store').send(JSON.stringify({ kind: 'ArtifactList', operation_id: id, artifacts: list }));
  });

  app.post('/api/v1/artifacts/download', {
    schema: {
      operationId: 'downloadArtifact', tags, summary: 'Download a file an operation left', body: artifactBody(isOpen),
      response: answersIn(refusalSchema, { 200: ['Its bytes', z.string().meta({ contentEncoding: 'binary' }), 'application/octet-stream'] }, 401, 403, 404, 413, 415, 503),
    },
  }, async (request, reply) => {
    const { operation_id: id, artifact_path: path } = request.body;
    await checkParty(store, request, request.body, isOpen);
    const names = artifactNames((await artifacts.list(id)).map((one) => one.path));
    const plain = path.replace(/^\.\//, '');
    const file = await artifacts.open(id, names.get(plain) ?? plain);
    if (file === null) throw new DomainError('not_found', `Operation ${id} left no file of that name.`, { hint: `POST /api/v1/artifacts/${id}/list names them.` });
    return reply.header('content-type', file.contentType).header('content-length', file.size).header('content-disposition', dispositionOf(file.path)).header('cache-control', 'private, max-age=3600')
      // What an agent wrote is never a page of this server, whatever it says it is.
      .header('content-security-policy', "sandbox; default-src 'none'").send(file.stream);
  });
}
