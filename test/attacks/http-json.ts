// Cases 33 to 43, 46 and 47: bodies, headers and request lines as no client would send them.
import { type Attack, attacks, get, type Sent, text } from './attack.ts';

const typed = (type: string | null, body: string | Buffer = '{"type":"noop","x":1}'): Sent => ({ method: 'POST', path: '/api/jobs', headers: { 'Content-Type': type }, body });
const bytes = (...parts: (number | string)[]): Sent => text(Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from([part])))));
/** What a smuggler wants to have run as a request of its own. */
const PRIZE = 'POST /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 15\r\nConnection: close\r\n\r\n{"type":"noop"}';
/** A request with these header lines, and the prize where its body would be. */
const smuggle = (lines: string, body = `0\r\n\r\n${PRIZE}`): string => `POST /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n${lines}\r\n\r\n${body}`;
const line = (first: string, more = 'Host: 127.0.0.1\r\nConnection: close\r\n'): string => `${first}\r\n${more}\r\n`;
const hosted = (host: string): Sent => ({ path: '/api/jobs', headers: { Host: host } });
const JOB = '{"type":"noop","input":{"result":';
const closes = { closes: true } as const;

export const JSON_ATTACKS: readonly Attack[] = [
  ...attacks(33, [
    ['__proto__', text('{"type":"noop","__proto__":{"polluted":1}}'), 400, /__proto__/],
    ['__proto__ deep inside', text(`${JOB}[{"__proto__":{"polluted":1}}]}}`), 400, /__proto__.* at #\/input\/result\/0/],
    ['__proto__ with an escape', text(`${JOB}{"\\u005f_proto__":1}}}`), 400, /__proto__/],
    ['__proto__ in escapes alone', text(`${JOB}{"\\u005f\\u005f\\u0070\\u0072\\u006f\\u0074\\u006f\\u005f\\u005f":null}}}`), 400, /__proto__/],
    ['constructor with a prototype', text(`${JOB}{"constructor":{"prototype":{"polluted":1}}}}}`), 400, /constructor/],
    ['constructor with a prototype, escaped', text(`${JOB}{"c\\u006fnstructor":{"pr\\u006ftotype":{}}}}}`), 400, /constructor/],
    ['__proto__ in a query', get('/api/jobs?__proto__=1'), 400, /__proto__/],
    ['__proto__ with brackets in a query', get('/api/jobs?__proto__[polluted]=1'), 400, /__proto__/],
    ['constructor in a query', get('/api/jobs?constructor.prototype.polluted=1'), 400, /constructor/],
    ['__proto__ as a header of an outbound call', text('{"type":"request","input":{"url":"http://127.0.0.1:8000/","headers":{"__proto__":"x"}}}'), 400, /__proto__/],
    ['__proto__ as the name of a type', { method: 'PATCH', path: '/api/types/__proto__', body: '{"concurrency":1}' }, 400, /not the name of a job type/],
    ['constructor as the name of a type', { method: 'PATCH', path: '/api/types/constructor', body: '{"concurrency":1}' }, 404, /The types are/],
  ]),
  ...attacks(34, [
    ['a key twice', text('{"type":"noop","type":"request"}'), 400, /\\"type\\" stands twice/],
    ['a key twice, once escaped', text('{"type":"noop","typ\\u0065":"request"}'), 400, /\\"type\\" stands twice/],
    ['a key twice deep inside', text(`${JOB}{"b":[0,{"a":1,"a":2}]}}}`), 400, /stands twice in the object at #\/input\/result\/b\/1/],
    ['an empty key twice', text(`${JOB}{"":1,"":2}}}`), 400, /stands twice/],
    ['a key three times, the same value', text('{"type":"noop","priority":1,"priority":1,"priority":1}'), 400, /stands twice/],
    ['a key twice in a line of a bulk', { method: 'POST', path: '/api/jobs/bulk', headers: { 'Content-Type': 'application/x-ndjson' }, body: '{"type":"noop"}\n{"type":"noop","type":"noop"}\n' }, 400, /Line 2.*stands twice/],
  ]),
  ...attacks(35, [65, 66, 100, 1_000, 10_000, 100_000].flatMap((depth) => [
    [`${depth} brackets`, text('['.repeat(depth) + ']'.repeat(depth)), 400, /deeper than 64 levels, at byte 64/] as const,
    [`${depth} braces`, text('{"a":'.repeat(depth) + '1' + '}'.repeat(depth)), 400, /deeper than 64/] as const,
    [`${depth} brackets that never close`, text('['.repeat(depth)), 400, /deeper than 64/] as const,
  ])),
  ...attacks(36, [
    ['1 MiB and a byte', text(Buffer.alloc(1_048_577, 0x20)), 413, /limit/, closes],
    ['1 MiB and a byte in chunks', `POST /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${`10000\r\n${' '.repeat(65_536)}\r\n`.repeat(16)}1\r\n \r\n0\r\n\r\n`, 413, /limit/, closes],
    ['a body said to have 10 GB', { ...text('{'), headers: { 'Content-Length': '10737418240' } }, 413, /limit/, closes],
    ['a bulk of 16 MiB and a byte', { ...text('{', '/api/jobs/bulk'), headers: { 'Content-Length': String(16 * 1_048_576 + 1) } }, 413, /limit/, closes],
    ['a patch of 1 MiB and a byte', ({ open }) => ({ method: 'PATCH', path: `/api/jobs/${open}`, headers: { 'Content-Length': '1048577' }, body: '{' }), 413, /limit/, closes],
  ]),
  ...attacks(37, [
    ...['application/json', 'Application/JSON', 'application/json; charset=utf-8', 'application/json;charset="UTF-8"', ' application/json', '\tapplication/json\t', 'application/json;'].map((type) =>
      [`${JSON.stringify(type)} is validated`, typed(type), 400, /no property \\"x\\"/] as const),
    ...['application/json\ta', 'application/json garbage', 'application/json,text/plain', 'application/jsonx', 'application/json; charset=utf-16', 'application/json; charset=utf-8; x=y', 'application /json', 'application/json\\', 'text/json', 'application/x-www-form-urlencoded, application/json', 'application/vnd.api+json', '*/*'].map((type) =>
      [`${JSON.stringify(type)} is not taken`, typed(type), 415, /content type|UTF-8/] as const),
    ['two content types', 'POST /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Type: application/json\r\nContent-Length: 21\r\n\r\n{"type":"noop","x":1}', 415, /content type/],
  ]),
  ...attacks(38, [
    ['no content type', typed(null), 415, /content type/],
    ['an empty content type', typed(''), 415, /content type/],
    ['text', typed('text/plain'), 415, /content type/],
    ['a form', typed('application/x-www-form-urlencoded', 'a=b'), 415, /Content-Type: application\/json/],
    ['a multipart form', typed('multipart/form-data; boundary=x', '--x--'), 415, /content type/],
    ['lines where there is one job', typed('application/x-ndjson'), 415, /content type/],
    ['XML', typed('application/xml', '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'), 415, /content type/],
    ['a body said to be compressed', { ...typed('application/json'), headers: { 'Content-Encoding': 'gzip' } }, 415, /uncompressed/],
    ['lines said to be compressed', { method: 'POST', path: '/api/jobs/bulk', headers: { 'Content-Type': 'application/x-ndjson', 'Content-Encoding': 'identity, br' }, body: '{"type":"noop"}' }, 415, /uncompressed/],
    ['no body', { method: 'POST', path: '/api/jobs' }, 400, /JSON body/],
  ]),
  ...attacks(39, [
    ['a byte that UTF-8 has not', bytes('{"type":"noop","tags":["', 0xff, '"]}'), 400, /UTF-8, at byte 24/],
    ['a slash in two bytes', bytes('{"type":"noop","tags":["', 0xc0, 0xaf, '"]}'), 400, /UTF-8/],
    ['NUL in two bytes', bytes('{"type":"noop","tags":["', 0xc0, 0x80, '"]}'), 400, /UTF-8/],
    ['a surrogate in three bytes', bytes('{"type":"noop","tags":["', 0xed, 0xa0, 0x80, '"]}'), 400, /UTF-8/],
    ['beyond U+10FFFF', bytes('{"type":"noop","tags":["', 0xf4, 0x90, 0x80, 0x80, '"]}'), 400, /UTF-8/],
    ['a character cut short', bytes('{"type":"noop","tags":["a', 0xe2, 0x82, '"]}'), 400, /UTF-8/],
    ['a genuine replacement character, then a bad byte', bytes('{"type":"noop","tags":["\uFFFD', 0xff, '"]}'), 400, /at byte 27/],
    ['Latin-1', bytes('{"type":"noop","tags":["caf', 0xe9, '"]}'), 400, /UTF-8/],
  ]),
  ...attacks(40, [
    ['a byte order mark', bytes(0xef, 0xbb, 0xbf, '{"type":"noop"}'), 400, /byte order mark/],
    ['two of them', bytes(0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf, '{"type":"noop"}'), 400, /byte order mark/],
    ['that of UTF-16', text(Buffer.from('\ufeff{"type":"noop"}', 'utf16le')), 400, /UTF-8/],
  ]),
];

const BROKEN = /not HTTP\/1\.1|wrong shape/;
export const HTTP_ATTACKS: readonly Attack[] = [
  ...attacks(41, [
    ['a length and chunks', smuggle('Content-Length: 5\r\nTransfer-Encoding: chunked'), 400, BROKEN, closes],
    ['chunks and a length', smuggle('Transfer-Encoding: chunked\r\nContent-Length: 200'), 400, BROKEN, closes],
    ['chunks twice and a length', smuggle('Content-Length: 5\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked'), 400, BROKEN, closes],
    ['chunks that are not last', smuggle('Transfer-Encoding: chunked, identity'), 400, BROKEN, closes],
    ['an encoding that looks like chunks', smuggle('Transfer-Encoding: xchunked'), 400, BROKEN, closes],
    ['an encoding with a vertical tab', smuggle('Transfer-Encoding: \x0bchunked'), 400, BROKEN, closes],
    ['a space before the colon', smuggle('Content-Length: 5\r\nTransfer-Encoding : chunked'), 400, BROKEN, closes],
    ['a folded header', smuggle('Transfer-Encoding:\r\n chunked\r\nContent-Length: 5'), 400, BROKEN, closes],
    ['a header that begins with a space', smuggle(' Transfer-Encoding: chunked\r\nContent-Length: 5'), 400, BROKEN, closes],
    ['two lengths', smuggle('Content-Length: 0\r\nContent-Length: 5', PRIZE), 400, BROKEN, closes],
    ['two lengths in one line', smuggle('Content-Length: 5, 5', `abcde${PRIZE}`), 400, BROKEN, closes],
    ...['+5', '-1', '0x5', '5 5', '5e0', '99999999999999999999999', '5;', '"5"'].map((length) => [`the length ${length}`, smuggle(`Content-Length: ${length}`, `abcde${PRIZE}`), 400, BROKEN, closes] as const),
    ['an empty length', smuggle('Content-Length:', PRIZE), 400, BROKEN, closes],
    ['the size of a chunk beyond 64 bits', smuggle('Transfer-Encoding: chunked', `FFFFFFFFFFFFFFFFF1\r\n${PRIZE}`), 400, BROKEN, closes],
    ['the size of a chunk as 0x5', smuggle('Transfer-Encoding: chunked', `0x5\r\nabcde\r\n0\r\n\r\n${PRIZE}`), 400, BROKEN, closes],
    ['a negative chunk', smuggle('Transfer-Encoding: chunked', `-5\r\nabcde\r\n0\r\n\r\n${PRIZE}`), 400, BROKEN, closes],
    ['a chunk longer than its size', smuggle('Transfer-Encoding: chunked', `1\r\nabcde\r\n0\r\n\r\n${PRIZE}`), 400, BROKEN, closes],
    ['a line feed where a line must end', smuggle('Transfer-Encoding: chunked', `0;a\nb\r\n\r\n${PRIZE}`), 400, BROKEN, closes],
    ['line feeds alone', `POST /api/jobs HTTP/1.1\nHost: 127.0.0.1\nContent-Type: application/json\nContent-Length: 0\n\n${PRIZE}`, 400, BROKEN, closes],
    ['a carriage return inside a header', smuggle('X: a\rTransfer-Encoding: chunked\r\nContent-Length: 5'), 400, BROKEN, closes],
    ['NUL in a header', smuggle('X: a\0b\r\nContent-Length: 5'), 400, BROKEN, closes],
    ['a header without a name', smuggle(': x\r\nContent-Length: 5'), 400, BROKEN, closes],
    ['chunks in HTTP/1.0', `POST /api/jobs HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${PRIZE}`, 400, BROKEN, closes],
    ['a body of a GET that looks like a request', `GET /api/jobs/x HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: ${PRIZE.length}\r\n\r\n${PRIZE}`, 400, /not a job id/, closes],
  ]),
  ...attacks(42, [
    ['headers of 20 KB', { path: '/health', headers: { X: 'a'.repeat(20_000) } }, 431, /16 KiB/, closes],
    ['a header name of 20 KB', { path: '/health', headers: { ['a'.repeat(20_000)]: 'x' } }, 431, /16 KiB/, closes],
    ['10,000 headers', { path: '/health', headers: Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`x${i}`, ''])) }, 431, /16 KiB/, closes],
    ['a URL of 20 KB', get(`/api/jobs?text=${'a'.repeat(20_000)}`), 431, /16 KiB/, { ...closes, why: "Node's parser counts the request line among the headers" }],
    ['trailers of 20 KB', `POST /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`, 431, /16 KiB/, closes],
    ['a chunk with 20 KB said about it', smuggle('Transfer-Encoding: chunked', `1;${'a'.repeat(20_000)}\r\n{\r\n0\r\n\r\n`), 400, BROKEN, { ...closes, why: "Node's parser has a limit and a code of its own for them" }],
  ]),
  ...attacks(43, [
    ['bytes that are no UTF-8', get('/api/jobs/%E0%A4%A'), 400, /percent/],
    ['a percent sign alone', get('/api/jobs/%'), 400, /percent/],
    ['no hexadecimal digits', get('/api/jobs/%zz'), 400, /percent/],
    ['NUL', get('/api/jobs/%00'), 400, /not a job id/],
    ['a way up', get('/api/jobs/%2e%2e%2f'), 400, /not a job id/],
    ['a way up, with slashes', get('/api/jobs/..%2f..%2fetc%2fpasswd'), 400, /not a job id/],
    ['a way up, encoded twice', get('/api/jobs/%252e%252e%252f'), 400, /not a job id/],
    ['a way up in overlong bytes', get('/api/jobs/%c0%ae%c0%ae%c0%af'), 400, /percent/],
    ['a way up as it is', get('/api/jobs/../../../etc/passwd'), 404, /no path/, { why: 'a path is taken as it is written: there is no such one' }],
    ['a way up with backslashes', get('/api/jobs/..\\..\\etc'), 400, /not a job id/],
    ['SQL', get(`/api/jobs/${encodeURIComponent("' OR 1=1 --")}`), 400, /not a job id/],
    ['200 characters', get(`/api/jobs/${'x'.repeat(200)}`), 414, /longer than 100/, { why: 'our limit for a part of a path; said as it is' }],
    ['another id in front', get('/api/jobs/task_01jv5x9k3qf0bsx1r4y7m2n8ga'), 400, /not a job id/],
    ['capitals', get('/api/jobs/JOB_01JV5X9K3QF0BSX1R4Y7M2N8GA'), 400, /not a job id/],
    ['a line break after it', get('/api/jobs/job_01jv5x9k3qf0bsx1r4y7m2n8ga%0a'), 400, /not a job id/],
    ['a byte beyond ASCII', 'GET /api/jobs/\xff HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n', 400, /./],
  ]),
  ...attacks(46, [
    ['CONNECT', line('CONNECT example.com:443 HTTP/1.1'), 405, /CONNECT/, closes],
    ['TRACE', line('TRACE /api/jobs HTTP/1.1'), 405, /GET, HEAD, POST/],
    ['OPTIONS *', line('OPTIONS * HTTP/1.1'), 404, /no path/, { why: 'no resource is meant, and there is nothing to tell about none' }],
    ['OPTIONS', line('OPTIONS /api/jobs HTTP/1.1'), 405, /GET, HEAD, POST/],
    ['a method nobody has', line('FROB /api/jobs HTTP/1.1'), 400, BROKEN, closes],
    ['a method of WebDAV', line('PROPFIND /api/jobs HTTP/1.1'), 405, /GET, HEAD, POST/],
    ['a method in small letters', line('get /health HTTP/1.1'), 400, BROKEN, closes],
    ['Expect: 100-continue with a bad body', { method: 'POST', path: '/api/jobs', headers: { Expect: '100-continue' }, body: '{' }, 400, /not JSON/],
    ['Expect: 100-continue with a body said to be too large', { method: 'POST', path: '/api/jobs', headers: { Expect: '100-continue', 'Content-Type': 'application/json', 'Content-Length': '10737418240' } }, 413, /limit/, closes],
    ['Expect: something else', { method: 'POST', path: '/api/jobs', headers: { Expect: 'the spanish inquisition' }, body: '{}' }, 400, /100-continue/, closes],
    ['the opening of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, BROKEN, closes],
    ['HTTP/0.9', 'GET /health\r\n\r\n', 400, BROKEN, closes],
    ['HTTP/3.1', line('GET /health HTTP/3.1'), 400, BROKEN, closes],
    ['the opening of TLS', Buffer.from('160301020001000001fc0303', 'hex'), 400, BROKEN, closes],
    ['a path without a slash', line('GET health HTTP/1.1'), 400, /./],
    ['PUT of a list', { method: 'PUT', path: '/api/jobs' }, 405, /GET, HEAD, POST/],
    ['a form to delete by', { method: 'POST', path: '/api/jobs/job_01jv5x9k3qf0bsx1r4y7m2n8ga?_method=DELETE', headers: { 'X-HTTP-Method-Override': 'DELETE' } }, 405, /DELETE, GET, HEAD, PATCH/],
  ]),
  ...attacks(47, [
    ...['evil', 'evil.example', 'evil.example:8000', '127.0.0.1.evil.example', 'localhost.evil.example', 'xlocalhost', '127.0.0.2', '2130706433', '0x7f.1', '127.0.0.1:8000:80', '127.0.0.1:x', 'user@127.0.0.1', '[::2]', '0.0.0.0', '127.0.0.1 evil', 'evil#127.0.0.1', '127.0.0.1.', ''].map((host) =>
      [`the host ${JSON.stringify(host)}`, hosted(host), 421, /does not answer for the host/] as const),
    ['no host', { path: '/api/jobs', headers: { Host: null } }, 400, /Host header/],
    ['two hosts', line('GET /api/jobs HTTP/1.1', 'Host: 127.0.0.1\r\nHost: evil.example\r\nConnection: close\r\n'), 400, /one Host/],
    ['the same host twice', line('GET /api/jobs HTTP/1.1', 'Host: 127.0.0.1\r\nhOST: 127.0.0.1\r\nConnection: close\r\n'), 400, /one Host/],
    ['another host in the request line', line('GET http://evil.example/api/jobs HTTP/1.1'), 421, /evil\.example/],
    ['another host with a user in the request line', line('GET http://127.0.0.1@evil.example/api/jobs HTTP/1.1'), 421, /evil\.example/],
    ['X-Forwarded-Host does not help', { path: '/api/jobs', headers: { Host: 'evil.example', 'X-Forwarded-Host': '127.0.0.1' } }, 421, /evil\.example/],
    ['a page of another name that posts', { method: 'POST', path: '/api/jobs', headers: { Host: 'rebound.example', Origin: 'http://rebound.example' }, body: '{"type":"noop"}' }, 421, /rebound\.example/],
    ['another host in HTTP/1.0', line('GET /api/jobs HTTP/1.0', 'Host: evil.example\r\n'), 421, /evil\.example/],
    ['no host in HTTP/1.0', line('GET /api/jobs HTTP/1.0', ''), 421, /does not answer/],
  ]),
];

/** For the other side of case 47: what must be answered. */
export const GOOD_HOSTS = ['127.0.0.1', '127.0.0.1:8000', 'localhost', 'LOCALHOST:1', '[::1]', '[::1]:8000'] as const;
