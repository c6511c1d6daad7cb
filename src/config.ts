// The environment, once, as one schema → a frozen Config. main.ts is the only caller that has a process.env.
// A mistake names the variable, what is wrong with its value and what is allowed; an unknown MUSTER_ variable is a mistake.
import { validateMnemonic } from '@scure/bip39';
import { wordlist } from '@scure/bip39/wordlists/english.js';
import { z } from 'zod';
import { type EngineSetting, refuseSetting } from './docker/address.ts';
import { parseEgressAllow } from './handlers/egress/guard.ts';
import { LOG_LEVELS } from './telemetry/logger.ts';

const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost']);
const isLoopback = (host: string): boolean => LOOPBACK.has(host) || /^127(\.\d{1,3}){3}$/.test(host);

/** A whole number in decimal; nothing else that Number() would take. */
const whole = (min: number, max: number) => z.string()
  .refine((text) => /^\d{1,15}$/.test(text) && Number(text) >= min && Number(text) <= max, `must be a whole number from ${min} to ${max}`)
  .transform(Number);

const list = (what: string, good: RegExp) => z.string().transform((text, context) => {
  const items = text.split(',').map((item) => item.trim()).filter((item) => item !== '');
  for (const item of items) if (!good.test(item)) context.addIssue({ code: 'custom', message: `has ${JSON.stringify(item)}, which is not ${what}` });
  return items;
});

const concurrency = z.string().transform((text, context) => {
  const limits: Record<string, number> = {};
  for (const item of text.split(',').map((part) => part.trim()).filter((part) => part !== '')) {
    const match = /^([a-z][a-z0-9_-]{0,63})=(\d{1,5})$/.exec(item);
    if (match === null || Number(match[2]) > 10_000) context.addIssue({ code: 'custom', message: `has ${JSON.stringify(item)}; write type=number with commas, such as request=100,noop=50 (0 to 10000)` });
    else limits[match[1] as string] = Number(match[2]);
  }
  return limits;
});

const egress = z.string().transform((text, context) => {
  const allow = parseEgressAllow(text);
  if (allow.ok) return { cidrs: allow.cidrs, ports: allow.ports };
  context.addIssue({ code: 'custom', message: `is not a list of addresses, ranges and ports: ${allow.message.replace(/^MUSTER_EGRESS_ALLOW: /, '').replace(/\.$/, '')}` });
  return z.NEVER;
});

const HOST_NAME = /^[a-zA-Z0-9.-]{1,253}$|^\[[0-9a-fA-F:.]+\]$/;

const SCHEMA = z.object({
  HOST: z.string().regex(/^[a-zA-Z0-9.:-]{1,253}$/, 'must be an address or a host name, such as 127.0.0.1 or 0.0.0.0').default('127.0.0.1'),
  PORT: whole(0, 65_535).default(8_000),
  LOG_LEVEL: z.enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(', ')}`).default('info'),
  DOCKER_HOST: z.string().optional(),
  DOCKER_CERT_PATH: z.string().optional(),
  /** Nothing runs unless it is named: an image is somebody's program. */
  MUSTER_IMAGES: list('an image with its tag or digest, such as python:3.13-slim, or the beginning of some, such as registry.example/agents/*', /^[a-z0-9][A-Za-z0-9._:/@-]{0,254}\*?$/).default([]),
  MUSTER_CONTAINER_NETWORK: z.enum(['none', 'bridge'], 'must be none or bridge').default('none'),
  MUSTER_CONTAINER_RUNTIME: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, 'must be the name of a runtime of the engine, such as runsc').optional(),
  /** The engine's own file of what was printed has no cap; 256 MB of it fill no disk unnoticed. */
  MUSTER_CONTAINER_OUTPUT: whole(1, 256_000_000).default(256_000_000),
  MUSTER_DB: z.string().min(1, 'must be the path of a file').default('data/muster.db'),
  MUSTER_ENV: z.enum(['development', 'production'], 'must be development or production').optional(),
  MUSTER_EGRESS_ALLOW: egress.default({ cidrs: [], ports: [] }),
  MUSTER_ARENA_URL: z.string().regex(/^https?:\/\/[^\s/?#]+[^\s?#]*$/, 'must be an http or https address without a query, such as http://127.0.0.1:8000').optional(),
  MUSTER_ALLOWED_HOSTS: list('a host name without a port', HOST_NAME).optional(),
  MUSTER_WALLET_MNEMONIC: z.string().transform((text) => text.trim().split(/\s+/).join(' ')).refine((text) => validateMnemonic(text, wordlist), 'must be a BIP-39 mnemonic of 12 to 24 English words').optional(),
  MUSTER_CONCURRENCY: concurrency.default({}),
  /** A quarter of a second of full-speed submits; more would be answered too late to be of use. */
  MUSTER_WRITE_QUEUE: whole(1, 1_000_000).default(10_000),
  /** Open sockets; each costs about 20 KiB, and the usual limit of open files is 20,000 or less. */
  MUSTER_CONNECTIONS: whole(1, 100_000).default(10_000),
  MUSTER_WAITERS: whole(0, 100_000).default(10_000),
  /** As STREAM_LIMITS in http/stream.ts has it: 40 KiB a client. */
  MUSTER_STREAMS: whole(0, 100_000).default(5_000),
  /** Of one client address. None of its own by default: behind a proxy every client has the proxy's. */
  MUSTER_STREAMS_PER_ADDRESS: whole(1, 100_000).optional(),
});
type Env = z.output<typeof SCHEMA>;
/** Their values are not said, however wrong. */
const SECRETS: ReadonlySet<string> = new Set(['MUSTER_WALLET_MNEMONIC']);

export interface Config {
  readonly host: string;
  readonly port: number;
  readonly logLevel: Env['LOG_LEVEL'];
  readonly db: string;
  /** Development: /api/debug/* is there. */
  readonly debug: boolean;
  /** Ranges that outbound calls may reach besides the public ones. */
  readonly egressAllow: { readonly cidrs: readonly string[]; readonly ports: readonly number[] };
  /** Outbound calls may reach this machine. */
  readonly egressLoopback: boolean;
  /** What $ARENA$ stands for; null = this server's own address. */
  readonly arenaUrl: string | null;
  /** Host names this server answers to; null = any. */
  readonly allowedHosts: readonly string[] | null;
  /** Secret: the keys of /api/v1/identity come from it. */
  readonly walletMnemonic: string | null;
  readonly concurrency: Readonly<Record<string, number>>;
  readonly containers: {
    /** Empty: none may run, and no engine is asked for. */
    readonly images: readonly string[];
    readonly network: 'none' | 'bridge';
    readonly runtime: string | null;
    readonly output: number;
    readonly engine: EngineSetting;
  };
  readonly writeQueue: number;
  readonly maxConnections: number;
  readonly maxWaiters: number;
  readonly maxStreams: number;
  /** Of one client address; as many as there are unless it is set. */
  readonly maxStreamsPerAddress: number;
}

export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`The environment has ${problems.length === 1 ? 'a mistake' : `${problems.length} mistakes`}:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

const engineOf = (env: Env): EngineSetting => ({ host: env.DOCKER_HOST ?? null, certPath: env.DOCKER_CERT_PATH ?? null });

/** An empty variable counts as absent, as compose files write it. @throws ConfigError */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const known = Object.keys(SCHEMA.shape);
  const given = Object.fromEntries(Object.entries(environment).filter(([name, value]) => value !== undefined && value !== '' && (name.startsWith('MUSTER_') || known.includes(name))));
  const problems = Object.keys(given).filter((name) => !known.includes(name)).map((name) => `${name} is not a variable of Muster; there are ${known.join(', ')}.`);
  const parsed = SCHEMA.safeParse(given);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      const name = String(issue.path[0]);
      problems.push(`${name} ${issue.message}${SECRETS.has(name) ? '' : `; it is ${JSON.stringify(given[name]?.slice(0, 100))}`}.`);
    }
  }
  if (parsed.success && parsed.data.MUSTER_IMAGES.length > 0) {
    const refused = refuseSetting(engineOf(parsed.data));
    if (refused !== null) problems.push(`DOCKER_HOST ${refused}; it is ${JSON.stringify(parsed.data.DOCKER_HOST)}.`);
  }
  if (problems.length > 0 || !parsed.success) throw new ConfigError(problems);
  const env = parsed.data;
  const loopback = isLoopback(env.HOST);
  return Object.freeze({
    host: env.HOST, port: env.PORT, logLevel: env.LOG_LEVEL, db: env.MUSTER_DB,
    debug: (env.MUSTER_ENV ?? (loopback ? 'development' : 'production')) === 'development',
    egressAllow: Object.freeze(env.MUSTER_EGRESS_ALLOW), egressLoopback: loopback, arenaUrl: env.MUSTER_ARENA_URL?.replace(/\/+$/, '') ?? null,
    // On loopback a browser can be led here by a name that an attacker owns (DNS rebinding): only our own names count.
    allowedHosts: env.MUSTER_ALLOWED_HOSTS ?? (loopback ? [...new Set(['localhost', '127.0.0.1', '[::1]', env.HOST.includes(':') ? `[${env.HOST}]` : env.HOST])] : null),
    walletMnemonic: env.MUSTER_WALLET_MNEMONIC ?? null, concurrency: Object.freeze(env.MUSTER_CONCURRENCY), writeQueue: env.MUSTER_WRITE_QUEUE, maxConnections: env.MUSTER_CONNECTIONS,
    containers: Object.freeze({
      images: env.MUSTER_IMAGES, network: env.MUSTER_CONTAINER_NETWORK, runtime: env.MUSTER_CONTAINER_RUNTIME ?? null,
      output: env.MUSTER_CONTAINER_OUTPUT, engine: engineOf(env),
    }),
    maxWaiters: env.MUSTER_WAITERS, maxStreams: env.MUSTER_STREAMS, maxStreamsPerAddress: env.MUSTER_STREAMS_PER_ADDRESS ?? env.MUSTER_STREAMS,
  });
}
