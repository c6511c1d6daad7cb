// The server with one promise broken on purpose: node test/fault/broken-server.ts <way>. Everything else is the real thing.
import Database from 'better-sqlite3';
import { type AppOptions, startApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { refusedStart } from '../../src/refused-start.ts';
import { systemClock } from '../../src/runtime/system-clock.ts';
import { createLogger } from '../../src/telemetry/logger.ts';

const STORES: Readonly<Record<string, NonNullable<AppOptions['store']>>> = {
  'synchronous-off': { synchronous: 'OFF' }, 'synchronous-normal': { synchronous: 'NORMAL' }, 'inline-writer': { writer: 'inline' },
};
const [way = ''] = process.argv.slice(2);
const config = readConfig(process.env);
const log = createLogger({ level: config.logLevel });
process.env['FAULT_BREAK'] = way; // read by the writer's thread
if (way === 'no-lock') {
  const { exec } = Database.prototype;
  Database.prototype.exec = function open(this: Database.Database, sql: string) { return sql === 'BEGIN EXCLUSIVE' ? this : exec.call(this, sql); };
}
const app = await startApp({
  // Its durations are those of the wall clock: as if there were no other.
  config, clock: way === 'follows-the-clock' ? { ...systemClock, monotonic: () => Date.now() } : systemClock, log, version: 'broken',
  onFailure: (error) => { log.fatal({ err: error }, 'the store failed'); process.exit(74); },
  store: STORES[way] ?? { writerModule: new URL('./broken-writer.ts', import.meta.url) },
}).catch((error: unknown) => {
  const { code, message } = refusedStart(error, config) ?? { code: 1, message: String(error) };
  process.stderr.write(`${message}\n`);
  process.exit(code);
});
log.info({ url: app.url, storage: app.storage }, `Muster listens on ${app.url}`);
process.on('SIGTERM', () => { if (way === 'abrupt-stop') process.exit(0); void app.stop().then(() => process.exit(0)); });
