// The specification of the store's port, as a function of a way to open one: any engine that passes it may serve.
// No engine is named here, and nothing is seen but what the port shows. Rules of one subject per file in ./contract/.
import type { FakeClock } from '../support/clock.ts';
import type { Policies } from '../../src/domain/policy.ts';
import type { Store } from '../../src/store/store.ts';
import { claimContract } from './contract/claim.ts';
import { clockContract } from './contract/clocks.ts';
import { documentContract } from './contract/documents.ts';
import { gentleContract } from './contract/gentle.ts';
import { grantContract } from './contract/grants.ts';
import { keyContract } from './contract/keys.ts';
import { readContract } from './contract/reads.ts';
import { retryContract } from './contract/retry.ts';
import { scheduleContract } from './contract/schedules.ts';
import { treeContract } from './contract/tree.ts';
import { treeVerbContract } from './contract/tree-verbs.ts';
import { verbContract } from './contract/verbs.ts';

/** Opens an empty store; the caller closes it. */
export type OpenStore = (clock: FakeClock, policies: Policies) => Promise<Store>;

export function storeContract(open: OpenStore): void {
  claimContract(open);
  clockContract(open);
  documentContract(open);
  gentleContract(open);
  grantContract(open);
  keyContract(open);
  readContract(open);
  retryContract(open);
  scheduleContract(open);
  treeContract(open);
  treeVerbContract(open);
  verbContract(open);
}
