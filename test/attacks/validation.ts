// Cases 23 to 32: values that a job must not have.
import { type Attack, attacks, get, noop, post, text } from './attack.ts';

const tree = (depth: number): unknown => (depth === 0 ? { type: 'noop' } : { type: 'batch', children: [tree(depth - 1)] });
const patch = (id: string, body: unknown) => ({ method: 'PATCH', path: `/api/jobs/${id}`, body: JSON.stringify(body) });
/** A body whose JSON holds this text as a number. */
const raw = (number: string, at = 'input') => text(at === 'input' ? `{"type":"noop","input":{"result":${number}}}` : `{"type":"noop","${at}":${number}}`);
const OURS = ['status', 'state', 'attempt', 'fence', 'leaseEpoch', 'tenantId', 'tenant_id', 'id', 'result', 'createdAt', 'rootId', 'worker', 'progress'];
const VALUE: Record<string, unknown> = { attempt: 0, fence: 9, leaseEpoch: 9, progress: 1, status: 'completed', state: 'COMPLETED' };
const millis = { why: 'our ttl is in milliseconds and may be a year: 10^9 is twelve days' };
const LONG = 500_000;

export const VALIDATION: readonly Attack[] = [
  ...attacks(23, [
    ...OURS.map((name) => [`${name} in a submission`, noop({ [name]: VALUE[name] ?? 'x' }), 400, new RegExp(`no property .*${name}`)] as const),
    ...OURS.map((name) => [`${name} in a patch`, ({ open }: { open: string }) => patch(open, { [name]: VALUE[name] ?? 'x' }), 400, new RegExp(name)] as const),
    ['an unknown property of the input', noop({ input: { evil: 1 } }), 400, /#\/input/],
    ['the inside of a callback', ({ ended }) => post({ type: 'request', input: { url: 'http://127.0.0.1:8000/', about: ended } }), 400, /about/],
    ['a status in a child', post({ type: 'batch', children: [{ type: 'noop', status: 'completed' }] }), 400, /#\/children\/0/],
    ['a state in a bulk', post({ jobs: [{ type: 'noop', state: 'COMPLETE' }] }, '/api/jobs/bulk'), 400, /#\/jobs\/0/],
  ]),
  ...attacks(24, [
    ['priority null', noop({ priority: null }), 400, /must be a number, not null/],
    ['priority null in a patch', ({ open }) => patch(open, { priority: null }), 400, /must be a number, not null/],
    ['tags null', noop({ tags: null }), 400, /must be an array, not null/],
  ]),
  ...attacks(25, [
    ['priority as text', noop({ priority: '7' }), 400, /must be a number, not string/],
    ['priority as text in a patch', ({ open }) => patch(open, { priority: '7' }), 400, /must be a number, not string/],
    ['priority as a list', noop({ priority: [7] }), 400, /must be a number, not array/],
    ['priority true', noop({ priority: true }), 400, /must be a number, not boolean/],
    ['hold as text', noop({ hold: 'true' }), 400, /must be true or false, not string/],
  ]),
  ...attacks(26, [
    ...['9007199254740993', '-9007199254740993', '9'.repeat(500), '1e400', '-1e400', '1e-400', '-0', '-0.0', 'NaN', 'Infinity', '-Infinity', '0x10', '01', '+1', '1.', '.5', '1e', '1_000'].flatMap((number) => [
      [`${number.slice(0, 20)} in the input`, raw(number), 400, /exactly|too large|too small|negative zero|not JSON/] as const,
      [`${number.slice(0, 20)} as priority`, raw(number, 'priority'), 400, /exactly|too large|too small|negative zero|not JSON/] as const,
    ]),
    ['a fraction as priority', noop({ priority: 1.5 }), 400, /whole number/],
  ]),
  ...attacks(27, [
    ['priority 0', noop({ priority: 0 }), 422, /at least 1/],
    ['priority 11', noop({ priority: 11 }), 422, /at most 10/],
    ['ttl -1', noop({ ttl: -1 }), 422, /at least 1/],
    ['ttl 10^12', noop({ ttl: 1e12 }), 422, /at most 31536000000/, millis],
    ['timeout 10^12', noop({ timeout: 1e12 }), 422, /at most 31536000000/, millis],
    ['deadline 0', noop({ deadline: 0 }), 422, /at least 1/],
    ['10^6 attempts', noop({ maxAttempts: 1e6 }), 422, /at most 100/],
    ['no attempts', noop({ maxAttempts: 0 }), 422, /at least 1/],
    ['priority 0 in a patch', ({ open }) => patch(open, { priority: 0 }), 422, /at least 1/],
    ['a date in 2099', noop({ dueAt: '2099-01-01T00:00:00Z' }), 422, /more than a year/],
  ]),
  ...attacks(28, [
    ['a tag of 500 kB', noop({ tags: ['x'.repeat(LONG)] }), 422, /at most 128 characters/],
    ['a tag of 1 MiB', noop({ tags: ['x'.repeat(1_048_576)] }), 413, /over the limit/],
    ['a type of 500 kB', post({ type: 'x'.repeat(LONG) }), 422, /must be one of request/],
    ['a property name of 500 kB', noop({ ['x'.repeat(LONG)]: 1 }), 400, /no property/],
    ['a callback of 500 kB', noop({ callback: `http://example.com/${'x'.repeat(LONG)}` }), 422, /at most 2048 characters/],
    ['10,001 tags', noop({ tags: Array.from({ length: 10_001 }, () => 'x') }), 422, /at most 64 items/],
    ['10,001 children', post({ type: 'batch', children: Array.from({ length: 10_001 }, () => ({ type: 'noop' })) }), 422, /at most 10000 items/],
    ['10,000 children and their parent', post({ type: 'batch', children: Array.from({ length: 10_000 }, () => ({ type: 'noop' })) }), 422, /at most 10000 jobs/],
    ['10,001 jobs in a bulk', { method: 'POST', path: '/api/jobs/bulk', headers: { 'Content-Type': 'application/x-ndjson' }, body: '{"type":"noop"}\n'.repeat(10_001) }, 422, /10000/],
    ['10,001 properties nobody knows', noop(Object.fromEntries(Array.from({ length: 10_001 }, (_, i) => [`p${i}`, i]))), 400, /no property/],
    ['1,001 participants', post({ type: 'verify', input: { participants: Array.from({ length: 1_001 }, (_, i) => ({ id: `p${i}`, url: 'http://127.0.0.1:8000/' })) } }), 422, /at most 1000 items/],
  ]),
  ...attacks(29, [
    ['NUL in a tag', text('{"type":"noop","tags":["a\\u0000b"]}'), 400, /NUL/],
    ['NUL in the input', text('{"type":"noop","input":{"result":{"deep":["a\\u0000"]}}}'), 400, /#\/input\/result\/deep\/0 has the character NUL/],
    ['NUL in a key', text('{"type":"noop","input":{"result":{"a\\u0000b":1}}}'), 400, /key .*NUL/],
    ['NUL in the type', text('{"type":"noop\\u0000"}'), 400, /NUL/],
    ['NUL in a callback', text('{"type":"noop","callback":"http://example.com/\\u0000"}'), 400, /NUL/],
    ['NUL as a byte of a string', text('{"type":"noop","tags":["a\u0000b"]}'), 400, /not JSON/],
    ['NUL between tokens', text('{"type":"noop",\u0000"tags":[]}'), 400, /not JSON/],
    ['NUL in a search', get('/api/jobs?text=a%00b'), 400, /text/],
    ['NUL in a tag of a list', get('/api/jobs?tag=a%00b'), 400, /tag/],
    ['NUL in a reason', ({ open }) => text('{"reason":"a\\u0000b"}', `/api/jobs/${open}/cancel`), 400, /NUL/],
  ]),
  ...attacks(30, [
    ['a high surrogate alone', text('{"type":"noop","tags":["\\ud800"]}'), 400, /surrogate/],
    ['a low surrogate alone', text('{"type":"noop","tags":["a\\udfffb"]}'), 400, /surrogate/],
    ['a pair the wrong way round', text('{"type":"noop","input":{"result":"\\ude00\\ud83d"}}'), 400, /surrogate/],
    ['half a pair in a key', text('{"type":"noop","input":{"result":{"\\ud800":1}}}'), 400, /surrogate/],
    ['half a pair before the end of a string', text('{"type":"noop","input":{"result":"x\\uD83D"}}'), 400, /surrogate/],
  ]),
  ...attacks(32, [
    ['a parent in a child', ({ open }) => post({ type: 'batch', children: [{ type: 'noop', parentId: open }] }), 400, /children\/0/, { why: 'children name no parent: a property they do not have' }],
    ['a job made its own parent', ({ open }) => patch(open, { parentId: open }), 400, /parentId/, { why: 'a parent is given once, at submission: the cycle cannot be written down' }],
    ['a tree of 18 levels', post(tree(17)), 422, /deeper than 16/],
    ['a tree of 18 levels through a parent', ({ open }) => post({ parentId: open, ...(tree(16) as object) }), 422, /deeper than 16/],
    ['a tree beyond the depth of JSON', post(tree(40)), 400, /deeper than 64/],
    ['a parent that is not there', noop({ parentId: 'job_01jv5x9k3qf0bsx1r4y7m2n8ga' }), 404, /no job/],
    ['a parent that is no batch', ({ ended }) => noop({ parentId: ended }), 409, /only a batch/],
    ['a sealed parent', ({ sealed }) => noop({ parentId: sealed }), 409, /sealed/],
    ['a bad parent id', noop({ parentId: '../x' }), 422, /not a job id/],
  ]),
];
