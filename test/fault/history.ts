// One job's events held against what a job may do: I3 (a legal path, ending where the row stands), I4 (one end per life,
// nothing after it), I8 (attempts and failures as the events tell them), I9 (leases as the events tell them).
// Written from the contract, not from src/: a mistake in the rules must not repeat itself here.

export interface EventRow {
  readonly seq: number;
  readonly type: string;
  readonly at: number;
  readonly data: string | null;
}

/** A row of the job table, as stored. */
export interface JobRow {
  readonly key: number;
  readonly id: string;
  readonly type: string;
  readonly parent_key: number | null;
  readonly root_key: number;
  readonly spec: string | null;
  readonly status: string;
  readonly gate: string;
  readonly ready: number;
  readonly alarm_at: number | null;
  readonly depth: number;
  readonly due_at: number | null;
  readonly ended_at: number | null;
  readonly deadline_at: number | null;
  readonly attempt: number;
  readonly failures: number;
  readonly interruptions: number;
  readonly attempt_started_at: number | null;
  readonly claimed_at: number | null;
  readonly lease_until: number | null;
  readonly worker: string | null;
  readonly lease_epoch: number;
  readonly child_total: number;
  readonly child_open: number;
  readonly child_waiting: number;
  readonly child_completed: number;
  readonly child_failed: number;
  readonly child_cancelled: number;
  readonly error: string | null;
  readonly ending: string | null;
  readonly final_seq: number | null;
}

interface Told {
  readonly status: string;
  readonly state: string;
  readonly attempt: number;
  readonly dueAt?: number;
  readonly reason?: string;
  readonly message?: string;
  readonly error?: { readonly code: string; readonly message: string };
}

const FINAL = ['completed', 'failed', 'cancelled'];
export const isFinal = (status: string): boolean => FINAL.includes(status);

/** What may follow what. A final status is left by a retry only. `running → running` is an edit, or a resumed batch's rules. */
const NEXT: Readonly<Record<string, readonly string[]>> = {
  '': ['queued'],
  queued: ['queued', 'running', 'paused', ...FINAL],
  running: ['running', 'queued', 'retry', 'paused', ...FINAL],
  retry: ['retry', 'running', 'queued', 'paused', ...FINAL],
  paused: ['paused', 'queued', 'running', ...FINAL],
};
const STATE: Readonly<Record<string, string>> = { completed: 'COMPLETE', failed: 'FAIL', cancelled: 'FAIL' };
/** Ends that are no failed attempt. */
const NO_ATTEMPT = ['ttl_expired', 'deadline_exceeded', 'child_failed', 'interrupted_too_often', 'cancelled'];
/** The stop was asked for: counted nowhere. */
const STOPPED = 'The server stopped while this ran.';

/** @returns what is wrong, each beginning with its invariant */
export function checkHistory(job: JobRow, events: readonly EventRow[], attemptRows: number): string[] {
  const wrong: string[] = [];
  const say = (rule: string, what: string): void => { wrong.push(`${rule}: job ${job.id} (${job.type}, ${job.status}): ${what}`); };
  let status = '';
  let attempt = 0;
  let failures = 0;
  let interruptions = 0;
  let leases = 0;
  let due = true;
  let lastFinal: EventRow | null = null;
  for (const event of events) {
    if (event.type !== 'job:status' && event.type !== 'job:complete' && event.type !== 'job:error') {
      if (status !== 'running') say('I3', `${event.type} at ${event.seq} while ${status}`);
      continue;
    }
    const told = JSON.parse(event.data ?? '{}') as Told;
    const ends = event.type !== 'job:status';
    const isEdit = told.reason === 'edit';
    if (told.state !== (STATE[told.status] ?? 'PENDING')) say('I3', `event ${event.seq} calls ${told.status} ${told.state}`);
    if (ends !== (isFinal(told.status) && !isEdit)) say('I4', `event ${event.seq} is a ${event.type} of status ${told.status}`);
    if (ends && (event.type === 'job:complete') !== (told.status === 'completed')) say('I4', `event ${event.seq} is a ${event.type} of status ${told.status}`);
    if (isEdit && told.status !== status) say('I3', `edit at ${event.seq} moved it from ${status} to ${told.status}`);
    else if (isFinal(status) && !isEdit && !(told.reason === 'retry' && told.status === 'queued')) say('I4', `${told.status} at ${event.seq} after its end ${status}`);
    else if (!isFinal(status) && !(NEXT[status] ?? []).includes(told.status)) say('I3', `${status} → ${told.status} at ${event.seq}`);
    if (told.reason === 'retry') {
      failures = 0;
      interruptions = 0;
      if (!isFinal(status)) say('I4', `a retry at ${event.seq} of a job that was ${status}`);
    }
    const opens = told.status === 'running' && told.reason === undefined && !ends;
    if (opens) {
      if (!due) say('I3', `it was held, and runs at ${event.seq} without a start`);
      if (job.type === 'noop' || job.type === 'request') leases += 1;
    }
    if (told.status === 'queued') due = told.dueAt !== undefined || told.reason === 'retry'; // without one it is held
    if (told.attempt < attempt || told.attempt > attempt + (opens ? 1 : 0)) say('I8', `attempt goes from ${attempt} to ${told.attempt} at ${event.seq} (${told.status})`);
    attempt = told.attempt;
    if (told.status === 'retry' && told.reason === undefined) failures += 1;
    if (told.status === 'failed' && ends && !NO_ATTEMPT.includes(told.error?.code ?? '')) failures += 1;
    if ((told.reason === 'interrupted' && told.message !== STOPPED) || (ends && told.error?.code === 'interrupted_too_often')) interruptions += 1;
    if (ends) lastFinal = event;
    status = told.status;
  }
  if (status !== job.status) say('I3', `its last event says ${status === '' ? 'nothing' : status}`);
  if (attempt !== job.attempt) say('I8', `its events tell of ${attempt} attempts, the row of ${job.attempt}`);
  if (failures !== job.failures) say('I8', `its events tell of ${failures} failures, the row of ${job.failures}: a kill must burn no retry`);
  if (interruptions !== job.interruptions) say('I8', `its events tell of ${interruptions} interruptions, the row of ${job.interruptions}`);
  // The attempt that ended the job is read off the job, but for the last of many: its own error stands on record too.
  const isExhausted = job.status === 'failed' && job.error !== null && (JSON.parse(job.error) as { code: string }).code === 'attempts_exhausted';
  const closed = job.attempt - (job.attempt_started_at === null || isExhausted ? 0 : 1);
  if (attemptRows !== closed) say('I8', `${attemptRows} ended attempts are on record, ${closed} ended`);
  if ((job.type === 'noop' || job.type === 'request') && leases !== job.lease_epoch) say('I9', `${leases} leases were given, the epoch is ${job.lease_epoch}`);
  if (isFinal(job.status)) {
    if (lastFinal === null || job.final_seq !== lastFinal.seq) say('I4', `its final event is ${lastFinal?.seq ?? 'missing'}, the row names ${job.final_seq}`);
    else if (lastFinal.at !== job.ended_at) say('I4', `its final event is of ${lastFinal.at}, the row ended at ${job.ended_at}`);
  } else if (job.final_seq !== null) say('I4', `it is not final and names final event ${job.final_seq}`);
  return wrong;
}
