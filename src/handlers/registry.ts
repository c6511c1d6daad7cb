// Every job type as a row: its policy, how many run at once, and what runs. Differences are rows, not branches.
import type { TypePolicy } from '../domain/policy.ts';
import { DEFAULT_BACKOFF } from '../domain/policy.ts';
import { createBatch } from './batch.ts';
import { type ContainerTools, createContainer, TIMEOUT_DEFAULT } from './container.ts';
import { GRACE_MAX, notAllowed } from './container-input.ts';
import type { Handler, Registry } from './handler.ts';
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

/** Longest grace, KILL, removal and the last of its output; whoever waits longer is told that it is not known how it ended. */
const STOP_WITHIN = GRACE_MAX + 30_000;

const CONTAINER: TypePolicy = {
  ...ASKING,
  maxAttempts: 1, // what a container did before it failed is not undone by another; who knows better says maxAttempts
  timeout: TIMEOUT_DEFAULT,
  ttl: null, // while the engine is away its jobs wait
  onOrphan: 'adopt', // containers outlive the server
  stopWithin: STOP_WITHIN,
};

const NO_ENGINE: Handler = async () => ({ kind: 'fail', error: { code: 'container_failed', message: notAllowed([], ''), retryable: false } });

/** @param containers null: no image may run, so nothing of an engine is needed */
export function createRegistry(tools: AskTools, containers: ContainerTools | null = null): Registry {
  return {
    // Asks wait for others, not for this machine; 100 open sockets are nothing, and 8 per host keep one from having all.
    request: { policy: ASKING, concurrency: 100, run: createRequest(tools) },
    // Only writes children, in one commit; more at once would only make that commit longer.
    verify: { policy: NOTHING_OUTSIDE, concurrency: 10, run: createVerify() },
    // The final call is a request; fewer, since each may carry the results of many children.
    batch: { policy: ASKING, concurrency: 20, run: createBatch(tools) },
    // Each may use a processor and 512 MB: four fill a small machine. MUSTER_CONCURRENCY=container=20 suits a larger one.
    container: { policy: CONTAINER, concurrency: 4, run: containers === null ? NO_ENGINE : createContainer(containers) },
    // As many as a claim takes, so that the drain of no-ops measures the store.
    noop: { policy: NOTHING_OUTSIDE, concurrency: 100, run: createNoop(tools.clock) },
  };
}
