// What an answer must be: declared for its operation, of a declared type, within its schema, and complete if it refuses.
import { parseBlock } from '../support/sse.ts';
import type { Document, Operation, Schema } from './document.ts';
import type { Plan, Request } from './plans.ts';
import type { Answer } from './send.ts';

/** What the server may say before it knows of any operation, or of one that the document does not have. */
const UNROUTED = new Set([400, 404, 405, 408, 413, 414, 415, 421, 431]);
/** Dialects that refuse in words of their own, also where they have no route. */
const OWN_WORDS = /^\/(aitp|api\/v1)\//;
const REFUSAL: Schema = { type: 'object', required: ['detail'] };
/** Before there is an HTTP request there is no id for it. */
const UNREAD = new Set([400, 405, 408, 431]);

const mediaType = (header: unknown): string => String(header ?? '').split(';', 1)[0]!.trim().toLowerCase();

/** The operation that a request came to; null if none can be told from it. */
export function operationOf(document: Document, plan: Plan, { method, target }: Request): Operation | null {
  const pathname = target.split(/[?#]/, 1)[0]!;
  const same = document.operations.filter(({ path }) => new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]*')}$`).test(pathname));
  // Of /api/jobs/bulk and /api/jobs/{id} the one without a parameter is meant.
  const fits = same.sort((a, b) => a.path.split('{').length - b.path.split('{').length).find((one) => one.method === (method === 'HEAD' ? 'GET' : method));
  if (same.some((one) => one.path === plan.operation.path) || fits !== undefined) return fits ?? null;
  return null;
}

export interface Verdict {
  /** Null: everything as it should be. */
  readonly wrong: string | null;
  /** Read from a good answer of JSON. */
  readonly body: unknown;
}

export function judge(document: Document, operation: Operation | null, request: Request, answer: Answer): Verdict {
  const { status, headers } = answer;
  const fail = (wrong: string): Verdict => ({ wrong, body: null });
  // Declared by what needs a setting that this server has not.
  if (status >= 500 && status !== 501) return fail(`${status} is the server's failure`);
  const media = operation?.answers[String(status)];
  if (operation === null && !(UNROUTED.has(status) || (status === 422 && OWN_WORDS.test(request.target)) || (request.method === 'OPTIONS' && status < 300))) return fail(`${status} is no answer to a request that leads to no operation`);
  if (operation === null && request.method === 'OPTIONS' && status === 204) return answer.body.length > 0 ? fail('204 with a body') : { wrong: null, body: null };
  if (operation !== null && media === undefined) return fail(`${status} is not declared for ${operation.id}, which has ${Object.keys(operation.answers).join(', ')}`);
  const declared: Readonly<Record<string, Schema>> = media ?? { 'application/problem+json': { $ref: '#/components/schemas/Problem' }, ...(OWN_WORDS.test(request.target) ? { 'application/json': REFUSAL } : {}) };
  if (Object.keys(declared).length === 0) return answer.body.length > 0 ? fail(`${status} is declared without a body, and has ${answer.body.length} bytes`) : { wrong: null, body: null };
  const type = mediaType(headers['content-type']);
  if (request.method === 'HEAD') return declared[type] === undefined && status < 300 ? fail(`the type ${type} is not declared for ${status}`) : { wrong: null, body: null };
  const schema = declared[type];
  if (schema === undefined) return fail(`the type ${JSON.stringify(type)} is not declared for ${status}, there is ${Object.keys(declared).join(', ')}`);
  const text = answer.body.toString('utf8');
  if (!Buffer.from(text).equals(answer.body) && !answer.isCut) return fail('the body is not UTF-8');
  if (type === 'text/event-stream') return { wrong: operation?.id === 'streamOperation' ? judgeLines(text) : judgeStream(document, text), body: null };
  if (!/[/+]json$/.test(type)) return { wrong: document.check(schema, text), body: null };
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (error) {
    return fail(`the body is no JSON: ${(error as Error).message}`);
  }
  const misfit = document.check(schema, body);
  if (misfit !== null) return fail(`the body is outside its schema: ${misfit}`);
  return { wrong: type === 'application/problem+json' ? judgeProblem(body as Record<string, unknown>, answer, request) : judgeGood(status, answer, operation), body };
}

function judgeGood(status: number, { headers }: Answer, operation: Operation | null): string | null {
  if (headers['x-request-id'] === undefined) return 'the answer has no x-request-id';
  if (status === 201 && operation?.id === 'submitJob' && !String(headers['location']).startsWith('/api/jobs/job_')) return `the Location is ${String(headers['location'])}`;
  return null;
}

/** RFC 9457, with what this server promises besides. */
function judgeProblem(body: Record<string, unknown>, { status, headers }: Answer, request: Request): string | null {
  const { status: told, code, type, title, detail, hint, requestId, errors } = body;
  if (told !== status) return `the problem says ${String(told)}, the answer ${status}`;
  if (type !== `/docs#${String(code)}`) return `the problem's type is ${String(type)}, its code ${String(code)}`;
  for (const [name, value] of Object.entries({ title, detail, hint })) if (typeof value !== 'string' || value.trim() === '') return `the problem's ${name} is empty`;
  if (/undefined|\[object|NaN|\n {4}at /.test(`${String(detail)} ${String(hint)}`) && !/undefined|\[object|NaN/.test(`${request.target} ${request.body?.toString() ?? ''}`)) return `the problem's detail is ${String(detail)}`;
  if (Array.isArray(errors) && errors.length === 0) return 'the problem has an empty list of errors';
  if (requestId !== headers['x-request-id'] || (requestId === undefined && !UNREAD.has(status))) return `the problem's requestId is ${String(requestId)}, the header ${String(headers['x-request-id'])}`;
  if (status === 405 && headers['allow'] === undefined) return '405 without Allow';
  return null;
}

/** Whole blocks only: a stream is cut wherever we stopped to read. */
function judgeStream(document: Document, text: string): string | null {
  const blocks = text.split('\n\n').slice(0, -1);
  if (!text.startsWith('retry: 2000\ndata: {"type":"connected"}\n\n')) return `the stream begins with ${JSON.stringify(text.slice(0, 80))}`;
  let last = 0;
  for (const raw of blocks.slice(1)) {
    let block: ReturnType<typeof parseBlock>;
    try { block = parseBlock(raw); } catch (error) { return (error as Error).message; }
    if (block === null || block.data === null || block.event === 'reset') continue;
    if (block.id === null) return `an event without an id: ${raw.slice(0, 200)}`;
    if (block.id <= last) return `the id ${block.id} comes after ${last}`;
    last = block.id;
    const misfit = document.check({ $ref: '#/components/schemas/Event' }, block.data);
    if (misfit !== null) return `an event is outside its schema: ${misfit}: ${raw.slice(0, 300)}`;
  }
  return null;
}

/** The operations dialect: its own words, and ids that also lead into the middle of an event. */
function judgeLines(text: string): string | null {
  const blocks = text.split('\n\n').slice(0, -1);
  if (!text.startsWith('retry: 2000\n\n')) return `the stream begins with ${JSON.stringify(text.slice(0, 80))}`;
  let last: readonly [number, number] = [0, 0];
  for (const raw of blocks.slice(1)) {
    if (raw.startsWith(':') || raw.startsWith('event: reset\n')) continue;
    const match = /^id: (\d+)(?:\.(\d+))?\ndata: (.*)$/.exec(raw);
    if (match === null) return `not a message: ${raw.slice(0, 200)}`;
    const here = [Number(match[1]), match[2] === undefined ? Infinity : Number(match[2])] as const;
    if (here[0] < last[0] || (here[0] === last[0] && here[1] <= last[1])) return `the id ${here.join('.')} comes after ${last.join('.')}`;
    last = here;
    const { type, content, status } = JSON.parse(match[3] ?? '') as Record<string, unknown>;
    if (!(type === 'log' ? typeof content === 'string' : (type === 'status' || type === 'complete') && typeof status === 'string')) return `not a message of this dialect: ${raw.slice(0, 200)}`;
  }
  return null;
}
