-- Grants: who may run which operation. Kept when revoked, for the operations that ran under them.
--
-- Why the name: GRANT is a reserved word of SQL.
-- Why the template is JSON: it is the input of a job, checked when it is granted, and never looked into here.
-- Addresses are lower case, so that they can be compared as text.

CREATE TABLE access_grant (
  id         INTEGER PRIMARY KEY CHECK (id > 0),      -- the permission id
  grantor    TEXT    NOT NULL CHECK (length(grantor) = 42 AND grantor = lower(grantor)),
  grantee    TEXT    NOT NULL CHECK (length(grantee) = 42 AND grantee = lower(grantee)),
  operation  TEXT    NOT NULL,
  parameters TEXT    NOT NULL,                        -- JSON object
  template   TEXT    NOT NULL,                        -- JSON object
  expires_at INTEGER,
  created_at INTEGER NOT NULL,
  revoked_at INTEGER,
  sum        INTEGER NOT NULL                         -- CRC-32 of parameters and template
) STRICT;

CREATE INDEX grant_of_grantee ON access_grant(grantee, id);
