-- Schedules: what they make and when, and what became of each instant.
--
-- Why next_at and due_at: the pattern names the one, jitter gives the other; due_at is null unless the schedule is active,
--   so the scheduler reads one index and never meets a schedule that is paused or completed.
-- Why the template is apart: a schedule's row is rewritten at every run, and a template may have a megabyte.
-- Why the primary key of schedule_run: a schedule makes at most one job for each instant. The domain looks first; this holds.
-- Why counters in the row: they outlive the runs they count, and nobody counts rows to show them.

CREATE TABLE schedule (
  key             INTEGER PRIMARY KEY AUTOINCREMENT,   -- never used twice: lists pass it as their cursor
  id              TEXT    NOT NULL UNIQUE,
  client          TEXT,
  spec            TEXT    NOT NULL,                    -- JSON
  type            TEXT    NOT NULL,
  jobs            INTEGER NOT NULL CHECK (jobs >= 1),
  status          TEXT    NOT NULL CHECK (status = 'active' OR status = 'paused' OR status = 'completed'),
  note            TEXT,
  revision        INTEGER NOT NULL CHECK (revision >= 1),
  next_at         INTEGER,
  due_at          INTEGER,
  aimed_at        INTEGER NOT NULL,
  last_at         INTEGER,
  fired           INTEGER NOT NULL CHECK (fired >= 0),
  skipped         INTEGER NOT NULL CHECK (skipped >= 0),
  missed          INTEGER NOT NULL CHECK (missed >= 0),
  dropped         INTEGER NOT NULL CHECK (dropped >= 0),
  completed       INTEGER NOT NULL CHECK (completed >= 0),
  failed          INTEGER NOT NULL CHECK (failed >= 0),
  cancelled       INTEGER NOT NULL CHECK (cancelled >= 0),
  open            INTEGER NOT NULL CHECK (open >= 0),
  buffered        INTEGER NOT NULL CHECK (buffered >= 0),
  failures_in_row INTEGER NOT NULL CHECK (failures_in_row >= 0),
  created_at      INTEGER NOT NULL,
  updated_at      INTEGER NOT NULL,
  CHECK (fired = open + completed + failed + cancelled),
  CHECK ((due_at IS NOT NULL) = (status = 'active' AND next_at IS NOT NULL)),
  CHECK (due_at IS NULL OR due_at >= next_at)
) STRICT;

CREATE INDEX schedule_next_due  ON schedule(due_at) WHERE due_at IS NOT NULL;
CREATE INDEX schedule_by_status ON schedule(status, key);
CREATE INDEX schedule_by_client ON schedule(client, key) WHERE client IS NOT NULL;

CREATE TABLE schedule_template (
  schedule_key INTEGER PRIMARY KEY REFERENCES schedule(key),
  body         TEXT    NOT NULL,
  sum          INTEGER NOT NULL
) STRICT;

CREATE TABLE schedule_run (
  schedule_key INTEGER NOT NULL REFERENCES schedule(key),
  nominal_at   INTEGER NOT NULL,
  kind         TEXT    NOT NULL CHECK (kind = 'cron' OR kind = 'trigger' OR kind = 'backfill'),
  status       TEXT    NOT NULL CHECK (status = 'completed' OR status = 'running' OR status = 'skipped' OR status = 'failed' OR status = 'buffered' OR status = 'cancelled' OR status = 'missed' OR status = 'dropped'),
  reason       TEXT,
  job_id       TEXT,                                   -- no foreign key: a job may be deleted, its run stays
  until_at     INTEGER,
  count        INTEGER NOT NULL CHECK (count >= 1),
  at           INTEGER NOT NULL,
  ended_at     INTEGER,
  PRIMARY KEY (schedule_key, nominal_at),
  CHECK ((job_id IS NOT NULL) = (status = 'running' OR status = 'completed' OR status = 'failed' OR status = 'cancelled')),
  CHECK ((ended_at IS NOT NULL) = (status = 'completed' OR status = 'failed' OR status = 'cancelled'))
) STRICT, WITHOUT ROWID;

CREATE INDEX schedule_run_open     ON schedule_run(schedule_key, nominal_at) WHERE status = 'running';
CREATE INDEX schedule_run_buffered ON schedule_run(schedule_key, nominal_at) WHERE status = 'buffered';

CREATE TABLE schedule_count (       -- over all schedules, the deleted ones too; kept in the transaction that counts
  name TEXT PRIMARY KEY,
  n    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
