// How a disk fails, in words that the store decides by.
import Database from 'better-sqlite3';
import { unlinkSync } from 'node:fs';

/** The file can no longer be trusted from inside this process: stop, and check it at the next start. */
export class StorageFailure extends Error {}

export const codeOf = (error: unknown): string => (error instanceof Database.SqliteError || error instanceof Error) && 'code' in error ? String(error.code) : '';
export const messageOf = (error: unknown): string => (error instanceof Error ? `${error.message}${codeOf(error) === '' ? '' : ` (${codeOf(error)})`}` : String(error));

/** How the system says that there is no room; EFBIG is a limit set on this process. */
export const NO_ROOM: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
export const isFull = (error: unknown): boolean => codeOf(error) === 'SQLITE_FULL';

/** After these, carrying on in the same process loses acknowledged work (measured): no retry, no new file. */
const FATAL = /^SQLITE_(IOERR|CORRUPT|NOTADB|READONLY|CANTOPEN|PROTOCOL|NOMEM|MISUSE)/;
export const isFatal = (error: unknown): boolean => FATAL.test(codeOf(error));

/** Whether it is there or not. Not rmSync: on a read-only disk its error has no code, so that nobody could say what is wrong (seen, Node 24). */
export function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}
