// The server without admission: its clock for intervals stands still, so that nothing seems to wait and no commit seems to
// take long, and the queue's own bound is lifted by MUSTER_WRITE_QUEUE. A negative control.
import { startApp } from '../../../src/app.ts';
import { readConfig } from '../../../src/config.ts';
import { systemClock } from '../../../src/runtime/system-clock.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';

const config = readConfig(process.env);
const log = createLogger({ level: config.logLevel });
const app = await startApp({
  config, clock: { ...systemClock, monotonic: () => 0 }, log, version: 'open',
  onFailure: (error) => { log.fatal({ err: error }, 'the store failed'); process.exit(74); },
});
log.info({ url: app.url, storage: app.storage }, `Muster listens on ${app.url}`);
process.on('SIGTERM', () => { void app.stop().then(() => process.exit(0)); });
