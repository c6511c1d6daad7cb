// Development: the permission of the documentation, 4096, runs the demo agent. It is there by itself, so that the first curl works.
import type { NewGrant } from '../domain/grant.ts';
import type { Store } from '../store/store.ts';
import type { Jobs } from './jobs.ts';

export const DEMO_IMAGE = 'muster-demo:latest';
/** Nobody has these keys: in development the all-zero signature stands for the grantee. */
const NOBODY = `0x${'0'.repeat(40)}`;

export const DEMO_GRANT: NewGrant & { readonly id: number } = {
  id: 4_096, grantor: NOBODY, grantee: NOBODY, operation: 'prompt_gemini_agent', parameters: {}, expiresAt: null,
  template: { type: 'container', input: { image: DEMO_IMAGE, artifacts: ['out'] }, deliver: { env: 'PARAMETERS' }, maxAttempts: 1 },
};

/** A grant of that id that somebody made, or revoked, stays as it is. */
export async function addDemoGrant(store: Pick<Store, 'grant'>, jobs: Pick<Jobs, 'grant'>): Promise<void> {
  if ((await store.grant(DEMO_GRANT.id)) === null) await jobs.grant(DEMO_GRANT);
}
