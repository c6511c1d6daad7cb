// Granting and revoking. A grant is never changed and never forgotten: operations that ran under it name it.
import type { Draft } from './draft.ts';
import { DomainError } from './errors.ts';
import { type NewGrant, noSuchGrant } from './grant.ts';

export function decideGrant(d: Draft, grant: NewGrant): void {
  if (d.snapshot.grant !== null) {
    throw new DomainError('conflict', `There is a permission ${grant.id} already.`, { hint: 'Leave the id out to get the next free one; a grant is not changed, revoke it and make another.' });
  }
  const made = { ...grant, id: grant.id ?? d.snapshot.freeGrantId, grantor: grant.grantor.toLowerCase(), grantee: grant.grantee.toLowerCase(), createdAt: d.env.now, revokedAt: null };
  d.set({ kind: 'grant', grant: made });
  d.answer.grant = made;
}

/** What runs goes on: cancelling it is a decision of its own. Revoking twice keeps the first instant. */
export function decideRevoke(d: Draft, grantId: number): void {
  const { grant } = d.snapshot;
  if (grant === null) throw noSuchGrant(grantId);
  d.answer.grant = grant.revokedAt === null ? { ...grant, revokedAt: d.env.now } : grant;
  if (grant.revokedAt === null) d.set({ kind: 'grant', grant: d.answer.grant });
}
