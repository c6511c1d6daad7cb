// The wall clock was set, or the machine slept: every clock that runs moves with it, in one transaction. Durations then last
// as long as they were asked for; only what was asked for at an instant of its own (dueAt) stays at that instant.
import type Database from 'better-sqlite3';

/** Later than any instant. */
const NEVER = 9e15;
/** Waits for an instant that was given as one; a retry or a participant's delay counts from something that happened. */
const AT_AN_INSTANT = "status = 'queued' AND attempt = 0 AND spec ->> '$.dueAtInstant' = 1";
// Every open job, in a scan: it happens when a clock is set, and 100,000 of them take a third of a second.
const SHIFT_JOBS = `
  UPDATE job SET
    due_at = iif(${AT_AN_INSTANT}, due_at, due_at + @by), expires_at = expires_at + @by, deadline_at = deadline_at + @by,
    lease_until = lease_until + @by, claimed_at = claimed_at + @by,
    alarm_at = iif(${AT_AN_INSTANT},
      nullif(min(coalesce(deadline_at + @by, ${NEVER}), coalesce(expires_at + @by, ${NEVER}), iif(ready = 0 AND gate = 'open', coalesce(due_at, ${NEVER}), ${NEVER})), ${NEVER}),
      alarm_at + @by)
  WHERE ended_at IS NULL`;
/** Keys are kept for a day of real time. */
const SHIFT_KEYS = 'UPDATE idempotency SET created_at = created_at + @by';

export function shiftClocks(db: Database.Database, by: number): void {
  db.transaction(() => {
    for (const sql of [SHIFT_JOBS, SHIFT_KEYS]) db.prepare(sql).run({ by });
  }).immediate();
}
