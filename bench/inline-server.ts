// The whole server with its writer on the main thread: what the thread costs, and what it gives, is measured against it.
import { startApp } from '../src/app.ts';
import { readConfig } from '../src/config.ts';
import { systemClock } from '../src/runtime/system-clock.ts';
import { createLogger } from '../src/telemetry/logger.ts';

const [db = '', concurrency = 'noop=0'] = process.argv.slice(2);
const app = await startApp({
  config: readConfig({ PORT: '0', MUSTER_DB: db, MUSTER_CONCURRENCY: concurrency }), clock: systemClock, log: createLogger({ level: 'warn' }), version: '0',
  onFailure: (error) => { throw error; }, store: { writer: 'inline' },
});
process.on('disconnect', () => process.exit(0));
process.on('SIGTERM', () => void app.stop().then(() => process.exit(0)));
process.send?.({ url: app.url });
