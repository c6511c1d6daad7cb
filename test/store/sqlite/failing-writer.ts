// A writer whose second COMMIT fails as a disk does: slowly, so that more work has arrived by then, and only once.
import Database from 'better-sqlite3';

const { exec } = Database.prototype;
let commits = 0;
Database.prototype.exec = function failing(this: Database.Database, sql: string) {
  if (sql === 'COMMIT' && (commits += 1) === 2) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
    exec.call(this, 'ROLLBACK');
    throw new Database.SqliteError('disk I/O error', 'SQLITE_IOERR_FSYNC');
  }
  return exec.call(this, sql);
};

await import('../../../src/store/sqlite/writer.ts');
