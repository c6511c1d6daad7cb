// /api/grants: who may run which operation. A grant is made, read and revoked; it is never changed.
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { type Grant, type NewGrant, noSuchGrant, planOperation } from '../../domain/grant.ts';
import { iso } from '../../orchestrator/final.ts';
import { partSecrets } from '../../orchestrator/secrets.ts';
import { answers } from '../answers.ts';
import type { HttpDeps } from '../deps.ts';
import { Refusal } from '../problem.ts';
import { refusalOf } from '../validate.ts';
import { DEFAULT_LIMIT, encodeCursor, number, pageCursor, pageLimit } from './query.ts';
import { sendJson } from './reply.ts';
import { YEAR } from './schemas.ts';
import { checkUrls } from './urls.ts';

/** Fifteen digits: exact in every reader of JSON. */
const ID_MAX = 999_999_999_999_999;
const address = z.string().regex(/^0x[0-9a-fA-F]{40}$/, 'is not an address: those are 0x and 40 hexadecimal digits');
const name = z.string().regex(/^[a-z][a-z0-9_]{0,63}$/, 'is not the name of an operation: small letters, digits and _, at most 64');
const variable = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'is not the name of a variable');
const parameters = z.record(z.string(), z.unknown());
const deliver = z.strictObject({
  goalEnv: variable.optional().describe('Variable that gets `parameters.goal`; the goal is then required and a string'),
  env: variable.optional().describe('Variable that gets all parameters as JSON'),
  file: z.string().min(1).max(4_096).optional().describe('File in the container that holds all parameters as JSON'),
  stdin: z.literal(true).optional().describe('All parameters as JSON on the standard input'),
  body: z.literal(true).optional().describe('For type request: `{operation, parameters}` is the body'),
});
const template = z.strictObject({
  type: z.string().min(1).max(64).describe('Job type: container, or any other'), input: z.record(z.string(), z.unknown()).describe('Input of that type'),
  deliver: deliver.default({}).describe('How the parameters reach the job; what is not named is not delivered'),
  timeout: z.int().min(1).max(YEAR).optional().describe('Longest run of one attempt, ms'), maxAttempts: z.int().min(1).max(100).default(1).describe('An agent that failed is not run again by itself'),
});
const grantBody = z.strictObject({
  id: z.int().min(1).max(ID_MAX).optional().describe('The permission id; the next free one if absent'),
  grantor: address, grantee: address.describe('Whose signature is accepted'), operation: name,
  parameters: parameters.default({}).describe('These win over what a request says'),
  expiresAt: z.iso.datetime({ offset: true }).nullish(), template,
});
const grantSchema = z.object({
  id: z.int(), grantor: z.string(), grantee: z.string(), operation: z.string(), parameters,
  template: z.object({ type: z.string(), input: z.record(z.string(), z.unknown()), deliver: z.record(z.string(), z.unknown()), timeout: z.int().optional(), maxAttempts: z.int().optional() }),
  expiresAt: z.iso.datetime().nullable(), createdAt: z.iso.datetime(), revokedAt: z.iso.datetime().nullable(),
});
const grantParams = z.strictObject({ id: number(1, ID_MAX, 'A permission id') });
const listQuery = z.strictObject({ grantee: address.optional(), limit: pageLimit, cursor: pageCursor('g').optional() });

const when = (at: number | null): string | null => (at === null ? null : iso(at));
function toWire(grant: Grant): z.output<typeof grantSchema> {
  const { expiresAt, createdAt, revokedAt, template: { timeout, maxAttempts, type, input, deliver: ways }, ...rest } = grant;
  return {
    ...rest, template: { type, input: partSecrets(input).input as Record<string, unknown>, deliver: { ...ways }, ...(timeout === undefined ? {} : { timeout }), ...(maxAttempts === undefined ? {} : { maxAttempts }) },
    expiresAt: when(expiresAt), createdAt: iso(createdAt), revokedAt: when(revokedAt),
  };
}

export function registerGrants(instance: FastifyInstance, { store, jobs, inputs, refuseUrl }: HttpDeps): void {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  const tags = ['Grants'];

  /** The job that an operation would be, with a goal if only the request can give one: a template that cannot run is refused here. */
  function checkTemplate(grant: NewGrant): void {
    const { type } = grant.template;
    const schema = Object.hasOwn(inputs, type) ? inputs[type] : undefined;
    if (schema === undefined) throw new Refusal('invalid', `There is no job type ${type}.`, { hint: `The types are ${Object.keys(inputs).join(', ')}.`, errors: [{ pointer: '#/template/type', detail: 'is no job type' }] });
    const input: unknown = JSON.parse(planOperation({ ...grant, id: grant.id ?? 1 }, { goal: '' }).input);
    const checked = schema.safeParse(input, { reportInput: true });
    if (!checked.success) throw refusalOf(checked.error.issues.map((issue) => ({ ...issue, path: ['template', 'input', ...issue.path] })), 'body');
    checkUrls([{ type, input }], '#/template', refuseUrl);
  }

  app.post('/api/grants', {
    schema: {
      operationId: 'createGrant', tags, summary: 'Let an address run an operation',
      description: 'POST /api/v1/operations with `permission_id` then runs the template as a job, if the grantee signed it.',
      body: grantBody, response: answers({ 201: ['The grant', grantSchema] }, 403, 409, 413, 415, 422, 503),
    },
  }, async ({ body }, reply) => {
    const { expiresAt } = body;
    const grant: NewGrant = { ...body, id: body.id ?? null, expiresAt: expiresAt === undefined || expiresAt === null ? null : Math.max(0, Date.parse(expiresAt)) };
    checkTemplate(grant);
    const made = await jobs.grant(grant);
    return sendJson(reply.header('location', `/api/grants/${made.id}`), JSON.stringify(toWire(made)), 201);
  });

  app.get('/api/grants', {
    schema: { operationId: 'listGrants', tags, summary: 'List grants, highest id first', querystring: listQuery, response: answers({ 200: ['One page', z.object({ grants: z.array(grantSchema), nextCursor: z.string().nullable() })] }, 503) },
  }, async ({ query }, reply) => {
    const page = await store.grants(query.grantee?.toLowerCase() ?? null, query.cursor ?? null, query.limit ?? DEFAULT_LIMIT);
    return sendJson(reply, JSON.stringify({ grants: page.items.map(toWire), nextCursor: encodeCursor('g', page.next) }));
  });

  app.get('/api/grants/:id', {
    schema: { operationId: 'getGrant', tags, summary: 'Get a grant', params: grantParams, response: answers({ 200: ['The grant', grantSchema] }, 404, 503) },
  }, async ({ params }, reply) => {
    const grant = await store.grant(params.id);
    if (grant === null) throw noSuchGrant(params.id);
    return sendJson(reply, JSON.stringify(toWire(grant)));
  });

  app.delete('/api/grants/:id', {
    schema: {
      operationId: 'revokeGrant', tags, summary: 'Revoke a grant', description: 'Nothing new runs under it. It stays to be read, for the operations that did; what runs goes on until it is cancelled.',
      params: grantParams, response: answers({ 200: ['The grant as it is now', grantSchema] }, 403, 404, 413, 415, 503),
    },
  }, async ({ params }, reply) => sendJson(reply, JSON.stringify(toWire(await jobs.revoke(params.id)))));
}

