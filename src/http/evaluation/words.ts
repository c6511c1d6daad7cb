// An experiment job in the seed's words: its JSON, and its stream. A job of another type never comes here.
import type { StoredEvent, JobRecord, Store } from '../../store/store.ts';
import { type ExperimentView, viewExperiment } from '../../orchestrator/evaluations/view.ts';
import { wireEvent } from '../../orchestrator/final.ts';
import { sseEncoder } from '../sse.ts';
import type { StreamDialect } from '../stream.ts';
import type { TypeWords } from '../words.ts';
import { experimentEventSchema, experimentJobSchema } from './schemas.ts';

/**
 * The native job with the seed's fields on top: both clients find what they look for. Where both have a word, the seed's
 * form stands: `error` is its message; `failure` is the native one.
 */
export async function experimentText(store: Store, record: JobRecord, native: string): Promise<string> {
  const view: ExperimentView = await viewExperiment(store, record);
  const own = JSON.stringify({ ...view, failure: record.job.error });
  // Of two equal names a JSON reader takes the last; ours are taken out of the native text so that none has to.
  return `${native.slice(0, -1).replace(/,"error":(?:null|\{"code":"\w+","message":"(?:[^"\\]|\\.)*","retryable":(?:true|false)\})(?=,"attempt":)/, '')},${own.slice(1)}`;
}

const envelope = (event: StoredEvent, type: string, data: string): string => `{"type":"${type}","jobId":"${event.rootId}","timestamp":${event.at},"data":${data}}`;

/** Use cases of jobs whose events are being written: two of each are needed, and they come close together. */
const REMEMBERED = 10_000;

export function experimentStream(store: Store): StreamDialect {
  const cases = new Map<string, { useCaseId: string; repetition: number } | null>();
  const caseOf = async (jobId: string): Promise<{ useCaseId: string; repetition: number } | null> => {
    const known = cases.get(jobId);
    if (known !== undefined) return known;
    const record = await store.job(jobId);
    const { useCaseId, repetition } = (record === null || record.job.type !== 'evaluation' ? {} : JSON.parse(record.input)) as { useCaseId?: string; repetition?: number };
    const found = useCaseId === undefined ? null : { useCaseId, repetition: repetition ?? 0 };
    if (cases.size >= REMEMBERED) cases.delete(cases.keys().next().value ?? '');
    cases.set(jobId, found);
    return found;
  };

  const ofRoot = async (event: StoredEvent): Promise<string | null> => {
    if (event.type === 'job:complete' || event.type === 'job:error') {
      const { data } = JSON.parse(await wireEvent(store, event)) as { data: Record<string, unknown> };
      const { message } = (data['error'] ?? {}) as { message?: string };
      return envelope(event, event.type, JSON.stringify({ ...data, error: message ?? null }));
    }
    if (event.type !== 'job:status') return null;
    const { status, reason, attempt } = JSON.parse(event.data ?? '{}') as { status?: string; reason?: string; attempt?: number };
    // The last count of a run is its own affair: to the seed it is running until it is not.
    const counts = reason === 'final_call' || reason === 'interrupted' || (status === 'running' && (attempt ?? 0) > 0);
    return counts ? null : envelope(event, 'job:status', JSON.stringify({ status, ...(reason === undefined ? {} : { reason }) }));
  };

  const ofCase = async (event: StoredEvent): Promise<string | null> => {
    if (event.type === 'job:trajectory') return envelope(event, 'job:trajectory', event.data ?? '{}');
    const { status, reason, result, error } = JSON.parse(event.data ?? '{}') as { status?: string; reason?: string; result?: { reportId?: string }; error?: { message?: string } };
    const word = event.type === 'job:complete' ? 'completed' : event.type === 'job:error' ? 'failed' : event.type === 'job:status' && status === 'running' && reason === undefined ? 'running' : null;
    const one = word === null ? null : await caseOf(event.jobId);
    if (one === null) return null;
    return envelope(event, 'job:progress', JSON.stringify({ ...one, status: word, ...(result?.reportId === undefined ? {} : { reportId: result.reportId }), ...(error?.message === undefined ? {} : { error: error.message }) }));
  };

  return { encode: sseEncoder((event) => (event.jobId === event.rootId ? ofRoot(event) : ofCase(event))), hello: '{"type":"connected"}' };
}

export const experimentWords = (store: Store): TypeWords => ({ name: 'Experiment', jobSchema: experimentJobSchema, eventSchema: experimentEventSchema, job: (record, native) => experimentText(store, record, native), stream: experimentStream(store) });
