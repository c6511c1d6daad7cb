-- What work outside of this process leaves: the bytes it printed, how far they were read, and what it must not be asked for.
--
-- Why output stands beside its events and not in them: raw bytes are no JSON text; and beyond the cap the oldest of the tail
--   lose their bytes while their events stay, so that the log has no gap and no cursor is ever moved.
-- Why `kept` has a row per attempt: the newest is where the next claim goes on, all of them say what each attempt came to.
-- Why secrets are apart: nothing that is read, listed, streamed or exported ever touches this table; only the claim does.

CREATE TABLE output (
  seq     INTEGER PRIMARY KEY,      -- of its job:log event
  job_key INTEGER NOT NULL,
  bytes   BLOB    NOT NULL,
  sum     INTEGER NOT NULL
) STRICT;
CREATE INDEX output_of_job ON output(job_key, seq);

CREATE TABLE kept (
  job_key       INTEGER NOT NULL,
  attempt       INTEGER NOT NULL CHECK (attempt >= 1),
  bytes         INTEGER NOT NULL CHECK (bytes >= dropped_bytes),      -- of the whole job, dropped ones too
  lines         INTEGER NOT NULL CHECK (lines >= dropped_lines),
  dropped_bytes INTEGER NOT NULL CHECK (dropped_bytes >= 0),
  dropped_lines INTEGER NOT NULL CHECK (dropped_lines >= 0),
  mark          TEXT    NOT NULL,   -- JSON, the handler's own
  facts         TEXT,               -- JSON, shown with the attempt
  PRIMARY KEY (job_key, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE secret (
  job_key INTEGER PRIMARY KEY,
  body    TEXT NOT NULL,
  sum     INTEGER NOT NULL
) STRICT;

-- Names what belongs to this file elsewhere: containers carry it as a label.
INSERT INTO meta (name, value) VALUES ('instance', lower(hex(randomblob(16))));
