// What a participant's answer means for its job. Pure: the result of a call in, an outcome and a log line out.
//
// An answer is an ENVELOPE if its status is 2xx and its body is a JSON object with a string `state` and either
//   - a `job_id` (string or number; participants answer all sorts, so it is not compared), or
//   - a state that says COMPLETE or FAIL in one of the known words: a verdict is a verdict, whatever else it carries, or
//   - the state PENDING and no other fields than `job_id, delay, message, state, data`.
// So {"state":"PENDING","delay":2} and {"state":"FAIL","error":"no"} are, and a plain answer that happens to have a state
// ({"state":"open"}, {"state":"pending","order":7}) is not: taking it for one would repeat a call that has done its work.
// The result is `data`. An end with fields of its own is kept whole if it has no `job_id` or no `data`: nothing said is dropped.
// The status comes first: an envelope under a 4xx or 5xx only lends its message to the failure.
import type { JobError } from '../domain/job.ts';
import type { Outcome } from '../domain/outcome.ts';
import { readJson } from '../domain/read-json.ts';
import type { CallResult } from './egress/client.ts';
import type { Answered } from './egress/exchange.ts';

/** Asked again after this if the participant names no delay: the poll interval of the seeds, 1 s. */
export const LATER_DEFAULT = 1_000;
/** A participant that says "at once" must not make the server spin: ten asks a second are plenty. */
export const LATER_MIN = 100;
/** Asking once an hour is harmless (it is the same job id each time); a mistyped delay must not outsleep the job's ttl. */
export const LATER_MAX = 3_600_000;
/** As deep as a submission may be; results are parsed and printed again by every reader, and deep ones overflow the stack. */
export const DEPTH_MAX = 64;
const MESSAGE_MAX = 1_000;
const SNIPPET_MAX = 200;

const WORDS: Readonly<Record<string, 'pending' | 'complete' | 'fail'>> = {
  pending: 'pending', complete: 'complete', completed: 'complete', fail: 'fail', failed: 'fail',
};
const ENVELOPE_KEYS = ['job_id', 'delay', 'message', 'state', 'data'];

export interface Judged {
  readonly outcome: Outcome;
  /** For the job's log. */
  readonly line: string;
}

/** @param now epoch ms, for a Retry-After that is a date */
export function judgeResult(result: CallResult, call: { readonly method: string; readonly now: number }): Judged {
  switch (result.kind) {
    case 'answer': return judgeAnswer(result, call);
    case 'busy': return { outcome: { kind: 'later', delay: result.retryAfter }, line: `waits ${result.retryAfter} ms for its turn: ${result.message}` };
    case 'aborted': return { outcome: { kind: 'interrupted', reason: result.message }, line: `stopped: ${result.message}` };
    case 'refused': case 'unsendable': return failed('egress_refused', result.message, false);
    case 'network': return failed('network', result.message, true);
    case 'timeout': return failed('timeout', result.message, true);
    case 'too_large': return failed('answer_too_large', result.message, false);
    case 'undecodable': return failed('invalid_answer', result.message, false);
  }
}

function failed(code: JobError['code'], message: string, retryable: boolean, more: { delay?: number; result?: string | null } = {}): Judged {
  const text = clip(message, MESSAGE_MAX);
  return { outcome: { kind: 'fail', error: { code, message: text, retryable }, ...more }, line: `${code}: ${text}` };
}

function judgeAnswer(answer: Answered, call: { readonly method: string; readonly now: number }): Judged {
  const { status } = answer;
  const read = readBody(answer);
  if (status < 200 || status > 299) {
    const said = 'problem' in read ? '' : snippet(read.value);
    if (status >= 300 && status < 400) return failed('http_status', `Answered ${status}; redirects are not followed. Give the URL that it leads to.`, false);
    const retryable = status >= 500 || status === 408 || status === 425 || status === 429;
    const wait = retryable ? retryAfter(answer, call.now) : undefined;
    return failed('http_status', `Answered ${status}${said === '' ? '.' : `: ${said}`}`, retryable, wait === undefined ? {} : { delay: wait });
  }
  if ('problem' in read) return failed('invalid_answer', `Answered ${status}, but ${read.problem}.`, false);
  const envelope = asEnvelope(read.value);
  if (envelope !== null) return judgeEnvelope(envelope, status);
  // A GET answered "accepted, come again" is a poll. Any other method has done its work: repeating it might do it twice.
  const wait = status === 202 && (call.method === 'GET' || call.method === 'HEAD') ? retryAfter(answer, call.now) : undefined;
  if (wait !== undefined) return { outcome: { kind: 'later', delay: wait }, line: `202; asked again in ${wait} ms` };
  return { outcome: { kind: 'done', result: read.value === null ? null : JSON.stringify(read.value) }, line: `${status}` };
}

interface Envelope {
  readonly state: string;
  readonly delay?: unknown;
  readonly message?: unknown;
  readonly data?: unknown;
  /** It has a job_id: made for this, its result is its `data`. */
  readonly named: boolean;
  /** The whole answer, if it has fields of its own. */
  readonly own: object | null;
}

function asEnvelope(value: unknown): Envelope | null {
  if (typeof value !== 'object' || value === null || !('state' in value) || typeof value.state !== 'string') return null;
  const id = 'job_id' in value ? value.job_id : undefined;
  const named = typeof id === 'string' || typeof id === 'number';
  const word = wordOf(value.state);
  const own = Object.keys(value).some((key) => !ENVELOPE_KEYS.includes(key));
  const isOne = named || word === 'complete' || word === 'fail' || (word === 'pending' && !own);
  return isOne ? { ...value, state: value.state, named, own: own ? value : null } : null;
}

const wordOf = (state: string): 'pending' | 'complete' | 'fail' | undefined => {
  const lower = state.toLowerCase();
  return Object.hasOwn(WORDS, lower) ? WORDS[lower] : undefined;
};

function judgeEnvelope(envelope: Envelope, status: number): Judged {
  const message = typeof envelope.message === 'string' ? clip(oneLine(envelope.message), MESSAGE_MAX) : '';
  const said = message === '' ? '' : `: ${clip(message, SNIPPET_MAX)}`;
  const data = envelope.own !== null && (!envelope.named || envelope.data === undefined) ? envelope.own : (envelope.data ?? null);
  const result = data === null ? null : JSON.stringify(data);
  switch (wordOf(envelope.state)) {
    case 'pending': {
      const delay = laterDelay(envelope.delay);
      return { outcome: { kind: 'later', delay }, line: `${status} PENDING, asked again in ${delay} ms${said}` };
    }
    case 'complete': return { outcome: { kind: 'done', result }, line: `${status} COMPLETE${said}` };
    case 'fail': {
      const error = { code: 'participant_failed', message: message === '' ? 'The participant answered FAIL without a message.' : message, retryable: false } as const;
      return { outcome: { kind: 'fail', error, result }, line: `${status} FAIL${said}` };
    }
    case undefined: return failed('invalid_answer', `The participant answered with the state ${JSON.stringify(clip(envelope.state, 60))}; it must be PENDING, COMPLETE or FAIL.`, false);
  }
}

/** Seconds as participants give them, to ms within bounds. 0 is the envelope's default and means "no wish". */
function laterDelay(seconds: unknown): number {
  const value = typeof seconds === 'string' && seconds.trim() !== '' ? Number(seconds) : seconds;
  if (typeof value !== 'number' || !(value > 0)) return LATER_DEFAULT;
  return Math.round(Math.min(LATER_MAX, Math.max(LATER_MIN, value * 1_000)));
}

/** Seconds or an HTTP date, as ms from now within bounds; undefined if absent or unreadable. */
export function retryAfter(answer: Pick<Answered, 'headers'>, now: number): number | undefined {
  const text = String(answer.headers['retry-after'] ?? '').trim();
  const ms = /^\d+$/.test(text) ? Number(text) * 1_000 : /^[A-Za-z]{3,9},? /.test(text) ? Date.parse(text) - now : Number.NaN;
  return Number.isNaN(ms) ? undefined : Math.min(LATER_MAX, Math.max(LATER_MIN, ms));
}

/** The body as a JSON value: parsed if it is JSON, text as a string, nothing as null. */
function readBody(answer: Answered): { readonly value: unknown } | { readonly problem: string } {
  if (answer.body.length === 0) return { value: null };
  const type = String(answer.headers['content-type'] ?? '').toLowerCase();
  let text: string;
  try {
    const [, charset = 'utf-8'] = /charset="?([^";\s]+)/.exec(type) ?? [];
    text = new TextDecoder(charset, { fatal: true }).decode(answer.body);
  } catch {
    return { problem: 'its body is not text in the charset it names (UTF-8 if none)' };
  }
  if (text.trim() === '') return { value: null };
  const declared = /^[^;]*[/+]json\s*(;|$)/.test(type);
  // Small servers often send JSON as text/plain, or with no type at all.
  if (!declared && type !== '' && !/^\s*[{[]/.test(text)) return { value: text };
  if (isTooDeep(text)) return { problem: `its JSON is nested deeper than ${DEPTH_MAX} levels` };
  try {
    return { value: readJson(text) };
  } catch {
    return declared ? { problem: `its body is not the JSON that its content-type says: ${clip(oneLine(text), SNIPPET_MAX)}` } : { value: text };
  }
}

/** Counted on the text, before the parser builds (and a reader's printer recurses into) anything. */
export function isTooDeep(text: string): boolean {
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (quoted) {
      if (c === 0x5c) i++; // backslash: the next one is not a quote that ends
      else if (c === 0x22) quoted = false;
    } else if (c === 0x22) quoted = true;
    else if (c === 0x7b || c === 0x5b) {
      if (++depth > DEPTH_MAX) return true;
    } else if (c === 0x7d || c === 0x5d) depth--;
  }
  return false;
}

/** A few words of an error's body: the message field that most APIs have, else its beginning. */
function snippet(value: unknown): string {
  if (value === null) return '';
  const named = typeof value === 'object' ? ['message', 'detail', 'error', 'title'].map((key) => (value as Record<string, unknown>)[key]).find((each) => typeof each === 'string') : undefined;
  return clip(oneLine(typeof value === 'string' ? value : typeof named === 'string' ? named : JSON.stringify(value)), SNIPPET_MAX);
}

const oneLine = (text: string): string => text.replace(/[\s\p{Cc}]+/gu, ' ').trim();
const clip = (text: string, max: number): string => (text.length <= max ? text : `${text.slice(0, max - 1)}…`).toWellFormed();
