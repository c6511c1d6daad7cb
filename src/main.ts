// The process: environment in, listen, stop on a signal, exit code out. Started by start.mjs, which checks Node's version.
import { readFileSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { type App, startApp } from './app.ts';
import { ConfigError, readConfig } from './config.ts';
import { systemClock } from './runtime/system-clock.ts';
import { AlreadyOwned } from './store/sqlite/index.ts';
import { createLogger } from './telemetry/logger.ts';

/** From sysexits.h, so that a supervisor can tell a wrong setting (do not restart) from a failed disk (do). */
const EXIT = { damaged: 65, software: 70, ownedElsewhere: 73, io: 74, config: 78 } as const;

function say(code: number, message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(code);
}

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

function config() {
  try {
    return readConfig(process.env);
  } catch (error) {
    if (error instanceof ConfigError) say(EXIT.config, error.message);
    throw error;
  }
}

const settings = config();
process.umask(0o077);
const log = createLogger({ level: settings.logLevel });
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };

process.on('uncaughtException', (error) => {
  log.fatal({ err: error }, 'A defect: the process stops. Nothing that was acknowledged is lost');
  process.exit(EXIT.software);
});
process.on('unhandledRejection', (error) => {
  log.fatal({ err: error }, 'A defect: the process stops. Nothing that was acknowledged is lost');
  process.exit(EXIT.software);
});

let app: App | null = null;
/** npm passes Ctrl-C on to a process that the terminal told already: within this it is the same one. */
const SAME_SIGNAL = 500;
let toldAt: number | null = null;
/** Also while starting: then it stops as soon as it can be stopped. */
function stop(): void {
  app?.stop().then(
    () => { log.info('Stopped'); process.exit(0); },
    (error: unknown) => { log.fatal({ err: error }, 'The stop failed'); process.exit(EXIT.software); },
  );
}
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    const now = systemClock.monotonic();
    if (toldAt !== null && now - toldAt < SAME_SIGNAL) return;
    if (toldAt !== null) process.exit(128 + (signal === 'SIGTERM' ? 15 : 2)); // the second time means now
    toldAt = now;
    log.info({ signal }, 'Stopping: open requests end, streams are told to come back');
    stop();
  });
}

try {
  app = await startApp({
    config: settings, clock: systemClock, log, version,
    onFailure: (error) => {
      log.fatal({ err: error }, 'The disk failed: the process stops at once. The next start checks the file before it takes a write');
      process.exit(EXIT.io);
    },
  });
  log.info({ url: app.url, db: settings.db, storage: app.storage, version }, `Muster listens on ${app.url}`);
  if (!settings.egressLoopback) log.warn('It listens beyond this machine and has no authentication: put a proxy that has it in front');
  if (settings.debug) log.info('Development: /api/debug is open. Set MUSTER_ENV=production to close it');
  if (settings.egressAllow.cidrs.length + settings.egressAllow.ports.length > 0) log.warn({ ...settings.egressAllow }, 'Outbound calls may reach these besides the public addresses');
  if (toldAt !== null) stop();
} catch (error) {
  if (error instanceof ConfigError) say(EXIT.config, error.message);
  if (error instanceof AlreadyOwned) say(EXIT.ownedElsewhere, error.message);
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (error instanceof Error && (code === 'MUSTER_DAMAGED' || code === 'MUSTER_SCHEMA')) say(EXIT.damaged, error.message);
  if (/^SQLITE_(NOTADB|CORRUPT)/.test(code)) say(EXIT.damaged, `${settings.db} is not a sound SQLite database (${code}). Keep it, and restore the newest backup beside it, or point MUSTER_DB at another path.`);
  if (code === 'EADDRINUSE') say(EXIT.config, `Port ${settings.port} of ${settings.host} is taken. Stop what listens there, or set PORT to another one.`);
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') say(EXIT.config, `${settings.host} is not an address of this machine. Set HOST to one that is, such as 127.0.0.1.`);
  if (/^(ENOSPC|EDQUOT|SQLITE_FULL|storage_full)$/.test(code) || (/^SQLITE_(CANTOPEN|IOERR)/.test(code) && !hasRoom(settings.db))) {
    say(EXIT.io, `The disk that holds ${settings.db} is full (${code}). Free space on it, then start again; nothing that was acknowledged is lost.`);
  }
  if (/^(EIO$|SQLITE_IOERR)/.test(code)) say(EXIT.io, `The disk that holds ${settings.db} failed (${code}). Start again once it works: the file is checked before it takes a write.`);
  if (['EISDIR', 'ENOTDIR', 'EACCES', 'EPERM', 'EROFS', 'ENOENT', 'SQLITE_CANTOPEN', 'SQLITE_READONLY'].includes(code)) {
    say(EXIT.config, `The database ${settings.db} cannot be opened for writing (${code}). Set MUSTER_DB to a file in a folder that this user may write.`);
  }
  log.fatal({ err: error }, 'The server could not start');
  process.exit(EXIT.io);
}
