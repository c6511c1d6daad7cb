// Grants: who lets whom run which operation, with what, until when. Rules are functions of data; signatures are checked outside,
// what arrives here is the address that signed.
//
//   grantor   whose data and machine it is; grantee   who may ask; both are addresses, lower case
//   template  what an operation of this grant is: an ordinary job, and how its parameters reach it
import type { NewJob } from './commands.ts';
import { DomainError } from './errors.ts';
import type { JobSpec } from './job.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** Where the parameters go in the job's input. Nothing is delivered that is not named here. */
export interface Delivery {
  /** Variable that gets `parameters.goal`, which then must be a string. */
  readonly goalEnv?: string | undefined;
  /** Variable that gets all parameters as JSON. */
  readonly env?: string | undefined;
  /** File in the container that holds them as JSON. */
  readonly file?: string | undefined;
  /** They are the standard input, as JSON. */
  readonly stdin?: boolean | undefined;
  /** They are the body, as `{operation, parameters}`: for templates of type request. */
  readonly body?: boolean | undefined;
}

export interface Template {
  readonly type: string;
  readonly input: JsonObject;
  readonly deliver: Delivery;
  readonly timeout?: number | undefined;
  readonly maxAttempts?: number | undefined;
}

/** What is granted. It never changes afterwards but for being revoked, so that what was read of it stays true. */
export interface NewGrant {
  /** The permission id; null = the next free one. */
  readonly id: number | null;
  readonly grantor: string;
  readonly grantee: string;
  readonly operation: string;
  readonly parameters: JsonObject;
  readonly expiresAt: number | null;
  readonly template: Template;
}

export interface Grant extends NewGrant {
  readonly id: number;
  readonly createdAt: number;
  readonly revokedAt: number | null;
}

/** What somebody asks under a grant. */
export interface GrantUse {
  readonly permissionId: number;
  /** The address that signed; null = development, where nobody signs and the grantee is taken to have asked. */
  readonly signer: string | null;
  /** If it is named it must be the grant's. */
  readonly operation?: string | undefined;
}

export const noSuchGrant = (id: number): DomainError => new DomainError('not_found', `There is no permission ${id}.`, { hint: 'POST /api/grants makes one.' });

/** May this be asked under this grant now? @throws DomainError not_granted, grant_invalid */
export function checkUse(grant: Grant, use: GrantUse, now: number): void {
  // Who is not the grantee learns nothing else of the grant.
  if (use.signer !== null && use.signer.toLowerCase() !== grant.grantee) {
    throw new DomainError('not_granted', `Permission ${grant.id} was not granted to ${use.signer.toLowerCase()}, who signed this.`, { hint: 'Sign exactly the text of operation_request_json with the key of the grantee.' });
  }
  if (grant.revokedAt !== null) throw new DomainError('grant_invalid', `Permission ${grant.id} was revoked.`, { hint: 'Ask the grantor for a new one.' });
  if (grant.expiresAt !== null && grant.expiresAt <= now) throw new DomainError('grant_invalid', `Permission ${grant.id} has expired.`, { hint: 'Ask the grantor for a new one.' });
  if (use.operation !== undefined && use.operation !== grant.operation) {
    throw new DomainError('grant_invalid', `Permission ${grant.id} is for the operation ${grant.operation}.`, { hint: 'Name that operation, or none.', field: 'operation' });
  }
}

/** May this address read what operations of this grant left? */
export const isParty = (grant: Pick<Grant, 'grantor' | 'grantee'>, signer: string | null): boolean =>
  signer === null || signer.toLowerCase() === grant.grantor || signer.toLowerCase() === grant.grantee;

/** The job of one operation. What the grant says of a parameter is final; it holds whole values, not parts of them. @throws DomainError grant_invalid */
export function planOperation(grant: NewGrant & { readonly id: number }, asked: JsonObject): NewJob {
  const { template, operation } = grant;
  const parameters = { ...asked, ...grant.parameters };
  const { goalEnv, env, file, stdin, body } = template.deliver;
  const text = JSON.stringify(parameters);
  const { goal } = parameters as { goal?: unknown };
  if (goalEnv !== undefined && typeof goal !== 'string') {
    throw new DomainError('grant_invalid', `The operation ${operation} needs parameters.goal, a string.`, { hint: 'Add "parameters":{"goal":"…"} to the request, or to the grant.', field: 'parameters.goal' });
  }
  const variables = { ...(goalEnv === undefined ? {} : { [goalEnv]: goal }), ...(env === undefined ? {} : { [env]: text }) };
  const input: Record<string, unknown> = { ...template.input };
  if (Object.keys(variables).length > 0) input['env'] = { ...(input['env'] as JsonObject | undefined), ...variables };
  if (file !== undefined) input['files'] = [...((input['files'] as readonly unknown[] | undefined) ?? []), { path: file, content: text }];
  if (stdin === true) input['stdin'] = text;
  if (body === true) input['body'] = { operation, parameters };
  const spec: JobSpec = {
    grant: grant.id, ...(template.timeout === undefined ? {} : { timeout: template.timeout }), ...(template.maxAttempts === undefined ? {} : { maxAttempts: template.maxAttempts }),
  };
  return { type: template.type, input: JSON.stringify(input), spec };
}
