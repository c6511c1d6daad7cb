// What the writer's answers look like on their way between the threads. A structured clone writes the name and the value of
// every field, and nearly all of a job's are what every new job has: those are left out and put back on the other side.
import { type Answer, type Claim, emptyAnswer } from '../../domain/commands.ts';
import { EMPTY_SPEC, type Job, NO_CHILDREN } from '../../domain/job.ts';

const PLAIN_JOB: Omit<Job, 'id' | 'type' | 'rootId' | 'createdAt'> = {
  parentId: null, ordinal: null, depth: 0, spec: EMPTY_SPEC, status: 'queued', gate: 'open', priority: 5, dueAt: null, startedAt: null,
  endedAt: null, expiresAt: null, deadlineAt: null, attempt: 0, failures: 0, interruptions: 0, crashes: 0, attemptStartedAt: null,
  claimedAt: null, leaseUntil: null, leaseEpoch: 0, worker: null, children: NO_CHILDREN, progress: null, logBytes: 0, error: null, ending: null,
};
const PLAIN_CLAIM: Omit<Claim, 'id' | 'type' | 'input' | 'rootId' | 'createdAt' | 'claimedAt'> = {
  epoch: 1, attempt: 1, failures: 0, parentId: null, spec: EMPTY_SPEC, children: NO_CHILDREN, priority: 5,
  secret: null, kept: null, ending: null,
};
const NOTHING = emptyAnswer();

type Packed<T, Plain> = Omit<T, keyof Plain | 'rootId'> & Partial<T>;
export interface PackedAnswer extends Partial<Omit<Answer, 'jobs' | 'claimed'>> {
  jobs?: Packed<Job, typeof PLAIN_JOB>[];
  claimed?: Packed<Claim, typeof PLAIN_CLAIM>[];
}

/** Without the fields that are plain; `rootId` only where it is not the job's own id. */
function pack<T extends { readonly id: string; readonly rootId: string }, P extends object>(whole: T, plain: P): Packed<T, P> {
  const packed: Record<string, unknown> = {};
  const known = plain as Record<string, unknown>;
  for (const name in whole) {
    const value = whole[name];
    if (value !== known[name] && !(name === 'rootId' && value === whole.id)) packed[name] = value;
  }
  return packed as Packed<T, P>;
}

export function packAnswer(answer: Answer): PackedAnswer {
  const packed: PackedAnswer = {};
  if (answer.jobs.length > 0) packed.jobs = answer.jobs.map((job) => pack(job, PLAIN_JOB));
  if (answer.claimed.length > 0) packed.claimed = answer.claimed.map((claim) => pack(claim, PLAIN_CLAIM));
  if (answer.replayed !== null) packed.replayed = answer.replayed;
  if (answer.refused.length > 0) packed.refused = answer.refused;
  if (answer.revoked.length > 0) packed.revoked = answer.revoked;
  if (answer.stopping.length > 0) packed.stopping = answer.stopping;
  if (answer.seen !== NOTHING.seen) packed.seen = answer.seen;
  if (answer.schedule !== null) packed.schedule = answer.schedule;
  if (answer.runs.length > 0) packed.runs = answer.runs;
  if (answer.late !== NOTHING.late) packed.late = answer.late;
  return packed;
}

export const unpackAnswer = ({ jobs = [], claimed = [], ...rest }: PackedAnswer): Answer => ({
  ...emptyAnswer(), ...rest,
  jobs: jobs.map((job) => ({ ...PLAIN_JOB, rootId: job.id, ...job })),
  claimed: claimed.map((claim) => ({ ...PLAIN_CLAIM, rootId: claim.id, ...claim })),
});
