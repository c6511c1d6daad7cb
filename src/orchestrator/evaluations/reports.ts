// Reports as they are read: what a run left, with the newest verdict on it. The two stand apart, so that judging again
// changes no report and loses no verdict.
import type { Improvement, Verdict } from '../../domain/evaluation/model.ts';
import { readJson } from '../../domain/read-json.ts';
import type { DocumentFilter, Store, StoredDocument } from '../../store/store.ts';
import { iso } from '../final.ts';

/** Verdicts read with a report: it was judged again so often that nobody reads them all. */
const VERDICTS_MAX = 100;

export interface ReportView extends Readonly<Record<string, unknown>> {
  readonly id: string;
  readonly createdAt: string;
  readonly testCaseId: string;
  readonly testCaseName: string;
  readonly status: 'completed' | 'failed';
  readonly passFailStatus: 'passed' | 'failed' | null;
  /** pending: it has not been judged. */
  readonly metricsStatus: 'ready' | 'pending';
  readonly metrics: { readonly accuracy: number };
  readonly llmJudgeReasoning: string;
  readonly improvementStrategies: readonly Improvement[];
  readonly judge: Verdict['judge'] | null;
  readonly iteration: number;
  readonly limit: string | null;
}

type Failed = { readonly error: string; readonly judge: { readonly kind: string; readonly modelId: string } };
type Stored = { readonly status: 'completed' | 'failed'; readonly error: { readonly message: string } | null; readonly testCaseId: string; readonly testCaseName: string; readonly iteration: number; readonly limit: string | null; readonly verdict?: Verdict };
type Given = (Verdict | Failed) & { readonly at: string };

const isVerdict = (given: Given | undefined): given is Verdict & { readonly at: string } => given !== undefined && !('error' in given);

/** In the words of the contract (4.8). */
export function viewReport(document: StoredDocument, given: readonly Given[]): ReportView {
  const { verdict: imported, ...body } = readJson(document.body) as Stored;
  const last = given.findLast(isVerdict) ?? imported;
  const judgeError = last === undefined ? given.findLast((one) => 'error' in one) : undefined;
  const failure = body.error?.message ?? (judgeError === undefined ? null : (judgeError as Failed).error);
  const pending = last === undefined && failure === null;
  return {
    ...body, id: document.id, createdAt: iso(document.createdAt), updatedAt: iso(document.updatedAt), jobRootId: document.owner,
    status: failure === null ? 'completed' : 'failed', passFailStatus: last?.passFailStatus ?? (pending ? null : 'failed'), metricsStatus: pending ? 'pending' : 'ready',
    metrics: last?.metrics ?? { accuracy: 0 }, llmJudgeReasoning: last?.llmJudgeReasoning ?? (failure === null ? '' : `Evaluation failed: ${failure}`),
    improvementStrategies: last?.improvementStrategies ?? [], judge: last?.judge ?? null, judgeUsage: last?.usage ?? null, judgements: given.length, annotations: [], logs: [],
  };
}

export class Reports {
  readonly #store: Store;
  constructor(store: Store) { this.#store = store; }

  async verdicts(id: string): Promise<Given[]> {
    const { items } = await this.#store.documents('verdict', { owner: id }, null, VERDICTS_MAX);
    return items.map(({ body, createdAt }) => ({ ...(readJson(body) as Verdict | Failed), at: iso(createdAt) }));
  }

  /** Without trajectory and raw events. */
  async view(document: StoredDocument): Promise<ReportView> {
    return viewReport(document, await this.verdicts(document.id));
  }

  /** JSON text, with the trajectory, all verdicts and, if asked for, the raw events. */
  async whole(document: StoredDocument, withRaw: boolean): Promise<string> {
    const given = await this.verdicts(document.id);
    const [trajectory, raw] = await Promise.all([this.#store.documentPart('report', document.id, 'trajectory'), withRaw ? this.#store.documentPart('report', document.id, 'rawEvents') : null]);
    const head = JSON.stringify({ ...viewReport(document, given), verdicts: given });
    return `${head.slice(0, -1)},"trajectory":${trajectory ?? '[]'}${withRaw ? `,"rawEvents":${raw ?? '[]'}` : ''}}`;
  }

  async page(filter: DocumentFilter, after: number | null, limit: number): Promise<{ readonly documents: readonly StoredDocument[]; readonly next: number | null }> {
    const { items, next } = await this.#store.documents('report', filter, after, limit);
    return { documents: items, next };
  }
}
