// Arbitraries from JSON Schema: what the server should take, with values that lead somewhere; and one step beside that.
// A value may hold a Ref: it is filled in from the pool when the request is sent, so that requests stay plain data.
import fc from 'fast-check';
import type { Document, Schema } from './document.ts';
import type { Pool } from './pool.ts';

const REF = '\ue000ref:';
export type Kind = 'run' | 'id' | 'schedule' | 'parent' | 'ended' | 'waiting' | 'cursor' | 'event' | 'operation' | 'grant';
/** Stands inside of values as a string; its first character is for private use, and no other string that is made here has it. */
export const ref = (kind: Kind, n: number): string => `${REF}${kind}:${n}:`;

const NOWHERE = 'job_01jv5x9k3qf0bsx1r4y7m2n8ga';
const NO_SCHEDULE = 'sched_01jv5x9k3qf0bsx1r4y7m2n8ga';
const SHELF = { run: 'runs', id: 'ids', schedule: 'schedules', parent: 'parents', ended: 'ended', waiting: 'waiting', cursor: 'cursors', event: 'events', operation: 'operations', grant: 'grants' } as const;

export const fillText = (text: string, pool: Pool): string => (text.includes(REF)
  ? text.replace(/\ue000ref:(\w+):(\d+):/g, (_all, kind: Kind, n: string) => pool[SHELF[kind]].take(Number(n)) ?? (kind === 'event' ? '0' : kind === 'cursor' ? 'j1' : kind === 'schedule' ? NO_SCHEDULE : kind === 'grant' ? '1' : NOWHERE))
  : text);

const refTo = (...kinds: Kind[]): fc.Arbitrary<string> => fc.tuple(fc.constantFrom(...kinds), fc.nat(3_000)).map(([kind, n]) => ref(kind, n));
export const jobId = fc.oneof({ weight: 12, arbitrary: refTo('id', 'id', 'waiting', 'waiting', 'ended') }, { weight: 1, arbitrary: fc.constant(NOWHERE) }, { weight: 1, arbitrary: fc.stringMatching(/^job_[0-9a-z]{26}$/) });

const scheduleId = fc.oneof({ weight: 12, arbitrary: refTo('schedule') }, { weight: 1, arbitrary: fc.constant(NO_SCHEDULE) });

export const oddText = fc.oneof(
  fc.string({ maxLength: 20 }), fc.string({ unit: 'binary', maxLength: 12 }), fc.constantFrom('', ' ', '\0', '\ud800', '\ufeff', '\u202e', '🙂', 'é', '../..', '%00', '__proto__', 'constructor', '$JOB$', "' OR 1=1", '%', '\r\n', 'null', '-1', '1e9', '０'),
  fc.tuple(fc.constantFrom('a', '\u2028', '🙂'), fc.constantFrom(65, 129, 256, 2_049)).map(([unit, n]) => unit.repeat(n)),
);
const boundary = fc.constantFrom(0, -1, 1, 2, 10, 11, 64, 65, 100, 101, 200, 201, 1_000, 10_000, 10_001, 2 ** 31, 31_536_000_000, 31_536_000_001, Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER, 0.5, 1e21, 1e-7, 1e308);
export const wrong: fc.Arbitrary<unknown> = fc.oneof(fc.constantFrom<unknown>(null, true, false, [], {}, [[]], { a: 1 }, [null], 'x', ''), boundary, oddText, fc.jsonValue({ maxDepth: 2 }));

const participant = fc.record({ pending: fc.constantFrom(0, 0, 1, 2), end: fc.constantFrom('complete', 'complete', 'fail'), data: fc.constantFrom('1', 'text', '{"a":[1,"\\n"]}', '') })
  .map(({ pending, end, data }) => `$ARENA$/api/debug/participant/$JOB$?pending=${pending}&end=${end}&data=${encodeURIComponent(data)}`);
const url = fc.oneof({ weight: 16, arbitrary: participant }, { weight: 6, arbitrary: fc.constantFrom('$ARENA$/health', '$ARENA$/api/debug/health', '$ARENA$/none', '$ARENA$/docs', '$ARENA$/openapi.json', 'http://127.0.0.1:65000/') },
  { weight: 1, arbitrary: fc.constantFrom('http://127.0.0.1:9/', 'http://10.0.0.1/', 'http://169.254.169.254/latest', 'ftp://a/', 'http://[::1', 'x$ARENA$', 'http://user:pw@a.example/', 'http://a.example:22/', '//a') }, { weight: 1, arbitrary: oddText.filter((text) => text.length > 0) });

/** Of grants: a template is a job of a type, which chance does not hit. */
const grantTemplate = fc.oneof({ weight: 6, arbitrary: fc.constantFrom({ type: 'noop', input: {} }, { type: 'noop', input: { result: 1 }, maxAttempts: 2 }) }, { weight: 1, arbitrary: fc.constant({ type: 'none', input: {} }) });

/** Zeros, which development takes; strangers'; none at all. */
const signature = fc.oneof({ weight: 12, arbitrary: fc.constant(`0x${'0'.repeat(130)}`) }, { weight: 2, arbitrary: fc.constantFrom('1', '2', '3', '4', '5', '6').map((digit) => `0x${digit.repeat(128)}1b`) }, { weight: 1, arbitrary: fc.constant(`0x${'f'.repeat(130)}`) });

/** Values for names whose schema does not say what they mean. Chosen so that work ends soon: a job that sleeps for a day holds a slot for a day. */
const HINTS: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  url, callback: url,
  // Evaluations: few ids, so that they meet; agents and judges that answer at once, or are not there.
  endpoint: fc.constantFrom('http://127.0.0.1:65000/', 'http://127.0.0.1:65000/', 'http://10.0.0.1/', 'http://127.0.0.1:9/'), agentEndpoint: fc.constantFrom('http://127.0.0.1:65000/', 'http://10.0.0.1/'), baseUrl: fc.constantFrom('http://127.0.0.1:65000/', 'http://10.0.0.1/'),
  // A key of any text is nearly always one that no header could carry, and refused.
  apiKey: fc.oneof({ weight: 4, arbitrary: fc.constant('a-key') }, { weight: 1, arbitrary: oddText }),
  experimentId: fc.constantFrom('e1', 'e1', 'e2', 'e3', 'nowhere'), testCaseIds: fc.constantFrom<unknown>(['e1'], ['e1'], ['e1', 'e2'], ['e2', 'e3'], [], ['nowhere']),
  modelId: fc.constantFrom('rules', 'rules', 'rules', 'absent'), agentKey: fc.constantFrom('demo', 'demo', 'demo', 'e1', 'nowhere'), baseline: fc.oneof({ weight: 3, arbitrary: refTo('run') }, { weight: 1, arbitrary: fc.constant(NOWHERE) }), 'query:jobId': refTo('run', 'id'),
  parentId: fc.oneof({ weight: 5, arbitrary: refTo('parent', 'parent', 'parent', 'id') }, { weight: 1, arbitrary: fc.constant(NOWHERE) }), parent: refTo('id', 'parent'), root: refTo('id', 'parent'),
  sleep: fc.oneof({ weight: 30, arbitrary: fc.nat(30) }, { weight: 1, arbitrary: fc.constantFrom(200, 86_400_000) }),
  concurrency: fc.oneof({ weight: 20, arbitrary: fc.integer({ min: 40, max: 400 }) }, { weight: 1, arbitrary: fc.constantFrom(0, 1, 10_000) }),
  delay: fc.oneof({ weight: 8, arbitrary: fc.nat(40) }, { weight: 1, arbitrary: fc.constantFrom(86_400, 31_536_000_000) }),
  ttl: fc.oneof(fc.constantFrom(1, 5, 60_000, 31_536_000_000), fc.integer({ min: 1, max: 31_536_000_000 })),
  deadline: fc.constantFrom(1, 20, 500, 60_000, 31_536_000_000), timeout: fc.constantFrom(1, 20, 500, 60_000),
  base: fc.nat(50), cap: fc.nat(200), dueAt: fc.constantFrom('2020-01-01T00:00:00Z', '2025-06-30T23:59:60Z', '2020-01-01T00:00:00.123456+00:00', '2026-01-01T00:00:00+14:00', '2099-12-31T23:59:59.999Z', '9999-12-31T23:59:59Z', '0001-01-01T00:00:00Z', '2024-02-29T12:00:00-05:30'),
  grantor: fc.constantFrom(`0x${'a'.repeat(40)}`, `0x${'Bb'.repeat(20)}`), grantee: fc.constantFrom(`0x${'a'.repeat(40)}`, `0x${'0'.repeat(40)}`), address: fc.constantFrom(`0x${'a'.repeat(40)}`, `0x${'Bb'.repeat(20)}`),
  operation: fc.constantFrom('llm_inference', 'prompt_gemini_agent'),
  // The newest two: what stands in a path and what in a body are then often the same.
  operation_id: fc.oneof({ weight: 8, arbitrary: fc.constantFrom(ref('operation', 0), ref('operation', 0), ref('operation', 5)) }, { weight: 1, arbitrary: refTo('operation', 'id') }, { weight: 1, arbitrary: fc.constant(NOWHERE) }),
  app_signature: signature, signature, artifact_path: fc.constantFrom('out/report.txt', 'x'),
  operation_request_json: fc.oneof({ weight: 8, arbitrary: refTo('grant').map((id) => `{"permission_id":${id}}`) }, { weight: 1, arbitrary: fc.constantFrom('{"permission_id":77777777}', '{"permission_id":77777777}', '{"permission_id":1}', '{}', '[]', '{"permission_id":1,"operation":"x"}') }),
  status: fc.subarray(['queued', 'assigned', 'running', 'retry', 'paused', 'completed', 'failed', 'cancelled'], { minLength: 1 }).map((words) => words.join(',')),
  'query:type': fc.constantFrom('noop', 'batch', 'request', 'verify', 'nothing', 'job:status', 'job:complete,job:error'), 'path:type': fc.constantFrom('noop', 'batch', 'request', 'verify', 'container', 'nothing'),
  cursor: fc.oneof({ weight: 4, arbitrary: refTo('cursor') }, { weight: 1, arbitrary: fc.tuple(refTo('cursor'), fc.constantFrom('0', 'z', '!', 'zzzzzzzz')).map((parts) => parts.join('')) }),
  after: fc.oneof(refTo('event'), fc.constantFrom('0', '1', '9007199254740991')), 'last-event-id': fc.oneof(refTo('event'), fc.constantFrom('', '0', '1')),
  wait: fc.oneof({ weight: 40, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constantFrom(1, 60) }), Prefer: fc.constantFrom('wait=0', 'wait=0, handling=lenient', 'respond-async, wait=0', 'wait="0"', 'wait=x', 'return=minimal'),
  'Idempotency-Key': fc.oneof(fc.nat(60).map((n) => `key-${n}`), fc.stringMatching(/^[!-~]{1,60}$/)),
  tag: fc.constantFrom('a', 'b', 'ü', '🙂'), tags: fc.array(fc.constantFrom('a', 'b', 'ü', '🙂', 'x'.repeat(128)), { maxLength: 3 }), width: fc.constantFrom(1, 2, 10_000),
  data: fc.oneof(fc.constantFrom<unknown>(null, '', 'text', '1', '{"a":1}', '[', '{"a":1,"a":2}', '"\\ud800"'), fc.json({ maxDepth: 2 })), pending: fc.nat(3), job: fc.oneof(fc.stringMatching(/^[A-Za-z0-9_.-]{1,20}$/), jobId),
};

const instant = fc.constantFrom('2020-01-01T00:00:00Z', '2024-02-29T12:00:00-05:30', '2025-03-30T01:30:00+01:00', '2025-10-26T00:59:59.999Z', '2026-06-01T00:00:00Z', '2099-12-31T23:59:59.999Z', '9999-12-31T23:59:59Z', '0001-01-01T00:00:00Z');
/** Of schedules. Patterns that are due soon, and some that are none. */
const cron = fc.oneof({ weight: 12, arbitrary: fc.constantFrom('* * * * *', '*/5 * * * *', '30 1 * * *', '0 0 29 2 *', '0,30 22-23 * * 1-5', '0 0 L * *', '15 10 * JAN-mar MON#1') }, { weight: 1, arbitrary: fc.constantFrom('0 0 31 2 *', '* * * *', '* * * * * *', '@daily', '60 * * * *', '') }, { weight: 1, arbitrary: oddText });
const OF_SCHEDULES: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  cron, cron_expression: cron, schedule_id: scheduleId, client_id: fc.constantFrom('a', 'b'), task_type: fc.constant('t'), capability_required: fc.constant('c'), input_data: fc.dictionary(fc.constantFrom('a', 'b'), fc.integer()),
  timezone: fc.oneof({ weight: 12, arbitrary: fc.constantFrom('UTC', 'Europe/London', 'Australia/Lord_Howe', 'America/Nuuk', 'Etc/GMT+12') }, { weight: 1, arbitrary: fc.constantFrom('Mars/Phobos', '+01:00', '../UTC', '') }),
  note: fc.oneof({ weight: 3, arbitrary: fc.constant('a note') }, { weight: 1, arbitrary: fc.constantFrom('', 'x'.repeat(1_001)) }),
  startAt: instant, endAt: fc.oneof(instant, fc.constant('2099-12-31T23:59:59.999Z')), from: instant, to: fc.oneof(instant, fc.constant('2020-01-01T00:10:00Z')), jitter: fc.constantFrom(0, 1, 30_000, 86_400_000), client: fc.constantFrom('a', 'b', 'ü'),
  count: fc.oneof({ weight: 8, arbitrary: fc.integer({ min: 1, max: 5 }) }, { weight: 1, arbitrary: fc.constantFrom(100, 101) }),
};

const rarely = <T>(arbitrary: fc.Arbitrary<T>, weight = 4): fc.Arbitrary<T | undefined> => fc.oneof({ weight, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });

/** @param where 'query', 'path', 'header' or '' for a body; @param name of the property */
export function valid(document: Document, schema: Schema, name: string, where: string, depth = 0): fc.Arbitrary<unknown> {
  const hint = HINTS[`${where}:${name}`] ?? HINTS[name] ?? OF_SCHEDULES[name];
  if (hint !== undefined && schema['$ref'] === undefined && schema['enum'] === undefined && schema['type'] !== 'object') return hint;
  const s = document.resolve(schema);
  if (s['properties']?.['deliver'] !== undefined) return grantTemplate;
  const inner = (child: Schema, key: string): fc.Arbitrary<unknown> => valid(document, child, key, where, depth + 1);
  if (s['const'] !== undefined) return fc.constant(s['const']);
  if (s['enum'] !== undefined) return fc.constantFrom(...(s['enum'] as unknown[]));
  const forms = (s['anyOf'] ?? s['oneOf']) as Schema[] | undefined;
  // Most submissions are native: all other operations live on them.
  if (forms !== undefined) return fc.oneof(...forms.map((form) => ({ weight: String(form['$ref']).endsWith('/Submit') ? 8 : 1, arbitrary: inner(form, name) })));
  const [type] = [s['type']].flat() as (string | undefined)[];
  if (type === 'string' && String(s['pattern']).startsWith('^job_')) return name === 'id' && where === 'path' ? fc.oneof({ weight: 5, arbitrary: jobId }, { weight: 1, arbitrary: refTo('run') }) : jobId;
  if (type === 'string' && String(s['pattern']).startsWith('^[A-Za-z0-9][A-Za-z0-9_.:-]')) return fc.constantFrom('e1', 'e2', 'e3', 'e1', 'e2', 'demo', 'nowhere');
  if (type === 'string' && String(s['pattern']).startsWith('^sched_')) return scheduleId;
  if (type === 'string') return fc.string({ minLength: s['minLength'] ?? 0, maxLength: Math.min(s['maxLength'] ?? 30, 30) });
  if (type === 'integer' || type === 'number') return fc.oneof({ weight: 6, arbitrary: fc.integer({ min: Math.ceil(s['minimum'] ?? 0), max: Math.floor(Math.min(s['maximum'] ?? 1_000, (s['minimum'] ?? 0) + 1_000)) }) }, { weight: 1, arbitrary: fc.constantFrom(s['minimum'] ?? 0, s['maximum'] ?? 1) });
  if (type === 'boolean') return fc.boolean();
  if (type === 'null') return fc.constant(null);
  // All jobs of a bulk go to one parent: with one each, nothing would be seen but the refusal of that.
  if (name === 'jobs') return fc.array(inner(s['items'], ''), { minLength: 1, maxLength: 4 }).map((list) => list.map((job) => ({ ...(job as object), parentId: (list[0] as { parentId?: string }).parentId })));
  if (type === 'array') return depth > 4 && (s['minItems'] ?? 0) === 0 ? fc.constant([]) : fc.array(inner(s['items'], name === 'urls' ? 'url' : ''), { minLength: s['minItems'] ?? 0, maxLength: Math.max(3, s['minItems'] ?? 0), depthSize: 'small', maxDepth: 2 } as fc.ArrayConstraints);
  if (type === 'object' && s['properties'] !== undefined) {
    const required = new Set<string>([...(s['required'] ?? []), 'baseUrl']); // a model that is not by rules has none without it
    // Deep trees end: the properties that nest are left out further down.
    const fields = Object.entries<Schema>(s['properties']).filter(([key]) => required.has(key) || !(depth > 4 && key === 'children'));
    return fc.record(Object.fromEntries(fields.map(([key, child]) => [key, required.has(key) ? inner(child, key) : rarely(inner(child, key), OFTEN.has(key) ? 1 : 6)])))
      .map((value) => Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)));
  }
  if (type === 'object') return fc.dictionary(fc.stringMatching(/^[a-z-]{1,8}$/), fc.string({ maxLength: 10 }), { maxKeys: 3 });
  return fc.jsonValue({ maxDepth: 3 });
}
/** Left out half of the time instead of six times out of seven. */
const OFTEN: ReadonlySet<string> = new Set(['children', 'input', 'hold', 'priority', 'tags', 'sealed', 'concurrency', 'reason', 'result', 'data', 'id', 'testCaseIds', 'modelId']);

/** One place of a JSON value changed, as the numbers say. */
export function spoil(value: unknown, place: number, how: number, other: unknown): unknown {
  const places: (readonly (string | number)[])[] = [];
  const walk = (item: unknown, at: readonly (string | number)[]): void => {
    if (places.length < 200) places.push(at);
    if (typeof item === 'object' && item !== null) for (const [key, child] of Object.entries(item)) walk(child, [...at, Array.isArray(item) ? Number(key) : key]);
  };
  walk(value, []);
  const at = places[place % places.length]!;
  const change = (item: any, [key, ...rest]: readonly (string | number)[]): unknown => {
    if (key === undefined) return turn(item, how, other);
    if (rest.length === 0 && how === 0) return Array.isArray(item) ? item.filter((_one, i) => i !== key) : Object.fromEntries(Object.entries(item).filter(([name]) => name !== key));
    return Array.isArray(item) ? item.map((one, i) => (i === key ? change(one, rest) : one)) : Object.fromEntries(Object.entries(item).map(([name, one]) => [name, name === key ? change(one, rest) : one]));
  };
  return change(value, at);
}

function turn(item: unknown, how: number, other: unknown): unknown {
  if (typeof item === 'object' && item !== null && !Array.isArray(item) && how < 5) return { ...item, [typeof other === 'string' ? other : 'extra']: other };
  if (typeof item === 'number' && how < 6) return [item + 1, item - 1, -item, item + 0.5, item * 1e6, String(item)][how];
  if (typeof item === 'string' && how < 5) return [item + item, '', `${item}\0`, [item], 'x'.repeat(2_100)][how];
  if (Array.isArray(item) && how < 4) return [[...item, other], [...item, ...item], [item], item.slice(1)][how];
  return other;
}
export const SPOILS = 8;
