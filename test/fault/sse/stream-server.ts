// The real server with its streams changed in one way: node test/fault/sse/stream-server.ts <way>[,<way>]
// A negative control, but for `short-stall`, which only makes the wait for a client that does not read 2 s instead of 30.
import { ServerResponse } from 'node:http';
import { startApp } from '../../../src/app.ts';
import { readConfig } from '../../../src/config.ts';
import { STREAM_LIMITS } from '../../../src/http/stream.ts';
import { Feed } from '../../../src/runtime/feed.ts';
import { systemClock } from '../../../src/runtime/system-clock.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';

/** One resumption in so many goes wrong. */
const EVERY = 10;
const SHORT_STALL = 2_000;

const ways = (process.argv[2] ?? '').split(',');
const { follow } = Feed.prototype;
let count = 0;
const shift = (by: number): void => {
  Feed.prototype.follow = function shifted(this: Feed, view, after) {
    return follow.call(this, view, after > 0 && (count += 1) % EVERY === 0 ? after + by : after);
  };
};
for (const way of ways) {
  if (way === 'resume-skips') shift(1);
  else if (way === 'resume-repeats') shift(-1);
  else if (way === 'short-stall') (STREAM_LIMITS as { stall: number }).stall = SHORT_STALL;
  else if (way === 'queues') { // what a server does that writes to each client what it has, and lets Node keep it
    const { write } = ServerResponse.prototype;
    Object.defineProperty(ServerResponse.prototype, 'writableNeedDrain', { get: () => false });
    ServerResponse.prototype.write = function queue(this: ServerResponse, chunk: unknown) {
      return write.call(this, (typeof chunk === 'string' ? chunk : Buffer.from(chunk as Buffer)) as never, 'utf8');
    } as typeof write;
  } else throw new Error(`unknown way ${way}`);
}

const config = readConfig(process.env);
const log = createLogger({ level: config.logLevel });
const app = await startApp({
  config, clock: systemClock, log, version: 'changed',
  onFailure: (error) => { log.fatal({ err: error }, 'the store failed'); process.exit(74); },
});
log.info({ url: app.url, storage: app.storage }, `Muster listens on ${app.url}`);
process.on('SIGTERM', () => { void app.stop().then(() => process.exit(0)); });
