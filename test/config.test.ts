import { expect, test } from 'vitest';
import { ConfigError, readConfig } from '../src/config.ts';

function problems(environment: Record<string, string>): string {
  try {
    readConfig(environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.join('\n');
    throw error;
  }
  throw new Error('was accepted');
}

test('without any variable it is a development server on loopback', () => {
  const config = readConfig({ PATH: '/bin', HOME: '/root' });
  expect(config).toMatchObject({ host: '127.0.0.1', port: 8_000, db: 'data/muster.db', logLevel: 'info', debug: true, egressLoopback: true, arenaUrl: null, writeQueue: 10_000, concurrency: {} });
  expect(config.allowedHosts).toEqual(['localhost', '127.0.0.1', '[::1]']);
  expect([config.maxStreams, config.maxStreamsPerAddress]).toEqual([5_000, 5_000]);
  expect(readConfig({ MUSTER_STREAMS: '30', MUSTER_STREAMS_PER_ADDRESS: '20' })).toMatchObject({ maxStreams: 30, maxStreamsPerAddress: 20 });
  expect(Object.isFrozen(config)).toBe(true);
});

test('open to the network it is a production server that calls nothing on its own machine', () => {
  const config = readConfig({ HOST: '0.0.0.0', PORT: '0' });
  expect([config.debug, config.egressLoopback, config.allowedHosts, config.port]).toEqual([false, false, null, 0]);
  expect(readConfig({ HOST: '0.0.0.0', MUSTER_ENV: 'development' }).debug).toBe(true);
  expect(readConfig({ HOST: '::1', MUSTER_ENV: 'production' })).toMatchObject({ debug: false, egressLoopback: true });
});

test('values are read, and an empty variable is none', () => {
  const config = readConfig({ MUSTER_CONCURRENCY: 'request=100, noop=0', MUSTER_EGRESS_ALLOW: '10.0.0.0/8,port:9200', MUSTER_ARENA_URL: 'http://arena.example:1/', MUSTER_ALLOWED_HOSTS: 'muster.example', LOG_LEVEL: '', MUSTER_DB: '' });
  expect(config).toMatchObject({ concurrency: { request: 100, noop: 0 }, egressAllow: { cidrs: ['10.0.0.0/8'], ports: [9_200] }, arenaUrl: 'http://arena.example:1', allowedHosts: ['muster.example'], logLevel: 'info', db: 'data/muster.db' });
});

test.each([
  ['PORT', '65536', /PORT must be a whole number from 0 to 65535; it is "65536"/], ['PORT', '8e3', /PORT must be/], ['PORT', '-1', /PORT must be/], ['PORT', ' 80', /PORT must be/],
  ['HOST', 'a b', /HOST must be/], ['LOG_LEVEL', 'loud', /LOG_LEVEL must be one of fatal/], ['MUSTER_ENV', 'staging', /MUSTER_ENV must be development or production/],
  ['MUSTER_EGRESS_ALLOW', '10.0.0.0/8,everything', /MUSTER_EGRESS_ALLOW .*everything/], ['MUSTER_ARENA_URL', 'ftp://x', /MUSTER_ARENA_URL must be an http/],
  ['MUSTER_CONCURRENCY', 'request', /write type=number/], ['MUSTER_CONCURRENCY', 'request=99999', /0 to 10000/], ['MUSTER_WRITE_QUEUE', '0', /MUSTER_WRITE_QUEUE must be/],
  ['MUSTER_STREAMS_PER_ADDRESS', '0', /MUSTER_STREAMS_PER_ADDRESS must be a whole number from 1/],
  ['MUSTER_ALLOWED_HOSTS', 'a:80', /not a host name without a port/], ['MUSTER_PROT', '80', /MUSTER_PROT is not a variable of Muster; there are HOST, PORT/],
])('%s=%s is refused by name', (name, value, says) => {
  expect(problems({ [name]: value })).toMatch(says);
});

test('all mistakes are named at once', () => {
  expect(problems({ PORT: 'x', MUSTER_X: '1', LOG_LEVEL: 'x' }).split('\n')).toHaveLength(3);
});

test('a mnemonic is checked, and never said', () => {
  const words = 'test test test test test test test test test test test junk';
  expect(readConfig({}).walletMnemonic).toBeNull();
  expect(readConfig({ MUSTER_WALLET_MNEMONIC: ` ${words.replace(' ', '\n')} ` }).walletMnemonic).toBe(words);
  const wrong = words.replace('junk', 'junkyard');
  expect(problems({ MUSTER_WALLET_MNEMONIC: wrong })).toMatch(/MUSTER_WALLET_MNEMONIC must be a BIP-39 mnemonic/);
  expect(problems({ MUSTER_WALLET_MNEMONIC: wrong })).not.toContain('junkyard');
});
