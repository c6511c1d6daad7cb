-- Documents beside jobs: test cases, experiments, agents under test, judge models, reports, verdicts.
--
-- Why one table: they differ in their bodies only, whose schemas belong to the borders. The few things that are looked for
--   have columns: whose it is (a report's root job, a verdict's report) and what it is about (a report's test case).
-- Why versions are rows: a result names the version of the case it was made with. `newest` marks the one that lists show.
-- Why parts: a report's trajectory and raw events are up to some MiB each; a list of reports reads neither.
-- Why secrets are apart: no statement that a route can reach names this table.
-- Why `sum` (CRC-32): as everywhere, SQLite's integrity_check does not see a flipped bit inside a payload.

CREATE TABLE document (
  key        INTEGER PRIMARY KEY,
  kind       TEXT    NOT NULL CHECK (kind IN ('test_case','experiment','agent','model','report','verdict')),
  id         TEXT    NOT NULL,
  version    INTEGER NOT NULL CHECK (version >= 1),
  newest     INTEGER NOT NULL CHECK (newest IN (0,1)),
  owner      TEXT,
  subject    TEXT,
  name       TEXT    NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  body       TEXT    NOT NULL,
  sum        INTEGER NOT NULL,
  UNIQUE (kind, id, version)
) STRICT;

CREATE UNIQUE INDEX document_newest ON document(kind, id) WHERE newest = 1;
CREATE INDEX document_in_order      ON document(kind, key) WHERE newest = 1;
CREATE INDEX document_of_owner      ON document(owner, kind, key) WHERE owner IS NOT NULL;
CREATE INDEX document_about         ON document(subject, kind, key) WHERE subject IS NOT NULL;

CREATE TABLE document_part (
  document_key INTEGER NOT NULL REFERENCES document(key),
  part         TEXT    NOT NULL,
  body         TEXT    NOT NULL,
  sum          INTEGER NOT NULL,
  PRIMARY KEY (document_key, part)
) STRICT, WITHOUT ROWID;

CREATE TABLE document_secret (
  kind TEXT NOT NULL,
  id   TEXT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
