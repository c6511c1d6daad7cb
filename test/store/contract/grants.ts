// Grants: made once, read, revoked, never changed; and submissions under them are decided with the commit.
import { describe, expect, test } from 'vitest';
import type { NewGrant } from '../../../src/domain/grant.ts';
import { plan } from '../../support/make.ts';
import { codeOf } from '../../support/store.ts';
import type { OpenStore } from '../contract.ts';
import { eachTest } from './bench.ts';

const ALICE = `0x${'aA'.repeat(20)}`;
const BOB = `0x${'bb'.repeat(20)}`;
const grant = (more: Partial<NewGrant> = {}): NewGrant => ({
  id: null, grantor: ALICE, grantee: BOB, operation: 'x', parameters: { goal: 'é', deep: [{}] }, expiresAt: null, template: { type: 'noop', input: { a: 1 }, deliver: { env: 'P' } }, ...more,
});

export function grantContract(open: OpenStore): void {
  describe('grants', () => {
    const t = eachTest(open);
    const make = async (more: Partial<NewGrant> = {}) => (await t.b.run({ kind: 'grant', grant: grant(more) })).grant!;

    test('are answered and read as committed, addresses in lower case', async () => {
      const made = await make({ expiresAt: 5 });
      expect(made).toEqual({ ...grant(), id: 1, grantor: ALICE.toLowerCase(), expiresAt: 5, createdAt: t.b.clock.now(), revokedAt: null });
      expect(await t.b.store.grant(1)).toEqual(made);
      expect(await t.b.store.grant(2)).toBeNull();
    });

    test('have the id that was asked for once, and else the next after the highest', async () => {
      expect((await make({ id: 4096 })).id).toBe(4096);
      expect((await make()).id).toBe(4097);
      expect(await codeOf(make({ id: 4096, operation: 'other' }))).toBe('conflict');
      expect((await t.b.store.grant(4096))?.operation).toBe('x');
      const both = await Promise.all([make(), make()]);
      expect(both.map(({ id }) => id)).toEqual([4098, 4099]);
    });

    test('are listed by pages from the highest id down, of one grantee or of all', async () => {
      for (let i = 0; i < 5; i++) await make(i % 2 === 0 ? {} : { grantee: ALICE });
      const first = await t.b.store.grants(null, null, 3);
      expect([first.items.map(({ id }) => id), first.next]).toEqual([[5, 4, 3], 3]);
      const second = await t.b.store.grants(null, first.next, 3);
      expect([second.items.map(({ id }) => id), second.next]).toEqual([[2, 1], null]);
      expect((await t.b.store.grants(ALICE.toLowerCase(), null, 10)).items.map(({ id }) => id)).toEqual([4, 2]);
    });

    test('are revoked once: the first instant stays, and nothing else changes', async () => {
      const made = await make();
      t.b.clock.advance(10);
      const revoked = (await t.b.run({ kind: 'revoke', grantId: 1 })).grant;
      expect(revoked).toEqual({ ...made, revokedAt: t.b.clock.now() });
      t.b.clock.advance(10);
      expect((await t.b.run({ kind: 'revoke', grantId: 1 })).grant).toEqual(revoked);
      expect(await t.b.store.grant(1)).toEqual(revoked);
      expect(await codeOf(t.b.run({ kind: 'revoke', grantId: 9 }))).toBe('not_found');
    });

    test('decide a submission in its own commit, whatever was read before', async () => {
      await make({ expiresAt: t.b.clock.now() + 100 });
      const under = (more = {}) => t.b.run({ kind: 'submit', jobs: [plan({ spec: { grant: 1 } })], under: { permissionId: 1, signer: BOB.toUpperCase().replace('0X', '0x'), ...more } });
      const [job] = (await under()).jobs;
      expect((await t.b.job(job!.id)).spec).toEqual({ grant: 1 });
      expect(await codeOf(under({ signer: ALICE }))).toBe('not_granted');
      expect(await codeOf(under({ operation: 'y' }))).toBe('grant_invalid');
      expect(await codeOf(under({ permissionId: 2 }))).toBe('not_found');
      t.b.clock.advance(99);
      await under();
      t.b.clock.advance(1);
      expect(await codeOf(under())).toBe('grant_invalid');
      await make();
      const race = await Promise.allSettled([t.b.run({ kind: 'revoke', grantId: 2 }), under({ permissionId: 2 })]);
      expect(race.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    });
  });
}
