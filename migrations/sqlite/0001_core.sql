-- The core: jobs, their inputs, attempts, the event log.
--
-- Why one job table: batches, requests, containers and tasks differ in policy, not in shape.
-- Why `key`: children, inputs and events refer to jobs by a small integer; the public id is text and stands once.
-- Why input is apart: a parent of 10,000 children is rewritten 10,000 times, its input never.
-- Why no result column: a result is written once, in the final event; `final_seq` points at it.
-- Why `ready` and `alarm_at`: a claim must not scan the future, and a sweep must not scan the ready. Both are
--   derived by domain/job.ts on every write; nothing else reads or sets them.
-- Why `sum` (CRC-32): SQLite's integrity_check does not see a flipped bit inside a payload.
-- Why CHECK (a = 'x' OR a = 'y'), likeliest first, and not IN: an IN of more than two builds a table of its own for
--   every statement and looks each row up in it; together they cost a quarter of the drain.
-- Times are integer milliseconds since 1970 UTC. Every partial index is named for the question it answers.

CREATE TABLE job (
  key               INTEGER PRIMARY KEY,
  id                TEXT    NOT NULL UNIQUE,
  type              TEXT    NOT NULL,
  parent_key        INTEGER REFERENCES job(key),
  root_key          INTEGER NOT NULL,
  ordinal           INTEGER,
  depth             INTEGER NOT NULL CHECK (depth BETWEEN 0 AND 16),
  spec              TEXT,                        -- JSON; null = all defaults
  created_at        INTEGER NOT NULL,
  status            TEXT    NOT NULL CHECK (status = 'running' OR status = 'completed' OR status = 'queued' OR status = 'retry' OR status = 'failed' OR status = 'cancelled' OR status = 'paused' OR status = 'assigned'),
  gate              TEXT    NOT NULL CHECK (gate = 'open' OR gate = 'parent' OR gate = 'ancestor'),
  ready             INTEGER NOT NULL CHECK (ready IN (0,1)),
  alarm_at          INTEGER,
  priority          INTEGER NOT NULL CHECK (priority BETWEEN 1 AND 10),
  due_at            INTEGER,
  started_at        INTEGER,
  ended_at          INTEGER,
  expires_at        INTEGER,
  deadline_at       INTEGER,
  attempt           INTEGER NOT NULL DEFAULT 0 CHECK (attempt >= 0),
  failures          INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0),
  interruptions     INTEGER NOT NULL DEFAULT 0 CHECK (interruptions >= 0),
  crashes           INTEGER NOT NULL DEFAULT 0 CHECK (crashes >= 0),
  attempt_started_at INTEGER,
  claimed_at        INTEGER,
  lease_until       INTEGER,
  lease_epoch       INTEGER NOT NULL DEFAULT 0 CHECK (lease_epoch >= 0),
  worker            TEXT,
  child_total       INTEGER NOT NULL CHECK (child_total >= 0),
  child_open        INTEGER NOT NULL CHECK (child_open >= 0),
  child_waiting     INTEGER NOT NULL CHECK (child_waiting BETWEEN 0 AND child_open),
  child_completed   INTEGER NOT NULL DEFAULT 0 CHECK (child_completed >= 0),
  child_failed      INTEGER NOT NULL DEFAULT 0 CHECK (child_failed >= 0),
  child_cancelled   INTEGER NOT NULL DEFAULT 0 CHECK (child_cancelled >= 0),
  progress          REAL    CHECK (progress BETWEEN 0 AND 1),
  log_bytes         INTEGER NOT NULL DEFAULT 0 CHECK (log_bytes >= 0),
  error             TEXT,                        -- JSON of the error, retryable ones of a job in retry too
  ending            TEXT,                        -- JSON: how it ends once its worker has stopped it, and until when that is waited for
  final_seq         INTEGER,                     -- the event that ended it
  CHECK ((status = 'completed' OR status = 'failed' OR status = 'cancelled') = (ended_at IS NOT NULL)),
  CHECK (lease_until IS NULL OR status IN ('assigned','running')),
  CHECK ((lease_until IS NULL) = (worker IS NULL)),
  CHECK (status <> 'retry' OR due_at IS NOT NULL),
  CHECK (ready = 0 OR (status IN ('queued','retry') AND gate = 'open' AND due_at IS NOT NULL)),
  CHECK (child_total = child_open + child_completed + child_failed + child_cancelled),
  CHECK ((parent_key IS NULL) = (ordinal IS NULL))
) STRICT;

CREATE INDEX job_next_ready   ON job(type, priority DESC, key) WHERE ready = 1;
CREATE INDEX job_next_alarm   ON job(alarm_at) WHERE alarm_at IS NOT NULL;
CREATE INDEX job_children     ON job(parent_key, ordinal) WHERE parent_key IS NOT NULL;
CREATE INDEX job_next_child   ON job(parent_key, ordinal) WHERE gate = 'parent';
CREATE INDEX job_gated        ON job(root_key) WHERE gate = 'ancestor';
CREATE INDEX job_of_tree      ON job(root_key) WHERE parent_key IS NOT NULL;   -- its root is found by its own key
-- Every list by type, status or both: each (type, status) is a run of it, newest last; a list by one of them alone takes the
-- newest of every run (a handful of types, eight statuses). One index, since each is written at every change of status.
CREATE INDEX job_by_kind      ON job(type, status, key);

CREATE TABLE input (
  job_key INTEGER PRIMARY KEY REFERENCES job(key),
  body    TEXT    NOT NULL,
  sum     INTEGER NOT NULL
) STRICT;

CREATE TABLE attempt (              -- attempts that did not end the job; the last one is read off the job itself
  job_key    INTEGER NOT NULL REFERENCES job(key),
  number     INTEGER NOT NULL CHECK (number >= 1),
  outcome    TEXT    NOT NULL CHECK (outcome = 'failed' OR outcome = 'interrupted' OR outcome = 'timed_out' OR outcome = 'completed' OR outcome = 'cancelled'),
  started_at INTEGER NOT NULL,
  ended_at   INTEGER NOT NULL CHECK (ended_at >= started_at),
  error      TEXT,
  worker     TEXT,
  PRIMARY KEY (job_key, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
  seq      INTEGER PRIMARY KEY,     -- given by the one writer, gap-free within what is kept, never used twice
  job_key  INTEGER NOT NULL,        -- no foreign key: the look-up cost a fifth of the drain; the one writer adds and removes both
  root_key INTEGER NOT NULL,
  at       INTEGER NOT NULL,
  type     TEXT    NOT NULL CHECK (type = 'job:status' OR type = 'job:complete' OR type = 'job:log' OR type = 'job:progress' OR type = 'job:trajectory' OR type = 'job:error' OR type = 'job:gap'),
  data     TEXT,                    -- JSON object
  sum      INTEGER NOT NULL
) STRICT;

CREATE INDEX event_of_tree  ON event(root_key, seq);
CREATE INDEX event_of_child ON event(job_key, seq) WHERE job_key <> root_key;

CREATE TABLE job_tag (
  tag     TEXT    NOT NULL,
  job_key INTEGER NOT NULL REFERENCES job(key),
  PRIMARY KEY (tag, job_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_tag_of_job ON job_tag(job_key);

CREATE TABLE idempotency (
  scope      TEXT    NOT NULL,
  key        TEXT    NOT NULL,
  body_hash  TEXT    NOT NULL,
  job_ids    TEXT    NOT NULL,      -- JSON array
  created_at INTEGER NOT NULL,
  PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_age ON idempotency(created_at);

CREATE TABLE job_count (            -- kept in the transaction that moves a job; readers never count rows
  type   TEXT    NOT NULL,
  status TEXT    NOT NULL,
  n      INTEGER NOT NULL,
  PRIMARY KEY (type, status)
) STRICT, WITHOUT ROWID;

CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
