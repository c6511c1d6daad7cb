// Documents: what users keep beside jobs (test cases, experiments, agents under test, judge models) and what evaluations
// leave (reports, verdicts). One shape for all: their bodies are JSON whose schemas belong to the borders, and the rules
// here are only those of keeping: what exists, which version is the newest, what is never shown.
import type { Draft } from './draft.ts';
import { DomainError } from './errors.ts';

export const DOCUMENT_KINDS = ['test_case', 'experiment', 'agent', 'model', 'report', 'verdict'] as const;
export type DocumentKind = (typeof DOCUMENT_KINDS)[number];

export interface DocumentRef {
  readonly kind: DocumentKind;
  readonly id: string;
}

/** Large texts that lists and summaries do not read. */
export type DocumentParts = Readonly<Record<string, string>>;

export interface NewDocument extends DocumentRef {
  /** Whose it is: a report's root job, a verdict's report. */
  readonly owner?: string | null;
  /** What it is about: a report's test case. */
  readonly subject?: string | null;
  readonly name: string;
  /** JSON text. */
  readonly body: string;
  readonly parts?: DocumentParts;
}

/** create: must not exist; update: must exist; keep: either, and what was there is replaced. */
export type DocumentMode = 'create' | 'update' | 'keep';

export interface DocumentWrite {
  readonly document: NewDocument;
  readonly mode: DocumentMode;
  /** The newest version the writer knows of; another one refuses it. */
  readonly expected?: number | undefined;
  /** Kept apart and read only by what runs: JSON text; null takes away what there was; absent leaves it. */
  readonly secret?: string | null | undefined;
}

export interface DocumentCommand {
  readonly kind: 'documents';
  readonly write?: readonly DocumentWrite[] | undefined;
  readonly remove?: readonly DocumentRef[] | undefined;
  /** Secrets of what is no document: the headers of one run. */
  readonly secrets?: readonly { readonly of: DocumentRef; readonly secret: string | null }[] | undefined;
}

export type DocumentChange =
  | { readonly kind: 'document'; readonly document: NewDocument; readonly version: number; readonly createdAt: number; readonly at: number; readonly history: boolean }
  | { readonly kind: 'secret'; readonly of: DocumentRef; readonly secret: string | null }
  | { readonly kind: 'forget'; readonly of: DocumentRef };

/** What is known of a document before a decision. */
export interface KnownDocument {
  readonly version: number;
  readonly createdAt: number;
}

/** Results refer to the version of a case they were made with, so all its versions are kept; of the others the newest. */
const KEEPS_HISTORY: ReadonlySet<DocumentKind> = new Set(['test_case']);

export const refKey = ({ kind, id }: DocumentRef): string => `${kind} ${id}`;
const NAMES: Readonly<Record<DocumentKind, string>> = { test_case: 'test case', experiment: 'experiment', agent: 'agent', model: 'model', report: 'report', verdict: 'verdict' };

export function decideDocuments(d: Draft, command: DocumentCommand): void {
  const written = new Set<string>();
  for (const { document, mode, expected, secret } of command.write ?? []) {
    const known = d.snapshot.document?.(document);
    const name = NAMES[document.kind];
    if (written.has(refKey(document))) throw new DomainError('invalid', `The ${name} ${document.id} stands in the request twice.`, { hint: 'Send each id once.' });
    written.add(refKey(document));
    if (mode === 'create' && known !== undefined) throw new DomainError('conflict', `There is a ${name} ${document.id} already.`, { hint: 'PUT makes a new version of it; POST with another id makes another one.' });
    if (mode === 'update' && known === undefined) throw new DomainError('not_found', `There is no ${name} ${document.id}.`, { hint: 'POST creates it.' });
    if (expected !== undefined && known?.version !== expected) {
      throw new DomainError('conflict', `The ${name} ${document.id} is at version ${known?.version ?? 0}, not ${expected}.`, { hint: 'Read it again, then change what you read.', version: known?.version ?? 0 });
    }
    d.beside(changeOf(d, document, known, true));
    if (secret !== undefined) d.beside({ kind: 'secret', of: { kind: document.kind, id: document.id }, secret });
  }
  for (const { of, secret } of command.secrets ?? []) d.beside({ kind: 'secret', of, secret });
  for (const ref of command.remove ?? []) {
    if (d.snapshot.document?.(ref) === undefined) throw new DomainError('not_found', `There is no ${NAMES[ref.kind]} ${ref.id}.`, { hint: 'It may have been deleted already.' });
    d.beside({ kind: 'forget', of: ref });
  }
}

/** What a run leaves stands with its end: in the same commit, or not at all. Written again, it replaces what was there. */
export function keepDocuments(d: Draft, documents: readonly NewDocument[] | undefined): void {
  for (const document of documents ?? []) d.beside(changeOf(d, document, undefined, false));
}

function changeOf(d: Draft, document: NewDocument, known: KnownDocument | undefined, counted: boolean): DocumentChange {
  const { now } = d.env;
  return {
    kind: 'document', document, version: counted ? (known?.version ?? 0) + 1 : 1, createdAt: known?.createdAt ?? now, at: now,
    history: counted && KEEPS_HISTORY.has(document.kind),
  };
}
