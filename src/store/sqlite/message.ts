// What tasks and reports look like on their way between the threads. A structured clone writes the name and the value of
// every field, and nearly all of a job's are what every new job has: what each of its kind has goes as a row of values,
// names are sent only for what is not plain, and the other side puts back the rest.
import { type Answer, type Claim, type Command, emptyAnswer, type Ended, type NewJob } from '../../domain/commands.ts';
import { EMPTY_SPEC, type Job, NO_CHILDREN } from '../../domain/job.ts';
import type { Outcome } from '../../domain/outcome.ts';
import type { Done, Refused, Report, Sent, Task } from './writer.ts';

/** How one kind of object travels: the values that always go, and the plain object that they alone make. */
interface Form<T> {
  row(whole: T): unknown[];
  plain(row: Row): T;
}
/** The values of a form's row, then the fields in which the object is not the plain one, if there are any. */
type Row = readonly unknown[];

const PLAIN_JOB = {
  parentId: null, ordinal: null, depth: 0, spec: EMPTY_SPEC, status: 'queued', gate: 'open', priority: 5, startedAt: null,
  endedAt: null, expiresAt: null, deadlineAt: null, attempt: 0, failures: 0, interruptions: 0, crashes: 0, attemptStartedAt: null,
  claimedAt: null, leaseUntil: null, leaseEpoch: 0, worker: null, children: NO_CHILDREN, progress: null, logBytes: 0, error: null, ending: null,
} satisfies Partial<Job>;
const JOB: Form<Job> = {
  row: ({ id, type, createdAt }) => [id, type, createdAt],
  plain: (row) => {
    const [id, type, createdAt] = row as [string, string, number];
    return { ...PLAIN_JOB, id, type, rootId: id, createdAt, dueAt: createdAt };
  },
};
const PLAIN_CLAIM = {
  epoch: 1, attempt: 1, failures: 0, parentId: null, spec: EMPTY_SPEC, children: NO_CHILDREN, priority: 5, secret: null, kept: null, ending: null,
} satisfies Partial<Claim>;
const CLAIM: Form<Claim> = {
  row: ({ id, type, input, createdAt, claimedAt }) => [id, type, input, createdAt, claimedAt],
  plain: (row) => {
    const [id, type, input, createdAt, claimedAt] = row as [string, string, string, number, number];
    return { ...PLAIN_CLAIM, id, type, input, rootId: id, createdAt, claimedAt };
  },
};
const NEW_JOB: Form<NewJob> = {
  row: ({ type, input }) => [type, input],
  plain: (row) => {
    const [type, input] = row as [string, string];
    return { type, input, spec: EMPTY_SPEC };
  },
};

function pack<T extends object>(whole: T, form: Form<T>): Row {
  const row = form.row(whole);
  const plain = form.plain(row);
  let other: Partial<T> | null = null;
  for (const name in whole) {
    if (whole[name] === plain[name]) continue;
    other ??= {};
    other[name] = whole[name];
  }
  if (other !== null) row.push(other);
  return row;
}

function unpack<T extends object>(row: Row, form: Form<T>): T {
  const plain = form.plain(row);
  const last = row[row.length - 1]; // values are words and numbers
  return typeof last === 'object' ? Object.assign(plain, last) : plain;
}

/** Ends as columns, which cost less than a row each; of an end that is nothing but done its result goes alone. */
interface PackedEnds { readonly ids: readonly string[]; readonly epochs: readonly number[]; readonly outcomes: readonly (Outcome | string | null)[] }

const packOutcome = (outcome: Outcome): Outcome | string | null => (outcome.kind === 'done' && outcome.documents === undefined ? outcome.result : outcome);
const unpackOutcome = (packed: Outcome | string | null): Outcome => (packed === null || typeof packed === 'string' ? { kind: 'done', result: packed } : packed);

const packEnds = (ended: readonly Ended[]): PackedEnds => ({
  ids: ended.map(({ jobId }) => jobId), epochs: ended.map(({ epoch }) => epoch), outcomes: ended.map(({ outcome }) => packOutcome(outcome)),
});
const unpackEnds = ({ ids, epochs, outcomes }: PackedEnds): Ended[] =>
  ids.map((jobId, i) => ({ jobId, epoch: epochs[i] ?? 0, outcome: unpackOutcome(outcomes[i] ?? null) }));

type Submit = Extract<Command, { kind: 'submit' }>;
/** All else of a submission. Each field is asked for by name: one that is forgotten here does not compile. */
type Rest = { readonly [K in keyof Required<Omit<Submit, 'kind' | 'jobs'>>]: Submit[K] };
const restOf = ({ parentId, idempotency, under }: Submit): Rest | null =>
  (parentId === undefined && idempotency === undefined && under === undefined ? null : { parentId, idempotency, under });

type PackedCommand = Exclude<Command, Submit | { kind: 'finish' }> | PackedEnds | readonly [jobs: readonly Row[], rest?: Rest];
type PackedSent = readonly [id: number, now: number, command: PackedCommand];

function packSent({ id, now, command }: Sent): PackedSent {
  if (command.kind === 'finish') return [id, now, packEnds(command.ended)];
  if (command.kind !== 'submit') return [id, now, command];
  const jobs = command.jobs.map((job) => pack(job, NEW_JOB));
  const rest = restOf(command);
  return [id, now, rest === null ? [jobs] : [jobs, rest]];
}

function unpackSent([id, now, packed]: PackedSent): Sent {
  if ('kind' in packed) return { id, now, command: packed };
  if ('ids' in packed) return { id, now, command: { kind: 'finish', ended: unpackEnds(packed) } };
  const [jobs, rest] = packed;
  return { id, now, command: { kind: 'submit', jobs: jobs.map((row) => unpack(row, NEW_JOB)), ...rest } };
}

type Commands = Extract<Task, { kind: 'commands' }>;
export type PackedTask = Exclude<Task, Commands> | { readonly kind: 'commands'; readonly list: readonly PackedSent[] };

export const packTask = (task: Task): PackedTask => (task.kind === 'commands' ? { kind: 'commands', list: task.list.map(packSent) } : task);
export const unpackTask = (task: PackedTask): Task => (task.kind === 'commands' ? { kind: 'commands', list: task.list.map(unpackSent) } : task);

interface PackedAnswer extends Partial<Omit<Answer, 'jobs' | 'claimed'>> {
  jobs?: readonly Row[];
  claimed?: readonly Row[];
}

function packAnswer(answer: Answer): PackedAnswer {
  const packed: PackedAnswer = {};
  if (answer.jobs.length > 0) packed.jobs = answer.jobs.map((job) => pack(job, JOB));
  if (answer.claimed.length > 0) packed.claimed = answer.claimed.map((claim) => pack(claim, CLAIM));
  if (answer.replayed !== null) packed.replayed = answer.replayed;
  if (answer.refused.length > 0) packed.refused = answer.refused;
  if (answer.revoked.length > 0) packed.revoked = answer.revoked;
  if (answer.stopping.length > 0) packed.stopping = answer.stopping;
  if (answer.grant !== null) packed.grant = answer.grant;
  if (answer.seen > 0) packed.seen = answer.seen;
  if (answer.schedule !== null) packed.schedule = answer.schedule;
  if (answer.runs.length > 0) packed.runs = answer.runs;
  if (answer.late > 0) packed.late = answer.late;
  return packed;
}

function unpackAnswer({ jobs, claimed, ...rest }: PackedAnswer): Answer {
  const answer: Answer = { ...emptyAnswer(), ...rest };
  if (jobs !== undefined) answer.jobs = jobs.map((row) => unpack(row, JOB));
  if (claimed !== undefined) answer.claimed = claimed.map((row) => unpack(row, CLAIM));
  return answer;
}

type PackedDone = readonly [id: number, answer: PackedAnswer] | Refused;
type DoneReport = Extract<Report, { kind: 'done' }>;
export type PackedReport = Exclude<Report, DoneReport> | (Omit<DoneReport, 'list'> & { readonly list: readonly PackedDone[] });

export const packReport = (report: Report): PackedReport => (report.kind !== 'done' ? report
  : { ...report, list: report.list.map((done): PackedDone => ('answer' in done ? [done.id, packAnswer(done.answer)] : done)) });
export const unpackReport = (report: PackedReport): Report => (report.kind !== 'done' ? report
  : { ...report, list: report.list.map((done): Done => ('refusal' in done ? done : { id: done[0], answer: unpackAnswer(done[1]) })) });
