// The stream words of this dialect: a message for each line, a status when it changes, and a last one with the result.
import { readJson } from '../../domain/read-json.ts';
import { isFinal, type JobStatus } from '../../domain/job.ts';
import type { Store, StoredEvent } from '../../store/store.ts';
import { sseEncoder } from '../sse.ts';
import type { StreamDialect } from '../stream.ts';
import { completeText, STATUS_OF } from './wire.ts';

/** What a job has printed, line by line: whole lines only, each with the event in which it ends. */
export interface LineSource {
  /** Of an event of output. The same event has the same number of lines whenever it is asked. */
  linesOf(event: StoredEvent): Promise<readonly string[]> | readonly string[];
  /** Lines that were begun before the cursor and never ended. */
  unended(jobId: string, before: number): Promise<readonly string[]>;
}

/** Python's readers end a line of a stream at these too. In JSON they can stand inside strings only. */
const escaped = (json: string): string => json.replace(/[\u0085\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);

const log = (content: string): string => escaped(JSON.stringify({ type: 'log', content }));

export function operationStream(store: Pick<Store, 'job'>, source: LineSource): StreamDialect {
  const statusText = (event: StoredEvent): string | null => {
    if (event.jobId !== event.rootId || event.data === null) return null; // an operation is one job; of those below it only the output is shown
    const { status } = readJson(event.data) as { status: JobStatus };
    return JSON.stringify({ type: 'status', status: STATUS_OF[status] });
  };
  const ended = async (event: StoredEvent): Promise<readonly string[] | string | null> => {
    const record = event.jobId === event.rootId ? await store.job(event.jobId) : null;
    if (record === null || !isFinal(record.job.status) || record.finalSeq !== event.seq) return statusText(event); // it was retried since: not its end after all
    return [...(await source.unended(event.jobId, event.seq)).map(log), escaped(completeText(record))];
  };
  return {
    hello: null,
    encode: sseEncoder((event) => {
      if (event.type === 'job:log' || event.type === 'job:gap') {
        const lines = source.linesOf(event);
        return lines instanceof Promise ? lines.then((list) => list.map(log)) : lines.map(log);
      }
      if (event.type === 'job:complete' || event.type === 'job:error') return ended(event);
      return event.type === 'job:status' ? statusText(event) : null;
    }),
  };
}
