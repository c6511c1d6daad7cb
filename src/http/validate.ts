// zod at the door: what a schema refuses becomes problem+json that names each place.
// A wrong shape (type, unknown or missing property) is 400, a value out of its bounds 422; parameters are always 400.
import type { FastifySchemaCompiler } from 'fastify';
import type { z } from 'zod';
import { type FieldError, Refusal } from './problem.ts';

/** Enough to fix a request by; ten thousand jobs can be wrong in ten thousand ways. */
const MAX_FIELD_ERRORS = 20;

type Issue = z.core.$ZodIssue;

const SHAPE: ReadonlySet<string> = new Set(['invalid_type', 'unrecognized_keys', 'invalid_key', 'invalid_element']);

function isShape(issue: Issue): boolean {
  if (issue.code === 'invalid_union') {
    // A union is out of bounds, not misshapen, if one of its forms was met in shape.
    if (issue.errors.length === 0) return !issue.message.startsWith('must'); // the type of a job: absent, or one that is not there
    return !issue.errors.some((branch) => branch.every((inner) => !isShape(inner)));
  }
  if (issue.code === 'invalid_value') return typeof issue.input !== typeof issue.values[0];
  return SHAPE.has(issue.code);
}

function describe(issue: Issue): string {
  if (issue.code === 'unrecognized_keys') return `has no property ${issue.keys.slice(0, 5).map((key) => JSON.stringify(key.slice(0, 80))).join(', ')}`;
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    const branches = issue.errors.map((branch) => branch.map((inner) => `${inner.path.length > 0 ? `${inner.path.join('.')} ` : ''}${describe(inner)}`).join(' and '));
    return [...new Set(branches)].join(', or ').slice(0, 500);
  }
  if (issue.code === 'too_big' || issue.code === 'too_small') return bound(issue);
  if (issue.code === 'invalid_value') return `must be ${issue.values.length === 1 ? '' : 'one of '}${issue.values.map((value) => JSON.stringify(value)).join(', ')}`;
  if (issue.code === 'invalid_type') {
    const [, received] = /received (.+)$/.exec(issue.message) ?? [];
    if (received === 'undefined') return 'is required';
    return received === undefined ? issue.message : `must be ${A[issue.expected] ?? issue.expected}, not ${received}`;
  }
  return issue.message.replace(/^Invalid input: /, '').slice(0, 500);
}

const A: Readonly<Record<string, string>> = { string: 'a string', number: 'a number', int: 'a whole number', boolean: 'true or false', object: 'an object', array: 'an array', null: 'null' };
const UNIT: Readonly<Record<string, string>> = { string: ' characters', array: ' items', set: ' items', file: ' bytes' };

function bound(issue: Extract<Issue, { code: 'too_big' | 'too_small' }>): string {
  const unit = UNIT[issue.origin];
  const verb = unit === undefined ? 'must be' : 'must have';
  return issue.code === 'too_big' ? `${verb} at most ${String(issue.maximum)}${unit ?? ''}` : `${verb} at least ${String(issue.minimum)}${unit ?? ''}`;
}

const pointer = (path: readonly PropertyKey[]): string =>
  `#${path.map((part) => `/${String(part).slice(0, 80).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')}`;

const WHERE: Readonly<Record<string, string>> = { body: 'body', querystring: 'query', params: 'path', headers: 'headers' };

export function refusalOf(issues: readonly Issue[], part: string): Refusal {
  const inBody = part === 'body';
  const shape = !inBody || issues.some(isShape);
  const errors: FieldError[] = issues.slice(0, MAX_FIELD_ERRORS).map((issue) => {
    const detail = describe(issue);
    if (inBody) return { pointer: pointer(issue.path), detail };
    if (issue.code === 'unrecognized_keys') return { parameter: issue.keys.join(', ').slice(0, 200), detail: 'is not a parameter of this path' };
    return { parameter: issue.path.map(String).join('.'), detail };
  });
  const first = errors[0];
  const at = first?.pointer === '#' ? 'the body' : (first?.pointer ?? first?.parameter ?? '');
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : '';
  return new Refusal(shape ? 'invalid_request' : 'invalid', `In the ${WHERE[part] ?? part}: ${at} ${(first?.detail ?? 'is not valid').replace(/\.$/, '')}${more}.`, { errors });
}

export const validatorCompiler: FastifySchemaCompiler<z.ZodType> = ({ schema, httpPart }) => (data) => {
  const result = schema.safeParse(data);
  if (result.success) return { value: result.data };
  if (httpPart === 'body' && (data === undefined || data === null)) {
    return { error: new Refusal('invalid_request', 'This path needs a JSON body.', { hint: "Send -H 'Content-Type: application/json' -d '{…}'." }) };
  }
  // Once more, with the values at fault: the good case should not pay for them.
  const { error } = schema.safeParse(data, { reportInput: true });
  return { error: refusalOf((error ?? result.error).issues, httpPart ?? 'request') };
};
