// Every job type as a row: its policy, how many run at once, and what runs. Differences are rows, not branches.
import type { TypePolicy } from '../domain/policy.ts';
import { DEFAULT_BACKOFF } from '../domain/policy.ts';
import { createBatch } from './batch.ts';
import type { Registry } from './handler.ts';
import { CALL_TIMEOUT_MAX } from './inputs.ts';
import { createNoop } from './noop.ts';
import { type AskTools, createRequest } from './request.ts';
import { createVerify } from './verify.ts';

const DAY = 86_400_000;

const ASKING: TypePolicy = {
  maxAttempts: 4, // 1 + 3 retries over about 7 s: rides out a restart of the participant, not an outage
  backoff: DEFAULT_BACKOFF,
  lease: 30_000, // renewed at 10 s; three may be missed before the job counts as lost
  // A backstop only: each call ends by its own timeout (60 s unless it says otherwise, 10 min at most), which names
  // the phase that hung; a minute on top for waiting for a turn and reading the children's results.
  timeout: CALL_TIMEOUT_MAX + 60_000,
  ttl: DAY, // a participant may answer PENDING for a day
  maxInterruptions: 10, // as by default: restarts are not the job's fault
  onOrphan: 'retry', // participants are idempotent on the job id, so asking again is safe
};

const NOTHING_OUTSIDE: TypePolicy = {
  ...ASKING,
  timeout: null, // verify ends at once; a no-op sleeps as long as it was told to
  ttl: null, // nobody outside is waited for
};

export function createRegistry(tools: AskTools): Registry {
  return {
    // Asks wait for others, not for this machine; 100 open sockets are nothing, and 8 per host keep one from having all.
    request: { policy: ASKING, concurrency: 100, run: createRequest(tools) },
    // Only writes children, in one commit; more at once would only make that commit longer.
    verify: { policy: NOTHING_OUTSIDE, concurrency: 10, run: createVerify() },
    // The final call is a request; fewer, since each may carry the results of many children.
    batch: { policy: ASKING, concurrency: 20, run: createBatch(tools) },
    // As many as a claim takes, so that the drain of no-ops measures the store.
    noop: { policy: NOTHING_OUTSIDE, concurrency: 100, run: createNoop(tools.clock) },
  };
}
