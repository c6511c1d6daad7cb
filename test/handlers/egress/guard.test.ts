// The guard's words, and a library's opinion on every IPv6 address it lets through. What it must refuse stands in test/attacks.
import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { describe, expect, it } from 'vitest';
import { addressBytes } from '../../../src/handlers/egress/addresses.ts';
import { checkAddress, checkHeaders, checkUrl, type EgressPolicy, parseEgressAllow } from '../../../src/handlers/egress/guard.ts';

const closed: EgressPolicy = { allowLoopback: false, allowCidrs: [] };

describe('checkUrl', () => {
  it.each(['', 'http://exa\u0000mple.com', `http://good.com/${'a'.repeat(2_048)}`])('refuses %j', (url) => expect(checkUrl(url, closed).ok).toBe(false));

  it('says what to do about it', () => {
    for (const url of ['http://10.0.0.1', 'http://127.0.0.1', 'http://169.254.169.254', 'http://[fd00::1]', 'http://a.example:6379', 'http://localhost']) {
      const verdict = checkUrl(url, closed);
      expect(verdict.ok ? '' : verdict.message).toContain('MUSTER_EGRESS_ALLOW=');
    }
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
