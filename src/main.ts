// The process: environment in, listen, stop on a signal, exit code out. Started by start.mjs, which checks Node's version.
import { readFileSync } from 'node:fs';
import { type App, startApp } from './app.ts';
import { ConfigError, readConfig } from './config.ts';
import { EXIT, refusedStart } from './refused-start.ts';
import { systemClock } from './runtime/system-clock.ts';
import { createLogger } from './telemetry/logger.ts';

function say(code: number, message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(code);
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
  const refusal = refusedStart(error, settings);
  if (refusal !== null) say(refusal.code, refusal.message);
  log.fatal({ err: error }, 'The server could not start');
  process.exit(EXIT.io);
}
