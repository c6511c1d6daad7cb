// The server's own log: one JSON line a record on standard output, whatever is in the values.
import pino from 'pino';

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type Logger = pino.Logger;

/**
 * What JSON.stringify leaves as it is, though readers that split lines as Unicode does, and terminals, act on it (U+0080 to
 * U+009F hold NEL and 8-bit escape sequences). They can stand inside of strings only, where the escape means the same.
 */
const ACTED_ON = /[\u007f-\u009f\u2028\u2029]/g;
const escaped = (line: string): string => line.replace(ACTED_ON, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);

export function createLogger(options: { readonly level: (typeof LOG_LEVELS)[number]; readonly stream?: pino.DestinationStream }): Logger {
  const settings: pino.LoggerOptions = {
    level: options.level,
    base: { name: 'muster' },
    timestamp: pino.stdTimeFunctions.isoTime,
    hooks: { streamWrite: escaped },
    formatters: { level: (label) => ({ level: label }) },
    // Headers are never logged on purpose; should one slip in, its secret does not.
    redact: { paths: ['authorization', 'cookie', '*.authorization', '*.cookie', 'headers["x-api-key"]', '*.headers["x-api-key"]'], censor: '[redacted]' },
  };
  return options.stream === undefined ? pino(settings) : pino(settings, options.stream);
}
