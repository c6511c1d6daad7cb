// The guard against RELIABILITY section 7, cases 48-63, and against a second opinion on every address.
import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { describe, expect, it } from 'vitest';
import { addressBytes } from '../../../src/handlers/egress/addresses.ts';
import { checkAddress, checkHeaders, checkUrl, type EgressPolicy, parseEgressAllow } from '../../../src/handlers/egress/guard.ts';

const closed: EgressPolicy = { allowLoopback: false, allowCidrs: [] };
const local: EgressPolicy = { allowLoopback: true, allowCidrs: [] };
const refused = (url: string, policy = closed): boolean => !checkUrl(url, policy).ok;

const NEVER = [
  // 48 this machine
  'http://127.0.0.1', 'http://localhost', 'http://localhost.', 'http://LOCALHOST..', 'http://a.localhost', 'http://%6c%6fcalhost', 'http://[::1]/', 'http://0/', 'http://[::]/', 'http://127.255.255.254/',
  // 49 other spellings of it
  'http://2130706433/', 'http://0x7f.1', 'http://0177.0.0.1', 'http://127.1', 'http://①②⑦.⓪.⓪.①', 'http://127。0。0。1', 'http://0x7f000001', 'http://127.0.0.1.', 'http://017700000001', 'http://１２７.0.0.1', 'http://127.0x0.0.01',
  // 50 IPv4 in IPv6
  'http://[::ffff:127.0.0.1]', 'http://[::ffff:a9fe:a9fe]', 'http://[64:ff9b::7f00:1]', 'http://[64:ff9b::169.254.169.254]', 'http://[2002:7f00:1::]', 'http://[::127.0.0.1]', 'http://[::7f00:1]', 'http://[0:0:0:0:0:FFFF:10.0.0.1]', 'http://[64:ff9b:1::1]', 'http://[2001:0:7f00:1::]', 'http://[::ffff:0:127.0.0.1]',
  // 51 metadata
  'http://169.254.169.254/latest/meta-data/', 'http://[fd00:ec2::254]', 'http://100.100.100.200', 'http://192.0.0.192', 'http://168.63.129.16', 'http://2852039166/',
  // 52 not public
  'http://10.0.0.1', 'http://172.16.0.1', 'http://172.31.255.255', 'http://192.168.1.1', 'http://100.64.0.1', 'http://198.18.0.1', 'http://224.0.0.1', 'http://240.0.0.1', 'http://255.255.255.255', 'http://172.17.0.1', 'http://0.1.2.3', 'http://192.0.2.1', 'http://203.0.113.5', 'http://[fe80::1]', 'http://[fc00::1]', 'http://[ff02::1]', 'http://[2001:db8::1]', 'http://[3fff::1]', 'http://[100::1]', 'http://[4000::1]', 'http://[5f00::1]', 'http://[fec0::1]',
  // 53 user info and what looks like it
  'http://good.com@127.0.0.1/', 'http://127.0.0.1#@good.com', 'http://127.0.0.1\\@good.com', 'http://a:b@good.com', 'http://@good.com', 'http://:@good.com/', 'http://good.com\\@evil.com/',
  // 57 other schemes
  'file:///etc/passwd', 'gopher://good.com/', 'ftp://good.com/', 'data:text/plain,x', 'unix:/run/docker.sock', 'http+unix://x/y', 'javascript:alert(1)', 'ws://good.com', '//good.com', '/relative', '', 'http:good.com', 'http:/good.com', 'https:///good.com', 'http:///a@good.com',
  // 58 ports
  'http://good.com:22', 'http://good.com:25', 'http://good.com:2375', 'http://good.com:6379', 'http://good.com:5432/', 'http://good.com:0/', 'https://good.com:10250', 'http://good.com:65536', 'http://good.com:０２２/',
  // 59 what the parser would repair in silence
  'http://ex\tample.com', 'http://example.com\n', ' http://example.com', 'http://example.com/\r\nx: y', 'http://exa\u0000mple.com', 'http://example.com/a b', 'http://exam\u200bple.com', 'http://exam\u00adple.com', 'http://example.com\\x',
  // and no URL at all
  'http://', 'http://[::1', 'http://a b', 'http://[fe80::1%25eth0]/', `http://good.com/${'a'.repeat(2_048)}`,
];
const ALWAYS = [
  'http://example.com', 'https://example.com:443/', 'http://example.com:8080/a?b=c#d', 'https://93.184.215.14/', 'http://[2606:2800:21f:cb07::1]/',
  'HTTPS://Example.COM/%20', 'https://bücher.example/ü?q=ü', 'http://participant:3000/answer', 'http://[64:ff9b::5db8:d70e]/', 'http://[::ffff:93.184.215.14]', 'http://172.32.0.1/', 'http://example.com/?u=a@b.c', 'http://notlocalhost/',
];

describe('checkUrl', () => {
  it.each(NEVER)('refuses %j', (url) => expect(refused(url)).toBe(true));
  it.each(ALWAYS)('lets %j through', (url) => expect(checkUrl(url, closed)).toMatchObject({ ok: true }));

  it('opens loopback, and nothing else, to a server that listens on loopback', () => {
    const opened = NEVER.filter((url) => !refused(url, local));
    for (const url of opened) expect(new URL(url).hostname).toMatch(/^127\.|^\[::1\]$|^\[::ffff:7f00:1\]$|(^|\.)localhost\.*$/);
    expect(opened).toContain('http://2130706433/');
    expect(opened).toContain('http://localhost.');
    expect(opened).not.toContain('http://0/');
    expect(opened).not.toContain('http://169.254.169.254/latest/meta-data/');
    expect(opened).not.toContain('http://[64:ff9b::7f00:1]');
  });

  it('opens the listed ranges and ports only', () => {
    const policy: EgressPolicy = { allowLoopback: false, allowCidrs: ['10.1.0.0/16', 'fd00::/8'], allowPorts: [6379] };
    expect(refused('http://10.1.255.255/', policy)).toBe(false);
    expect(refused('http://[fd12::1]:6379/', policy)).toBe(false);
    expect(refused('http://[::ffff:10.1.0.1]/', policy)).toBe(false);
    for (const url of ['http://10.2.0.0/', 'http://10.0.255.255/', 'http://127.0.0.1/', 'http://192.168.0.1/', 'http://[fd00:ec2::254]/', 'http://10.1.0.1:2375/']) expect(refused(url, policy), url).toBe(true);
  });

  it('opens a metadata address only by its own name', () => {
    const at = (allowCidrs: string[]): boolean => refused('http://169.254.169.254/', { allowLoopback: true, allowCidrs });
    expect([at(['0.0.0.0/0']), at(['169.254.0.0/16']), at(['169.254.169.254/31'])]).toEqual([true, true, true]);
    expect(at(['169.254.169.254/32'])).toBe(false);
  });

  it('closes the port of the server itself unless loopback is open', () => {
    expect(refused('http://example.com:8000/', { ...closed, ownPort: 8000 })).toBe(true);
    expect(refused('http://127.0.0.1:8000/', { ...local, ownPort: 8000 })).toBe(false);
    expect(refused('http://example.com/', { ...closed, ownPort: 80 })).toBe(false);
  });

  it('closes the public addresses of this machine', () => {
    const policy = { ...closed, ownAddresses: ['93.184.215.14', '2606:2800::1'] };
    expect(refused('http://93.184.215.14/', policy)).toBe(true);
    expect(refused('http://[2606:2800:0::1]/', policy)).toBe(true);
    expect(refused('http://93.184.215.15/', policy)).toBe(false);
  });

  it('says what to do about it', () => {
    for (const url of ['http://10.0.0.1', 'http://127.0.0.1', 'http://169.254.169.254', 'http://[fd00::1]', 'http://a.example:6379', 'http://localhost']) {
      const verdict = checkUrl(url, closed);
      expect(verdict.ok ? '' : verdict.message).toContain('MUSTER_EGRESS_ALLOW=');
    }
  });
});

/** Public to the second opinion as well; AS112 and AMT are reachable from everywhere. */
const isPublicV4 = (ip: ipaddr.IPv4): boolean => ['unicast', 'as112', 'amt'].includes(ip.range()) && ip.toString() !== '168.63.129.16';

const SPECIAL = ['0.0.0.0', '9.255.255.255', '10.0.0.0', '100.63.255.255', '100.64.0.0', '100.127.255.255', '127.0.0.1', '128.0.0.0', '169.254.169.254', '172.15.255.255', '172.31.255.255', '192.0.0.192', '192.168.0.0', '198.17.255.255', '198.19.255.255', '223.255.255.255', '224.0.0.0', '255.255.255.255', '8.8.8.8', '168.63.129.16'];
const octets = fc.oneof(
  fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255)),
  fc.constantFrom(...SPECIAL).map((ip) => ip.split('.').map(Number) as [number, number, number, number]),
);
/** One number as decimal, hexadecimal or octal, with leading zeros where they mean nothing. */
const spell = (value: number, how: number): string => [String(value), `0x${value.toString(16)}`, `0X00${value.toString(16).toUpperCase()}`, `0${value.toString(8)}`, `000${value.toString(8)}`][how % 5] as string;
const wide = (text: string): string => text.replace(/\d/g, (digit) => String.fromCharCode(0xff10 + Number(digit)));

const spelled = fc.record({ bytes: octets, parts: fc.integer({ min: 1, max: 4 }), how: fc.array(fc.nat(4), { minLength: 4, maxLength: 4 }), dot: fc.constantFrom('.', '。', '．', '｡'), end: fc.constantFrom('', '.'), full: fc.boolean() })
  .map(({ bytes, parts, how, dot, end, full }) => {
    const head = bytes.slice(0, parts - 1);
    const tail = bytes.slice(parts - 1).reduce((sum, byte) => sum * 256 + byte, 0);
    const text = [...head, tail].map((value, i) => spell(value, how[i] as number)).join(dot) + end;
    return { bytes, text: full ? wide(text) : text };
  });

describe('every spelling of an IPv4 address', () => {
  it('is judged as the address it means', () => {
    fc.assert(fc.property(spelled, ({ bytes, text }) => {
      expect(refused(`http://${text}/`)).toBe(!isPublicV4(new ipaddr.IPv4([...bytes])));
    }), { numRuns: 20_000 });
  });

  it('is judged the same inside IPv6', () => {
    fc.assert(fc.property(octets, fc.constantFrom('::ffff:', '0:0:0:0:0:ffff:', '64:ff9b::', '64:FF9B:0:0:0:0:'), fc.boolean(), (bytes, prefix, dotted) => {
      const [a, b, c, d] = bytes;
      const tail = dotted ? bytes.join('.') : `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
      const isPublic = isPublicV4(new ipaddr.IPv4([...bytes]));
      expect(refused(`http://[${prefix}${tail}]/`)).toBe(!isPublic);
      expect(checkAddress(`${prefix}${tail}`, closed) !== null).toBe(!isPublic);
      expect(checkAddress(`::${tail}`, closed)).not.toBeNull();
    }), { numRuns: 3_000 });
  });
});

describe('every IPv6 address that is let through', () => {
  const group = fc.oneof(fc.constantFrom(0, 0xffff, 0x2001, 0x2002, 0xdb8, 0xfe80, 0xfd00, 0xff02, 0x64, 0xff9b, 0x3fff, 0x2620, 0x2606), fc.nat(0xffff));
  it('is public to a second opinion', () => {
    let through = 0;
    fc.assert(fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
      const address = new ipaddr.IPv6(groups);
      expect(addressBytes(address.toString())).toEqual(address.toByteArray());
      if (checkAddress(address.toString(), closed) !== null) return;
      through++;
      expect(['unicast', 'as112v6', 'rfc6052', 'ipv4Mapped']).toContain(address.range());
    }), { numRuns: 10_000 });
    expect(through).toBeGreaterThan(100); // the property said something
  });
});

describe('checkHeaders', () => {
  it.each([
    { x: 'a\r\nb: c' }, { x: 'a\nb' }, { x: 'a\0' }, { x: '✓' }, { 'x\r\ny': 'a' }, { 'x y': 'a' }, { '': 'a' }, { 'x:': 'a' }, { Host: 'evil' }, { HOST: 'evil' }, { 'Content-Length': '0' },
    { 'transfer-encoding': 'chunked' }, { Connection: 'close' }, { upgrade: 'h2c' }, { TE: 'trailers' }, { Expect: '100-continue' }, { 'Muster-Job-Id': 'job_x' }, { 'proxy-authorization': 'x' },
    Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`x${i}`, ''])), { x: 'a'.repeat(9_000) },
  ])('refuses %j', (headers) => expect(checkHeaders(headers as Record<string, string>)).not.toBeNull());

  it('lets ordinary headers through', () => {
    expect(checkHeaders({ Authorization: 'Bearer x.y', 'Content-Type': 'text/plain; charset=utf-8', 'X-Empty': '', 'x-latin': 'caf\u00e9\t' })).toBeNull();
  });
});

describe('parseEgressAllow', () => {
  it('reads addresses, ranges and ports', () => {
    expect(parseEgressAllow(' 10.0.0.0/8,192.168.1.7 , fd00::/8,::1,port:9200,, ')).toEqual({ ok: true, cidrs: ['10.0.0.0/8', '192.168.1.7/32', 'fd00::/8', '::1/128'], ports: [9200] });
    expect(parseEgressAllow('')).toEqual({ ok: true, cidrs: [], ports: [] });
  });
  it.each(['10.0.0.0/33', '10.0.0/8', 'example.com', 'port:0', 'port:70000', '10.0.0.0/8/8', '010.0.0.0/8', '*', 'fe80::1%eth0/64'])('refuses %j', (text) => expect(parseEgressAllow(text)).toMatchObject({ ok: false, message: expect.stringContaining(text) }));
});
