// Who asks: the signer of a request, and the operation it is about. Everything of this dialect that is allowed is decided by these.
import type { FastifyRequest } from 'fastify';
import { DomainError } from '../../domain/errors.ts';
import { type Grant, isParty, type JsonObject } from '../../domain/grant.ts';
import type { JobRecord, Store } from '../../store/store.ts';
import { isForeign } from '../guards.ts';
import { parseJson } from '../json-body.ts';
import { Refusal } from '../problem.ts';
import { refusalOf } from '../validate.ts';
import { isZeroSignature, recoverSigner } from './signature.ts';
import { artifactMessage, requestSchema } from './wire.ts';

/**
 * The address that signed the text; null in development for the all-zero signature, which stands for whoever the grant names.
 * A page of another site may not use that: it would make every browser on this machine a grantee. @throws Refusal
 */
export function signerOf(request: FastifyRequest, text: string, signature: string, field: string, isOpen: boolean): string | null {
  if (isOpen && isZeroSignature(signature)) {
    if (isForeign(request)) throw new Refusal('cross_site', 'The all-zero signature of development is not taken from pages of other sites.');
    return null;
  }
  const signer = recoverSigner(text, signature);
  if (signer === null) {
    throw new Refusal('unauthenticated', `${field} is no valid signature.`, {
      hint: 'Sign the exact text with personal_sign (EIP-191): r, a low s, and 1b or 1c.', errors: [{ pointer: `#/${field}`, detail: 'is no valid signature' }],
    });
  }
  return signer;
}

export interface Asked {
  readonly permissionId: number;
  readonly operation: string | undefined;
  readonly parameters: JsonObject;
}

/** What a signed text asks for. It is held to the rules of every body: no duplicate keys, no depth, no poison. @throws Refusal */
export function readRequest(text: string): Asked {
  const wrong = (detail: string): Refusal => new Refusal('invalid_request', `operation_request_json: ${detail}`, { hint: 'It is a JSON object as text, with permission_id.', errors: [{ pointer: '#/operation_request_json', detail }] });
  let value: unknown;
  try {
    value = parseJson(Buffer.from(text));
  } catch (error) {
    if (error instanceof Refusal) throw wrong(error.message);
    throw error;
  }
  const parsed = requestSchema.safeParse(value, { reportInput: true });
  if (!parsed.success) throw refusalOf(parsed.error.issues, 'body');
  const { permission_id, operation, parameters } = parsed.data;
  return { permissionId: permission_id, operation: operation ?? undefined, parameters: parameters ?? {} };
}

export const noSuchOperation = (id: string): DomainError => new DomainError('not_found', `There is no operation ${id.slice(0, 100)}.`, { hint: 'Check the id that POST /api/v1/operations answered.' });

export interface Operation extends JobRecord {
  readonly grantId: number;
}

/** The job of that id, if it runs under a grant: no other job can be reached through this dialect. @throws DomainError not_found */
export async function findOperation(store: Pick<Store, 'job'>, id: string): Promise<Operation> {
  const record = await store.job(id);
  const grantId = record?.job.spec.grant;
  if (record === null || grantId === undefined) throw noSuchOperation(id);
  return { ...record, grantId };
}

/** @throws Refusal unauthenticated, forbidden; DomainError not_found */
export async function checkParty(store: Pick<Store, 'job' | 'grant'>, request: FastifyRequest, { operation_id: id, signature }: { readonly operation_id: string; readonly signature: string }, isOpen: boolean): Promise<void> {
  const signer = signerOf(request, artifactMessage(id), signature, 'signature', isOpen);
  const { grantId } = await findOperation(store, id);
  const grant: Grant | null = await store.grant(grantId);
  if (grant === null || !isParty(grant, signer)) throw new Refusal('forbidden', `The signer is neither grantor nor grantee of operation ${id}.`);
}
