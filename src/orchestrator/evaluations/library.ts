// What evaluations are made of: test cases, experiments, agents under test, judge models. Kept, listed, changed, removed.
// Keys and headers go in and never come out: what is shown of them is their names.
import { DomainError } from '../../domain/errors.ts';
import type { DocumentKind, DocumentWrite } from '../../domain/document.ts';
import { type AgentSettings, DEMO_AGENT, DEMO_ENDPOINT, type JudgeSettings, RULES_MODEL, type TestCase } from '../../domain/evaluation/model.ts';
import type { DocumentPage, Store, StoredDocument } from '../../store/store.ts';
import type { Jobs } from '../jobs.ts';

export type LibraryKind = Extract<DocumentKind, 'test_case' | 'experiment' | 'agent' | 'model'>;

export interface Entry {
  /** Absent: one is made up. */
  readonly id?: string | undefined;
  readonly name: string;
  readonly body: Readonly<Record<string, unknown>>;
  /** undefined: as it was; null: none. */
  readonly secret?: Readonly<Record<string, unknown>> | null | undefined;
}

const PREFIX: Readonly<Record<LibraryKind, string>> = { test_case: 'tc', experiment: 'exp', agent: 'agent', model: 'model' };

/** There without being stored, so that a newcomer's first run needs neither an agent nor a model. */
const BUILT_IN_AGENT = { endpoint: DEMO_ENDPOINT };
const BUILT_IN_MODEL = { kind: 'rules' } as const;

export class Library {
  readonly #store: Store;
  readonly #jobs: Jobs;
  readonly #newSuffix: () => string;

  constructor(store: Store, jobs: Jobs, newSuffix: () => string) {
    this.#store = store;
    this.#jobs = jobs;
    this.#newSuffix = newSuffix;
  }

  newId(kind: LibraryKind): string { return `${PREFIX[kind]}-${this.#newSuffix()}`; }

  /** All or none. Ids in order. */
  async save(kind: LibraryKind, entries: readonly Entry[], mode: DocumentWrite['mode'], expected?: number): Promise<string[]> {
    const write = entries.map((entry): DocumentWrite => {
      const id = entry.id ?? this.newId(kind);
      if ((kind === 'agent' && id === DEMO_AGENT) || (kind === 'model' && id === RULES_MODEL)) throw new DomainError('invalid', `${id} is built in.`, { hint: 'Choose another name.' });
      return {
        document: { kind, id, name: entry.name, body: JSON.stringify(entry.body) }, mode, expected,
        ...(entry.secret === undefined ? {} : { secret: entry.secret === null ? null : JSON.stringify(entry.secret) }),
      };
    });
    await this.#jobs.execute({ kind: 'documents', write });
    return write.map(({ document }) => document.id);
  }

  /** Returns how many versions are gone. */
  async remove(kind: LibraryKind | 'report', id: string): Promise<number> {
    const { items } = await this.#store.documents(kind, { versionsOf: id }, null, 1_000);
    await this.#jobs.execute({ kind: 'documents', remove: [{ kind, id }] });
    return items.length;
  }

  list(kind: DocumentKind, after: number | null, limit: number): Promise<DocumentPage> {
    return this.#store.documents(kind, {}, after, limit);
  }

  versions(kind: LibraryKind, id: string, after: number | null, limit: number): Promise<DocumentPage> {
    return this.#store.documents(kind, { versionsOf: id }, after, limit);
  }

  find(kind: DocumentKind, id: string): Promise<StoredDocument | null> { return this.#store.document(kind, id); }

  async get(kind: DocumentKind, id: string, version?: number): Promise<StoredDocument> {
    const found = await this.#store.document(kind, id, version);
    if (found === null) throw new DomainError('not_found', `There is no ${kind.replace('_', ' ')} ${id}${version === undefined ? '' : ` in version ${version}`}.`, { hint: `GET /api/eval/${kind.replace('_', '-')}s lists those there are.` });
    return found;
  }

  /** In order; what is missing is named. */
  async cases(ids: readonly string[]): Promise<{ readonly id: string; readonly version: number; readonly useCase: TestCase }[]> {
    const found = await Promise.all(ids.map((id) => this.#store.document('test_case', id)));
    const missing = ids.filter((_, i) => found[i] === null);
    if (missing.length > 0) throw new DomainError('not_found', `There is no test case ${missing.slice(0, 5).join(', ')}.`, { hint: 'POST /api/eval/test-cases stores one.', missing: missing.slice(0, 100) });
    return found.flatMap((one) => (one === null ? [] : [{ id: one.id, version: one.version, useCase: { ...(JSON.parse(one.body) as TestCase), name: one.name } }]));
  }

  async agent(key: string): Promise<AgentSettings> {
    if (key === DEMO_AGENT) return { key, ...BUILT_IN_AGENT };
    const { body } = await this.get('agent', key);
    const { endpoint, concurrency, timeouts } = JSON.parse(body) as AgentSettings;
    return { key, endpoint, ...(concurrency === undefined ? {} : { concurrency }), ...(timeouts === undefined ? {} : { timeouts }) };
  }

  async model(id: string): Promise<JudgeSettings> {
    if (id === RULES_MODEL) return { modelId: id, ...BUILT_IN_MODEL };
    const { body } = await this.get('model', id);
    const { kind, baseUrl, model, timeout, maxAttempts, concurrency, prices } = JSON.parse(body) as JudgeSettings;
    return { modelId: id, kind, ...defined({ baseUrl, model, timeout, maxAttempts, concurrency, prices }) };
  }
}

function defined<T extends Record<string, unknown>>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> };
}
