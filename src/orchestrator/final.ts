// What a job came to, as its readers get it: results rendered from the children's, the callback's body, the final event.
// Nothing of this is stored: the log keeps what happened once, and this expands it when somebody reads.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FinalBody } from '../handlers/handler.ts';
import { isFinal, stateOf } from '../domain/job.ts';
import { readJson } from '../domain/read-json.ts';
import { partOf } from './log-lines.ts';
import type { ChildResult, JobRecord, Store, StoredEvent } from '../store/store.ts';

/** Children's results in one body, bytes. They stand in it twice (children and result), so a body stays near 1 MiB. */
export const CHILD_RESULTS_MAX = 512 * 1024;

/** Parents within a parent that are expanded, at two reads each: about 10 ms. The others say that they are cut. */
const NESTED_MAX = 200;
/** Reads are synchronous: after so many of them others have their turn. */
const NESTED_PER_TURN = 25;

export interface Children {
  readonly results: readonly ChildResult[];
  readonly truncated: boolean;
}
const NONE: Children = { results: [], truncated: false };

/** Their result is made of their children's. */
const isParent = (type: string): boolean => type === 'batch' || type === 'verify';

/** How the children of a parent ended, and theirs within, all in one budget; nothing is read for a job without any. */
export const childrenOf = (store: Store, record: JobRecord, maxBytes = CHILD_RESULTS_MAX): Promise<Children> => expand(store, record, maxBytes, { expanded: 0 });

async function expand(store: Store, record: JobRecord, maxBytes: number, count: { expanded: number }): Promise<Children> {
  if (record.job.children.total === 0) return NONE;
  const { results, truncated } = await store.childResults(record.job.id, maxBytes);
  let left = maxBytes - results.reduce((sum, { result }) => sum + (result?.length ?? 0) + 64, 0);
  const rendered: ChildResult[] = [];
  for (const child of results) {
    let { result } = child;
    if (isParent(child.type) && child.status === 'completed') {
      if (left <= 0 || count.expanded >= NESTED_MAX) result = cutResult(child);
      else {
        if (++count.expanded % NESTED_PER_TURN === 0) await nextTurn();
        const nested = await store.job(child.id);
        if (nested !== null) result = renderResult(nested, await expand(store, nested, left, count));
      }
    }
    left -= (result?.length ?? 0) - (child.result?.length ?? 0);
    rendered.push(result === child.result ? child : { ...child, result });
  }
  return { results: rendered, truncated };
}

/** What a parent came to, as far as it can be said without reading its children. */
function cutResult({ type, result }: ChildResult): string {
  if (type === 'batch') return `{"children":[]${result === null ? '' : `,"answer":${result}`},"truncated":true}`;
  return result ?? '{"participants":[],"truncated":true}';
}

/** JSON text of `{id, ordinal, state, result | error}`. */
function childText({ id, ordinal, status, result, error }: ChildResult): string {
  const state = stateOf(status);
  const end = state === 'COMPLETE' ? `,"result":${result ?? 'null'}` : state === 'FAIL' ? `,"error":${JSON.stringify(error)}` : '';
  return `{"id":"${id}","ordinal":${ordinal},"state":"${state}"${end}}`;
}

const listText = (children: Children): string => `[${children.results.map(childText).join(',')}]`;
const cutText = (children: Children): string => (children.truncated ? ',"truncated":true' : '');

/** JSON text of a job's `result`; null until it has ended. Batches and verifications answer with their children. */
export function renderResult(record: JobRecord, children: Children): string {
  const { job, result } = record;
  if (!isFinal(job.status)) return 'null';
  if (job.type === 'batch') {
    const answer = result === null ? '' : `,"answer":${result}`; // of its own final call
    return `{"children":${listText(children)}${answer}${cutText(children)}}`;
  }
  if (job.type === 'verify' && result === null) return `{"participants":[${participants(record, children).join(',')}]${cutText(children)}}`;
  return result ?? 'null';
}

function participants(record: JobRecord, children: Children): string[] {
  const asked = (JSON.parse(record.input) as { participants?: readonly { id?: unknown }[] }).participants ?? [];
  return children.results.map((child) => {
    const id = asked[child.ordinal]?.id ?? child.id;
    const state = stateOf(child.status);
    const error = state === 'FAIL' ? `,"error":${JSON.stringify(child.error)}` : '';
    return `{"id":${JSON.stringify(id)},"state":"${state}","data":${child.result ?? 'null'}${error}}`;
  });
}

/** JSON text of the callback's body; the final event carries the same. */
export function finalText(record: JobRecord, children: Children): string {
  const { job } = record;
  return `{"jobId":"${job.id}","type":${JSON.stringify(job.type)},"state":"${stateOf(job.status)}","status":"${job.status}"`
    + `,"input":${record.input},"result":${renderResult(record, children)},"error":${JSON.stringify(isFinal(job.status) ? job.error : null)}`
    + `,"children":${listText(children)},"endedAt":${job.endedAt === null ? 'null' : `"${iso(job.endedAt)}"`}${cutText(children)}}`;
}

/** What job `id` came to so far, for the calls that report it. */
export async function finalBody(store: Store, id: string): Promise<FinalBody | null> {
  const record = await store.job(id);
  return record === null ? null : (readJson(finalText(record, await childrenOf(store, record))) as FinalBody);
}

/**
 * An event as every reader gets it: JSON text of `{type, jobId, timestamp, data}`. Streams and /events call this,
 * so both give the same bytes. Only the event that ended a job costs a read; all others answer at once.
 */
export function wireEvent(store: Store, event: StoredEvent): string | Promise<string> {
  if (event.type === 'job:complete' || event.type === 'job:error') return finalEvent(store, event);
  return envelope(event, event.type === 'job:status' ? isoDue(event.data) : event.bytes === undefined ? event.data : printedText(event));
}

async function finalEvent(store: Store, event: StoredEvent): Promise<string> {
  const record = await store.job(event.jobId);
  // A job that was retried has ended more than once: only its last end is expanded.
  if (record === null || record.finalSeq !== event.seq) return envelope(event, event.data);
  return envelope(event, finalText(record, await childrenOf(store, record)));
}

/** What a container printed, as text: `{stream, offset, lines, …}`. Bytes that are gone since leave an event without lines. */
function printedText(event: StoredEvent): string {
  const { stream, offset, lines, continues, open } = partOf(event);
  return JSON.stringify({
    stream, offset, lines, ...(continues ? { continues } : {}), ...(open ? { open } : {}), ...(event.bytes === null ? { dropped: true } : {}),
  });
}

const envelope = (event: StoredEvent, data: string | null): string =>
  `{"type":"${event.type}","jobId":"${event.jobId}","timestamp":"${iso(event.at)}","data":${data === null ? '{}' : oneLine(data)}}`;

/**
 * Readers written in Python (requests, httpx) end a line of a stream at these too, and would take what follows for a field
 * of its own. They can stand inside of JSON strings only, where their escapes mean the same.
 */
const LINE_ENDS = /[\u0085\u2028\u2029]/g;
const oneLine = (json: string): string => json.replace(LINE_ENDS, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** The log keeps epoch ms, the wire has ISO. Anchored on how the domain writes it, so nothing a client sent is touched. */
const DUE = /^(\{"status":"\w+","state":"\w+","attempt":\d+,"dueAt":)(\d+)/;
function isoDue(data: string | null): string | null {
  return data === null ? null : data.replace(DUE, (_all, head: string, at: string) => `${head}"${iso(Number(at))}"`);
}

/** Beyond what a Date holds, the last instant it does: a due time may be that far only by arithmetic. */
export const iso = (at: number): string => new Date(Math.min(at, 8.64e15)).toISOString();
