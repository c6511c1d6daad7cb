// Addresses and headers that no job may use: refused when they are submitted, by a server that listens beyond this machine.
import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkUrl, type EgressPolicy } from '../../src/handlers/egress/guard.ts';
import { assault, bytesOf, post, testAttacks } from './attack.ts';
import { CLOSED_URLS, EGRESS, OPEN_URLS } from './egress.ts';
import { startTarget, type Target } from './target.ts';

let target: Target;
beforeAll(async () => { target = await startTarget({ HOST: '0.0.0.0' }); });
afterAll(async () => expect(await target.stop()).toEqual([]));

testAttacks(EGRESS, () => ({ ...target, url: `http://127.0.0.1:${target.port}` }));

test('case 52: the addresses of this machine are refused', async () => {
  const own = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address, family }) => (family === 'IPv6' ? `[${address}]` : address)));
  expect(own.length).toBeGreaterThan(0);
  for (const host of own) {
    const [answer] = await assault({ ...target, url: `http://127.0.0.1:${target.port}` }, bytesOf(post({ type: 'request', input: { url: `http://${host}/` } })));
    expect([host, answer?.status]).toEqual([host, 422]);
  }
});

test('case 58: the port of the server itself is refused', async () => {
  const [answer] = await assault({ ...target, url: `http://127.0.0.1:${target.port}` }, bytesOf(post({ type: 'noop', callback: `http://example.com:${target.port}/` })));
  expect([answer?.status, answer?.body]).toEqual([422, expect.stringMatching(/is the one this server listens on/)]);
});

describe('what the guard lets through', () => {
  const closed: EgressPolicy = { allowLoopback: false, allowCidrs: [] };
  const local: EgressPolicy = { allowLoopback: true, allowCidrs: [] };
  const refused = (url: string, policy = closed): boolean => !checkUrl(url, policy).ok;
  const all = CLOSED_URLS.flatMap(([, urls]) => urls);

  test.each(OPEN_URLS)('%j', (url) => expect(checkUrl(url, closed)).toMatchObject({ ok: true }));

  test('case 63: loopback, and nothing else, for a server that listens on loopback', () => {
    const opened = all.filter((url) => !refused(url, local));
    for (const url of opened) expect(new URL(url).hostname).toMatch(/^127\.|^\[::1\]$|^\[::ffff:7f00:1\]$|(^|\.)localhost\.*$/);
    expect(opened).toContain('http://2130706433/');
    expect(opened).toContain('http://localhost.');
    expect(opened).not.toContain('http://0/');
    expect(opened).not.toContain('http://169.254.169.254/latest/meta-data/');
    expect(opened).not.toContain('http://[64:ff9b::7f00:1]');
  });

  test('case 63: the listed ranges and ports only', () => {
    const policy: EgressPolicy = { allowLoopback: false, allowCidrs: ['10.1.0.0/16', 'fd00::/8'], allowPorts: [6379] };
    for (const url of ['http://10.1.255.255/', 'http://[fd12::1]:6379/', 'http://[::ffff:10.1.0.1]/']) expect(refused(url, policy), url).toBe(false);
    for (const url of ['http://10.2.0.0/', 'http://10.0.255.255/', 'http://127.0.0.1/', 'http://192.168.0.1/', 'http://[fd00:ec2::254]/', 'http://10.1.0.1:2375/']) expect(refused(url, policy), url).toBe(true);
  });

  test('case 63: a metadata address only by its own name', () => {
    const at = (allowCidrs: string[]): boolean => refused('http://169.254.169.254/', { allowLoopback: true, allowCidrs });
    expect([at(['0.0.0.0/0']), at(['169.254.0.0/16']), at(['169.254.169.254/31'])]).toEqual([true, true, true]);
    expect(at(['169.254.169.254/32'])).toBe(false);
  });

  test('case 58: its own port only while loopback is open, or when it is everybody\'s', () => {
    expect(refused('http://example.com:8000/', { ...closed, ownPort: 8000 })).toBe(true);
    expect(refused('http://127.0.0.1:8000/', { ...local, ownPort: 8000 })).toBe(false);
    expect(refused('http://example.com/', { ...closed, ownPort: 80 })).toBe(false);
  });

  test('case 52: no public address of this machine', () => {
    const policy = { ...closed, ownAddresses: ['93.184.215.14', '2606:2800::1'] };
    expect(refused('http://93.184.215.14/', policy)).toBe(true);
    expect(refused('http://[2606:2800:0::1]/', policy)).toBe(true);
    expect(refused('http://93.184.215.15/', policy)).toBe(false);
  });
});
