// The server's own log: one JSON line a record on standard output, whatever is in the values.
import pino from 'pino';

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type Logger = pino.Logger;

export function createLogger(options: { readonly level: (typeof LOG_LEVELS)[number]; readonly stream?: pino.DestinationStream }): Logger {
  const settings: pino.LoggerOptions = {
    level: options.level,
    base: { name: 'muster' },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    // Headers are never logged on purpose; should one slip in, its secret does not.
    redact: { paths: ['authorization', 'cookie', '*.authorization', '*.cookie', 'headers["x-api-key"]', '*.headers["x-api-key"]'], censor: '[redacted]' },
  };
  return options.stream === undefined ? pino(settings) : pino(settings, options.stream);
}
