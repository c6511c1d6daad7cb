// What was asked and what was answered, kept outside of the server: the intent is written before the request leaves, the
// answer after it came. An acknowledged change must be there afterwards; one without an answer may be, but never twice.
import { appendFileSync } from 'node:fs';

export type Verb = 'start' | 'pause' | 'resume' | 'retry' | 'cancel' | 'edit' | 'delete';

export interface Submission {
  /** Tag of every job that came with it. */
  readonly token: string;
  /** Jobs in it, all levels: all of them are stored, or none. */
  readonly size: number;
  /** Idempotency-Key; one that got no answer is sent again until it gets one. */
  readonly key: string | null;
  readonly call: { readonly path: string; readonly body: unknown };
  /** Times it was sent. Without a key, once. */
  tries: number;
  /** Root ids as acknowledged; null = no acknowledgement (yet). */
  ids: readonly string[] | null;
  /** Refused for good (4xx): it must not be there. */
  refused: boolean;
}

export interface Deed {
  readonly verb: Verb;
  readonly jobId: string;
  /** For cancel: the reason given, which stands in the job's error. For delete: every job of the tree. */
  readonly mark: string;
  readonly members?: readonly string[];
  /** null = no answer. */
  status: number | null;
}

export class Ledger {
  readonly submissions = new Map<string, Submission>();
  readonly deeds: Deed[] = [];
  /** Ids by which the server told the outside of a job, in any answer. */
  readonly acked = new Set<string>();
  readonly #path: string;
  #count = 0;

  constructor(path: string) {
    this.#path = path;
  }

  nextToken(): string { return `t${(this.#count += 1)}`; }

  submit(submission: Submission): void {
    submission.tries += 1;
    this.submissions.set(submission.token, submission);
    this.#write({ intent: 'submit', token: submission.token, key: submission.key, size: submission.size, path: submission.call.path, tries: submission.tries });
  }

  submitted(submission: Submission, ids: readonly string[]): void {
    submission.ids = ids;
    for (const id of ids) this.acked.add(id);
    this.#write({ answer: 'submit', token: submission.token, ids });
  }

  refused(submission: Submission, status: number): void {
    submission.refused = true;
    this.#write({ answer: 'refused', token: submission.token, status });
  }

  deed(verb: Verb, jobId: string, more: { mark?: string; members?: readonly string[] } = {}): Deed {
    const deed: Deed = { verb, jobId, mark: more.mark ?? '', ...(more.members === undefined ? {} : { members: more.members }), status: null };
    this.deeds.push(deed);
    this.#write({ intent: verb, jobId, mark: deed.mark });
    return deed;
  }

  done(deed: Deed, status: number): void {
    deed.status = status;
    this.#write({ answer: deed.verb, jobId: deed.jobId, mark: deed.mark, status });
  }

  note(text: string): void { this.#write({ note: text }); }

  get acks(): number {
    let count = this.deeds.filter((deed) => deed.status !== null && deed.status < 300).length;
    for (const { ids, size } of this.submissions.values()) if (ids !== null) count += size;
    return count;
  }

  #write(line: object): void { appendFileSync(this.#path, `${JSON.stringify({ at: Date.now(), ...line })}\n`); }
}
