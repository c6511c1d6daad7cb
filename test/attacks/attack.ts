// One attack as data, the bytes it becomes, and the one judgement that all of them get: no 5xx, a problem that tells a
// person what to do and nothing of our insides, nothing changed in the file, and a server that is still well.
import { expect, test } from 'vitest';
import { problemSchema } from '../../src/http/native/schemas.ts';
import { rawExchange } from '../support/raw.ts';
import type { State, Target } from './target.ts';

export interface Sent {
  readonly method?: string;
  readonly path: string;
  /** Replaces what would be sent by default: Host, Connection: close, and JSON if there is a body. null leaves one out. */
  readonly headers?: Readonly<Record<string, string | null>>;
  readonly body?: string | Buffer;
}

/** What an attack may need to name: a job that has ended, a held batch that takes no more, and one that does. */
export interface Facts {
  readonly ended: string;
  readonly sealed: string;
  readonly open: string;
}

export interface Attack {
  /** Its number in section 7 of the reliability goals. */
  readonly case: number;
  readonly what: string;
  /** A request, or the bytes themselves. */
  readonly send: Sent | string | Buffer | ((facts: Facts) => Sent | string);
  readonly status: number;
  readonly says: RegExp;
  /** Where the answer is another one than section 7 has. */
  readonly why?: string;
  /** The connection must end with the answer. */
  readonly closes?: boolean;
}

type Row = readonly [what: string, send: Attack['send'], status: number, says: RegExp, more?: Pick<Attack, 'why' | 'closes'>];
/** Rows of one case. */
export const attacks = (number: number, rows: readonly Row[]): Attack[] =>
  rows.map(([what, send, status, says, more]) => ({ case: number, what, send, status, says, ...more }));

export const post = (body: unknown, path = '/api/jobs'): Sent => ({ method: 'POST', path, body: JSON.stringify(body) });
export const text = (body: string | Buffer, path = '/api/jobs'): Sent => ({ method: 'POST', path, body });
export const noop = (more: object): Sent => post({ type: 'noop', ...more });
export const get = (path: string, headers: Record<string, string> = {}): Sent => ({ path, headers });

export function bytesOf({ method = 'GET', path, headers = {}, body }: Sent): Buffer {
  const all: Record<string, string | null> = {
    Host: '127.0.0.1', Connection: 'close', ...(body === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': String(Buffer.byteLength(body)) }), ...headers,
  };
  const lines = Object.entries(all).flatMap(([name, value]) => (value === null ? [] : [`${name}: ${value}\r\n`]));
  return Buffer.concat([Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`, 'latin1'), Buffer.from(body ?? '')]);
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** All final answers in what a server said. */
export function answersIn(said: string): Answer[] {
  const found: Answer[] = [];
  for (let rest = said; rest !== '';) {
    const head = /^HTTP\/1\.1 (\d{3})[^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n/.exec(rest);
    if (head === null) throw new Error(`not an answer: ${JSON.stringify(rest.slice(0, 200))}`);
    const headers = Object.fromEntries((head[2] as string).split('\r\n').filter((line) => line !== '').map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]));
    const from = head[0].length;
    const to = from + Number(headers['content-length'] ?? 0);
    const status = Number(head[1]);
    if (status >= 200) found.push({ status, headers, body: Buffer.from(rest.slice(from, to), 'latin1').toString('utf8') });
    rest = rest.slice(to);
  }
  return found;
}

/** Of stacks, statements, packages, paths. What a client sent may be said back to it; none of these was sent. */
const INSIDES = /node_modules|\/src\/|SQLITE_|better-sqlite3|\bat (?:async )?[^\s"]{1,100} \([^\s"]+:\d+:\d+\)|\.(?:ts|m?js):\d|muster-attack/;

/** A refusal that a person can act on and that tells nothing else. */
export function expectProblem(answer: Answer): void {
  expect(answer.headers['content-type']).toBe('application/problem+json; charset=utf-8');
  const problem = problemSchema.parse(JSON.parse(answer.body));
  expect(problem.status).toBe(answer.status);
  expect(problem.title).toMatch(/^[A-Z].{10,}/);
  expect(problem.detail.length).toBeGreaterThan(10);
  expect(problem.hint.length).toBeGreaterThan(5);
  expect(answer.body).not.toMatch(INSIDES);
  if (answer.status === 405) expect(answer.headers.allow).toMatch(/[A-Z]/);
  if (answer.status === 503 || answer.status === 429) expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
}

/** Nothing was written since, and the server is well. */
export async function expectUnharmed(target: Target, before: State): Promise<void> {
  const [health] = answersIn(await rawExchange(target.url, bytesOf(get('/health'))));
  expect([health?.status, health?.body]).toEqual([200, '{"status":"ok"}']);
  expect(target.state()).toEqual(before);
}

/** Sends the bytes and judges: exactly `count` answers, each as it must be. */
export async function assault(target: Target, bytes: string | Buffer, count = 1): Promise<Answer[]> {
  const before = target.state();
  const answers = answersIn(await rawExchange(target.url, bytes));
  expect(answers).toHaveLength(count);
  for (const answer of answers) {
    expect(answer.status, answer.body).toBeLessThan(500);
    if (answer.status >= 400) expectProblem(answer);
  }
  await expectUnharmed(target, before);
  return answers;
}

/** One test for each attack; its name begins with "case N:". */
export function testAttacks(list: readonly Attack[], target: () => Target, facts: () => Facts = () => ({ ended: '', sealed: '', open: '' })): void {
  test.each(list.map((attack) => [attack.case, attack.what, attack] as const))('case %i: %s', async (_number, _what, attack) => {
    const sent = typeof attack.send === 'function' ? attack.send(facts()) : attack.send;
    const bytes = typeof sent === 'string' || Buffer.isBuffer(sent) ? sent : bytesOf(sent);
    const [answer] = await assault(target(), bytes);
    expect([answer?.status, answer?.body]).toEqual([attack.status, expect.stringMatching(attack.says)]);
    if (attack.closes === true) expect(answer?.headers.connection).toBe('close');
  });
}
