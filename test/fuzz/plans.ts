// A request as plain data, made for one operation: valid, one thing wrong, or junk. fast-check makes, replays and shrinks it.
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import type { Document, Operation, Parameter } from './document.ts';
import { fillText, oddText, SPOILS, spoil, valid, wrong } from './values.ts';
import type { Pool } from './pool.ts';

export type Pairs = readonly (readonly [name: string, value: string])[];

export interface Plan {
  readonly operation: Operation;
  /** Which kind of trouble, for the report. */
  readonly kind: string;
  readonly method: string;
  /** Values of the path's parameters, as text; sent percent-encoded unless raw. */
  readonly path: Readonly<Record<string, string>>;
  readonly query: Pairs;
  readonly headers: Pairs;
  readonly type: string | null;
  /** JSON text or bytes as latin1. */
  readonly body: { readonly text: string } | { readonly bytes: Buffer } | null;
  /** Sent on a connection of its own, byte for byte. */
  readonly raw: boolean;
  /** Put after the path as it is. */
  readonly suffix: string;
  /** A submission that was answered before, sent again: which one. */
  readonly again: number | null;
}

/** Bodies that are no JSON, or JSON that must be refused. */
const BROKEN = ['{', '{"type":"noop"', '{"type":"noop","type":"noop"}', '{"type":"noop",}', '[1,', '\ufeff{"type":"noop"}', '{"a":NaN}', '{"type":"noop","input":{"result":-0}}', '{"type":"noop","priority":1e999}', '{"type":"noop","input":{"result":12345678901234567890}}',
  '{"__proto__":{}}', '{"type":"noop","input":{"result":"\\ud800"}}', '{"type":"noop","tags":["\\u0000"]}', `${'['.repeat(70)}${']'.repeat(70)}`, `${'{"a":'.repeat(3_000)}1${'}'.repeat(3_000)}`, '""', '0', 'true', '[]', '', ' ', '{"type":"noop"}{"type":"noop"}', "{'type':'noop'}", '{"\\u0074ype":"noop","\\n":1}', 'null', '\0'];
const bytes = fc.oneof(fc.constantFrom(...BROKEN).map((text) => Buffer.from(text)), fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array)), fc.constant(gzipSync('{"type":"noop"}')), fc.constant(Buffer.from('{"type":"noop","tags":["\xff"]}', 'latin1')), fc.constant(Buffer.from('{"type":"noop"}', 'utf16le')));
const types = fc.constantFrom('application/json', 'application/json; charset=utf-8', 'application/json;charset=latin1', 'application/x-ndjson', 'text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/problem+json', '', ';', 'application/json, text/plain', 'APPLICATION/JSON');

/** Whatever surrounds a request. Host is only sent raw: a client has its own. */
const HEADERS: readonly Pairs[] = [
  [['origin', 'http://evil.example']], [['sec-fetch-site', 'cross-site']], [['origin', 'null']], [['content-encoding', 'gzip']], [['content-encoding', 'identity']], [['expect', '100-continue']], [['expect', 'the worst']],
  [['accept', 'image/png']], [['accept-encoding', 'br, gzip']], [['if-none-match', '*']], [['range', 'bytes=0-1']], [['idempotency-key', '']], [['idempotency-key', 'a b']], [['idempotency-key', 'k'.repeat(256)]], [['prefer', 'wait=-1']], [['prefer', 'wait=99999999999']],
  [['last-event-id', 'x']], [['last-event-id', '99999999999999999999']], [['cookie', 'a=b'.repeat(500)]], [['x-forwarded-host', 'evil.example']], [['x-http-method-override', 'DELETE']], [['authorization', 'Bearer x']], [['te', 'trailers']], [['x-long', 'y'.repeat(17_000)]], [['accept', 'text/event-stream']],
];
const RAW_HEADERS: readonly Pairs[] = [[['host', 'evil.example']], [['host', '']], [['host', 'a'], ['host', 'b']], [['content-length', '-1']], [['content-length', '5'], ['content-length', '6']], [['transfer-encoding', 'chunked'], ['content-length', '5']], [['bad header', 'x']], [['x', 'a\0b']], [['content-length', '17000000']], [['content-length', '2000000']], [['upgrade', 'websocket'], ['connection', 'upgrade']], [['transfer-encoding', 'gzip']]];
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
const RAW_METHODS = ['TRACE', 'QUERY', 'PROPFIND', 'get', 'CONNECT', 'FOO', 'SEARCH', 'M-SEARCH'];
const SUFFIXES = ['/', '//', '/../..', '%', '%zz', '%ff', '%00', ';a=b', '/x', '?', '??a', '#x', `/${'a'.repeat(120)}`, `?${'a=b&'.repeat(200)}`, `?x=${'y'.repeat(20_000)}`, '?a=%', '?limit=1&limit=2', '?__proto__=1', '?wait=1e3', '?after=-1', '?=', '?cursor=j!'];

/** null but for one time in weight + 1. */
const sometimes = <T>(arbitrary: fc.Arbitrary<T>, weight: number): fc.Arbitrary<T | null> => fc.oneof({ weight, arbitrary: fc.constant(null) }, { weight: 1, arbitrary });
const text = (value: unknown): string => (typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value));

/** How much of all goes where; what is not named counts 2. Submissions feed all others. */
const WEIGHTS: Readonly<Record<string, number>> = { submitJob: 24, submitJobs: 7, getJob: 6, listJobs: 4, listChildren: 4, startJob: 6, createTestCase: 3, createModel: 4, createAgent: 3, createExperiment: 3, judgeTrajectory: 3, runFigures: 3, compareRuns: 3, runReport: 3, replaceModel: 5, deleteModel: 1, pauseJob: 6, resumeJob: 5, retryJob: 6, cancelJob: 9, editType: 9, editJob: 6, deleteJob: 5, listEvents: 4, streamJob: 4, createGrant: 4, createOperation: 8, listArtifacts: 6, downloadArtifact: 4, getOperation: 3, streamOperation: 3, createSchedule: 6, editSchedule: 5, resumeSchedule: 4, pauseSchedule: 8, backfillSchedule: 4, metrics: 1, docs: 1, home: 1, openapi: 1 };

/** What stands before every operation, met at each of them: chance alone would need a hundred thousand requests for that. */
const GATES: readonly Partial<Plan>[] = [
  { raw: true, headers: [['host', 'evil.example']] }, { headers: [['origin', 'http://evil.example']] }, { headers: [['x-long', 'y'.repeat(17_000)]] }, { raw: true, headers: [['host', '']] },
  { raw: true, headers: [['content-type', 'application/json'], ['content-length', '17000000']], body: null }, { type: 'text/plain', body: { text: 'x' } }, { type: 'application/json', body: { text: '{' } }, { raw: true, headers: [['bad header', 'x']] },
];

/** Each operation as it is meant, then at each gate; ids too long for a path as well. */
export const createSweep = (document: Document, seed: number): readonly Plan[] => document.operations.flatMap((operation) =>
  fc.sample(validOf(document, operation), { numRuns: 3, seed }).flatMap((plan) => [plan, ...GATES.map((gate) => ({ ...plan, kind: 'gate', again: null, ...gate })), { ...plan, kind: 'gate', path: Object.fromEntries(Object.keys(plan.path).map((name) => [name, 'a'.repeat(101)])) }]));

/** Each of `wanted` counts as much as a third of all others. */
export function createPlans(document: Document, wanted: ReadonlySet<Operation> = new Set()): fc.Arbitrary<Plan> {
  return fc.oneof(...document.operations.map((operation) => ({ weight: (WEIGHTS[operation.id] ?? 2) + (wanted.has(operation) ? 100 : 0), arbitrary: plansOf(document, operation) })));
}

function validOf(document: Document, operation: Operation): fc.Arbitrary<Plan & { readonly value: unknown }> {
  const of = (where: Parameter['in']): Parameter[] => operation.parameters.filter((parameter) => parameter.in === where);
  const parameters = (list: readonly Parameter[], often: number): fc.Arbitrary<Pairs> => fc.tuple(...list.map(({ name, schema, in: where, required }) =>
    fc.oneof({ weight: required ? 0 : often, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: valid(document, schema, name, where).map((value): readonly [string, string] => [name, text(value)]) })))
    .map((pairs) => pairs.filter((pair) => pair !== null));
  const [json, schema] = Object.entries(operation.bodies)[0] ?? [];
  const value: fc.Arbitrary<unknown> = schema === undefined ? fc.constant(undefined) : valid(document, schema, '', '');
  const lines = operation.bodies['application/x-ndjson'] === undefined ? null : value.map((body) => (body as { jobs: unknown[] }).jobs.map((job) => `${JSON.stringify(job)}\n`).join(''));
  return fc.record({
    path: fc.record(Object.fromEntries(of('path').map(({ name, schema: s }) => [name, valid(document, s, name, 'path').map(text)]))),
    query: parameters(of('query'), 3), headers: parameters(of('header'), 4), value, asLines: lines === null ? fc.constant(null) : sometimes(lines, 2), again: operation.id.startsWith('submit') ? sometimes(fc.nat(500), 12) : fc.constant(null),
  }).map(({ value: body, asLines, ...rest }): Plan & { value: unknown } => ({
    operation, kind: 'valid', method: operation.method, raw: false, suffix: '', ...rest, value: body,
    type: json === undefined || body === undefined ? null : asLines === null ? json : 'application/x-ndjson',
    body: json === undefined || body === undefined ? null : { text: asLines ?? JSON.stringify(body) },
  }));
}

function plansOf(document: Document, operation: Operation): fc.Arbitrary<Plan> {
  const base = validOf(document, operation);
  const [json] = Object.keys(operation.bodies);
  const odd = fc.tuple(base, fc.nat(10_000), fc.nat(SPOILS - 1), wrong, oddText, fc.nat(4)).map(([plan, place, how, other, word, which]): Plan => {
    const named = operation.parameters;
    if (plan.body !== null && which > 0) return { ...plan, kind: 'body', type: json ?? null, body: { text: JSON.stringify(spoil(plan.value, place, how, other)) ?? '' }, again: null };
    const target = named[place % Math.max(1, named.length)];
    if (target === undefined || how === 0) return { ...plan, kind: 'query', query: [...plan.query, [how % 2 === 0 ? 'extra' : word, word]] };
    if (target.in === 'path') return { ...plan, kind: 'path', path: { ...plan.path, [target.name]: word } };
    const value_ = how < 4 ? word : text(other);
    if (target.in === 'query') return { ...plan, kind: 'query', query: [...plan.query, [target.name, value_], ...(how === 1 ? [[target.name, word] as const] : [])] };
    return { ...plan, kind: 'header', headers: [...plan.headers, [target.name, value_]] };
  });
  const junk = fc.tuple(base, fc.oneof(
    fc.record({ type: types, body: bytes.map((b) => ({ bytes: b })), again: fc.constant(null), kind: fc.constant('bytes') }),
    fc.constantFrom(...HEADERS).map((headers) => ({ headers, kind: 'headers' })),
    fc.constantFrom(...METHODS).map((method) => ({ method, kind: 'method' })),
    fc.constantFrom(...SUFFIXES).map((suffix) => ({ suffix, raw: true, kind: 'suffix' })),
    fc.constantFrom(...RAW_METHODS).map((method) => ({ method, raw: true, kind: 'method' })),
    fc.constantFrom(...RAW_HEADERS).map((headers) => ({ headers, raw: true, kind: 'headers' })),
  )).map(([plan, change]): Plan => ({ ...plan, ...change }));
  return fc.oneof({ weight: 12, arbitrary: base }, { weight: 4, arbitrary: odd }, { weight: 3, arbitrary: junk });
}

export interface Request {
  readonly method: string;
  readonly target: string;
  readonly headers: Pairs;
  readonly body: Buffer | null;
  readonly raw: boolean;
}

/** A plan with the pool's ids and cursors in it: the bytes that go out. */
export function fill(plan: Plan, pool: Pool): Request {
  const encode = (value: string): string => encodeURIComponent(fillText(value, pool).toWellFormed());
  let target = plan.operation.path.replace(/\{(\w+)\}/g, (_all, name: string) => encode(plan.path[name] ?? '') || '%20') + (plan.raw ? plan.suffix : '');
  if (plan.query.length > 0 && !target.includes('?')) target += `?${plan.query.map(([name, value]) => `${encode(name)}=${encode(value)}`).join('&')}`;
  const headers = plan.headers.map(([name, value]) => [name, plan.raw ? value : Buffer.from(fillText(value, pool)).toString('latin1').replace(/[^\t\x20-\x7e\x80-\xff]/g, '?')] as const);
  const known = plan.again === null ? undefined : pool.sent[plan.operation.id]?.take(plan.again);
  if (known !== undefined) return { method: plan.operation.method, target: known.path, headers: [['idempotency-key', known.key], ['content-type', known.type]], body: Buffer.from(known.body), raw: false };
  const body = plan.body === null ? null : 'bytes' in plan.body ? plan.body.bytes : Buffer.from(fillText(plan.body.text, pool));
  return { method: plan.method, target, headers: [...headers, ...(plan.type === null || body === null ? [] : [['content-type', plan.type] as const])], body, raw: plan.raw };
}

/** The request as one can type it. */
export function curl(url: string, { method, target, headers, body }: Request): string {
  const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;
  const isText = body !== null && Buffer.from(body.toString()).equals(body) && !body.includes(0);
  const data = body === null ? '' : isText ? ` --data-binary ${quote(body.toString().slice(0, 2_000))}` : ` --data-binary @<(echo ${body.toString('base64')} | base64 -d)`;
  return `curl -i -g --path-as-is -X ${method} ${headers.map(([name, value]) => `-H ${quote(`${name}: ${value.slice(0, 300)}`)}`).join(' ')}${data} ${quote(url + target.slice(0, 500))}`;
}
