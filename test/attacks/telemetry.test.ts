// Cases 84 and 87: what the server says of itself cannot be made to say something else, nor to grow.
import { connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { createLogger } from '../../src/telemetry/logger.ts';
import { rawExchange } from '../support/raw.ts';
import { answersIn, bytesOf, get, noop, type Sent } from './attack.ts';
import { settled, startTarget, submit, type Target } from './target.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => { for (const clean of cleanups.splice(0).reverse()) await clean(); });

/** All that somebody somewhere takes for the end of a line, and what terminals act on. */
// oxlint-disable-next-line no-control-regex
const SPLIT = /[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]/;
// oxlint-disable-next-line no-control-regex
const ACTED_ON = /[\x00-\x1f\x7f-\x9f]/;
const FORGED = '{"level":"fatal","msg":"forged"}';

describe('the log', () => {
  const wrong = (lines: readonly string[]): string[] => lines.filter((line) => {
    try {
      const record = JSON.parse(line) as { level?: string; msg?: string; name?: string };
      return record.name !== 'muster' || record.msg === 'forged' || SPLIT.test(line) || ACTED_ON.test(line);
    } catch {
      return true;
    }
  });

  test.each([
    ['a line feed', '\n'], ['a carriage return', '\r'], ['both', '\r\n'], ['U+2028', '\u2028'], ['U+2029', '\u2029'], ['NEL', '\u0085'], ['NUL', '\0'], ['an escape sequence', '\u001b[2J'], ['an 8-bit escape sequence', '\u009b2J'], ['a vertical tab', '\v'], ['a file separator', '\u001c'], ['delete', '\u007f'], ['half a surrogate pair', '\ud800'],
  ])('case 84: has one line for a record with %s in every place of it', (_what, bad) => {
    const written: string[] = [];
    const log = createLogger({ level: 'info', stream: { write: (text: string) => { written.push(text); } } });
    const value = `x${bad}${FORGED}${bad}`;
    log.info({ url: value, [value]: value, deep: { list: [value] }, err: Object.assign(new Error(value), { code: value }) }, value);
    expect(written).toHaveLength(1);
    expect(written[0]?.endsWith('\n')).toBe(true);
    const line = written[0]?.slice(0, -1) ?? '';
    expect(wrong([line])).toEqual([]);
    const record = JSON.parse(line) as { url: string; msg: string };
    if (bad !== '\ud800') expect([record.url, record.msg]).toEqual([value, value]);
  });

  test('case 84: of a server under debug has as many lines as there were requests, whatever they hold', async () => {
    const target = await startTarget({ LOG_LEVEL: 'debug', MUSTER_ENV: 'development' });
    cleanups.push(() => target.stop());
    const inPath = ['%0a', '%0d%0a', '%e2%80%a8', '%c2%85', '%1b[2J', '\x85', '\x9b', '\xe2\x80\xa8', '\u00ff'].map((bad) => `/api/jobs/x${bad}${encodeURIComponent(FORGED)}${bad}`);
    const sent: (Sent | string)[] = [
      ...inPath.map((path) => get(path)), ...inPath.map((path) => get(`/api/jobs?text=${path}`)),
      get('/health', { 'User-Agent': `\x85${FORGED}`, Referer: `\u00e2\x80\xa8${FORGED}` }), get('/health', { Host: `127.0.0.1\x85${FORGED}` }),
      noop({ tags: [`\n${FORGED}\n`, `\u2028${FORGED}`], input: { fail: `\n${FORGED}\n\u2028${FORGED}` } }),
      `FROB\n${FORGED}\n / HTTP/1.1\r\n\r\n`,
    ];
    for (const one of sent) answersIn(await rawExchange(target.url, typeof one === 'string' ? one : bytesOf(one)));
    await settled(target);
    expect(target.lines.filter((line) => line.includes('"msg":"answered"')).length).toBeGreaterThan(10);
    expect(target.lines.filter((line) => line.includes('%c2%85')).length).toBeGreaterThan(0); // they came as far as the log; raw bytes beyond ASCII the parser refuses
    expect(wrong(target.lines)).toEqual([]);
  });

  test('case 84: would be caught if it did not', () => {
    expect(wrong([`{"name":"muster","msg":"a\u2028b"}`, FORGED, 'x', '{"name":"muster","msg":"fine"}'])).toHaveLength(3);
  });
});

describe('the metrics', () => {
  /** Names with labels, without values. Not what Node says of itself, nor whether the crowd here was too much for a moment. */
  const series = async (target: Target): Promise<string[]> => (await (await fetch(`${target.url}/metrics`)).text()).split('\n').filter((line) => line !== '' && !/^(?:#|nodejs_|process_)|,status="503"/.test(line)).map((line) => line.slice(0, line.lastIndexOf(' '))).sort();

  /** Requests in one connection, as fast as they are answered. */
  const pipeline = (target: Target, requests: readonly string[]): Promise<number> => new Promise((resolve, reject) => {
    let answered = 0;
    let rest = '';
    const socket = connect(target.port, '127.0.0.1').setEncoding('latin1');
    socket.on('error', reject).on('close', () => resolve(answered));
    socket.on('data', (part: string) => {
      const text = rest + part;
      answered += text.split('HTTP/1.1 ').length - 1;
      rest = text.slice(-8); // one letter less than what is counted
      if (answered >= requests.length) socket.end();
    });
    for (const request of requests) socket.write(request);
  });
  const ask = (method: string, path: string, more = ''): string => `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${more}\r\n`;
  const json = (path: string, body: unknown, more = ''): string => ask('POST', path, `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(JSON.stringify(body))}\r\n${more}`).concat(JSON.stringify(body));

  // A million would show no more: a label that grew would have grown here by thousands.
  test('case 87: have as many series after 24,000 distinct paths, ids, tags, types, agents and keys as after a few', async () => {
    const target = await startTarget();
    cleanups.push(() => target.stop());
    const id = (i: number): string => `job_01jv5x9k3q${i.toString(32).padStart(16, '0')}`.replace(/[^0-9a-z_]/g, 'z');
    const KINDS: readonly ((i: number) => string)[] = [
      (i) => ask('GET', `/nothing/${i}`), (i) => ask('GET', `/api/jobs/${id(i)}`), (i) => ask('GET', `/api/jobs/x${i}`), (i) => ask('GET', `/api/jobs?tag=t${i}`), (i) => ask('GET', `/api/jobs?type=t${i}`),
      (i) => ask('GET', '/health', `User-Agent: agent-${i}\r\n`), (i) => ask('PATCH', `/api/types/t${i}`, 'Content-Length: 2\r\nContent-Type: application/json\r\n').concat('{}'), (i) => json('/api/jobs', { type: `t${i}` }),
      (i) => json('/api/jobs', { type: 'noop', hold: true, tags: [`t${i}`] }, `Idempotency-Key: k${i}\r\n`), (i) => ask('GET', `/api/jobs/${id(i)}/events?after=${i}`), (i) => ask('PUT', `/api/jobs/${i}`), (i) => ask('GET', `/health?x${i}=${i}`),
      (i) => ask('POST', `/api/jobs/${id(i)}/cancel`, 'Content-Length: 0\r\n'), (i) => ask('DELETE', `/api/jobs/${id(i)}`), (i) => ask('GET', `/metrics/${i}`), (i) => ask('PROPFIND', `/dav/${i}`),
    ];
    const few = 20;
    expect(await pipeline(target, Array.from({ length: few * KINDS.length }, (_, i) => (KINDS[i % KINDS.length] as (i: number) => string)(i)))).toBe(few * KINDS.length);
    await submit(target, { type: 'noop' }, { prefer: 'wait=30' });
    const before = await series(target);
    const many = 24_000 / KINDS.length / 10;
    for (let round = 0; round < 10; round++) {
      const requests = Array.from({ length: many * KINDS.length }, (_, i) => (KINDS[i % KINDS.length] as (i: number) => string)(1_000 + round * 1_000_000 + i));
      expect(await pipeline(target, requests)).toBe(requests.length);
    }
    await submit(target, { type: 'noop' }, { prefer: 'wait=30' });
    expect(await series(target)).toEqual(before);
    expect(before.length).toBeGreaterThan(80);
    expect(before.filter((name) => /t\d{3,}|agent-|job_|nothing/.test(name))).toEqual([]);
  });
});
