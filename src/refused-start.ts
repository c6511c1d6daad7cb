// Why a start was refused, in the words and with the exit code that whoever started it gets; null: that is not known.
import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Config, ConfigError } from './config.ts';
import { AlreadyOwned } from './store/sqlite/index.ts';

/** From sysexits.h, so that a supervisor can tell a wrong setting (do not restart) from a failed disk (do). */
export const EXIT = { damaged: 65, software: 70, ownedElsewhere: 73, io: 74, config: 78 } as const;

interface Refusal {
  readonly code: number;
  readonly message: string;
}
const say = (code: number, message: string): Refusal => ({ code, message });

/** What opening writes at most: a log and its index. SQLite does not say that it was for want of room. */
const OPENING_BYTES = 256 * 1024;
function hasRoom(path: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(dirname(path));
    return bavail * bsize >= OPENING_BYTES;
  } catch {
    return true; // no folder: something else is wrong
  }
}

export function refusedStart(error: unknown, settings: Pick<Config, 'db' | 'host' | 'port'>): Refusal | null {
  if (error instanceof ConfigError) return say(EXIT.config, error.message);
  if (error instanceof AlreadyOwned) return say(EXIT.ownedElsewhere, error.message);
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (error instanceof Error && (code === 'MUSTER_DAMAGED' || code === 'MUSTER_SCHEMA')) return say(EXIT.damaged, error.message);
  if (/^SQLITE_(NOTADB|CORRUPT)/.test(code)) return say(EXIT.damaged, `${settings.db} is not a sound SQLite database (${code}). Keep it, and restore the newest backup beside it, or point MUSTER_DB at another path.`);
  if (code === 'EADDRINUSE') return say(EXIT.config, `Port ${settings.port} of ${settings.host} is taken. Stop what listens there, or set PORT to another one.`);
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') return say(EXIT.config, `${settings.host} is not an address of this machine. Set HOST to one that is, such as 127.0.0.1.`);
  if (/^(ENOSPC|EDQUOT|SQLITE_FULL|storage_full)$/.test(code) || (/^SQLITE_(CANTOPEN|IOERR)/.test(code) && !hasRoom(settings.db))) {
    return say(EXIT.io, `The disk that holds ${settings.db} is full (${code}). Free space on it, then start again; nothing that was acknowledged is lost.`);
  }
  if (/^(EIO$|SQLITE_IOERR)/.test(code)) return say(EXIT.io, `The disk that holds ${settings.db} failed (${code}). Start again once it works: the file is checked before it takes a write.`);
  if (['EISDIR', 'ENOTDIR', 'EACCES', 'EPERM', 'EROFS', 'ENOENT', 'SQLITE_CANTOPEN', 'SQLITE_READONLY'].includes(code)) {
    return say(EXIT.config, `The database ${settings.db} cannot be opened for writing (${code}). Set MUSTER_DB to a file in a folder that this user may write.`);
  }
  return null;
}
