// Claims whose answer comes late, because the disk hung under their commit: what they claimed has not run meanwhile, and
// neither its timeout nor its lease may be used up by that.
import { expect, test } from 'vitest';
import { plan } from '../support/make.ts';
import { type Rig, rig } from './rig.ts';

/** Of the type `timed`. */
const TIMEOUT = 5_000;
/** Longer than a lease (30 s). */
const HANG = 40_000;

/** A job that is claimed on disk while nobody has heard of it yet. Returns its id and the way to let the answer through. */
async function hang(r: Rig): Promise<AsyncDisposable & { readonly id: string; readonly go: () => Promise<void> }> {
  let open: () => void = () => {};
  const gate = new Promise<void>((resolve) => { open = resolve; });
  r.execute = async (command, next) => {
    const answer = await next(command);
    if (command.kind === 'claim' && answer.claimed.length > 0) await gate;
    return answer;
  };
  r.dispatcher.start();
  const { id } = (await r.jobs.submit([plan({ type: 'timed' })])).jobs[0]!;
  await r.rest();
  expect((await r.jobs.get(id)).job.leaseUntil).not.toBeNull();
  const go = async (): Promise<void> => { open(); await r.rest(); };
  return { id, go, [Symbol.asyncDispose]: go }; // or a failed test would wait for it when it stops
}

test('an attempt that its worker has not heard of is neither timed out nor taken back', async () => {
  await using r = await rig();
  await using claim = await hang(r);
  const { id, go } = claim;
  r.sweeper.start();
  for (let passed = 0; passed < HANG; passed += 1_000) await r.pass(1_000);
  expect(r.calls).toHaveLength(0);
  expect((await r.jobs.get(id)).job).toMatchObject({ status: 'running', attempt: 1, failures: 0, interruptions: 0 });
  await go();
  expect(r.calls).toHaveLength(1);
  r.calls[0]!.end();
  await r.rest();
  expect((await r.jobs.get(id)).job).toMatchObject({ status: 'completed', attempt: 1, failures: 0, interruptions: 0 });
});

test('its time begins when the answer comes, and is as long as ever', async () => {
  await using r = await rig();
  await using claim = await hang(r);
  const { id, go } = claim;
  r.clock.freeze(HANG);
  await go();
  r.sweeper.start(); // no sweep has seen it before
  await r.rest();
  await r.pass(TIMEOUT - 1);
  expect((await r.jobs.get(id)).job).toMatchObject({ status: 'running', failures: 0 });
  expect(r.calls[0]!.context.signal.aborted).toBe(false);
  await r.pass(1);
  expect((await r.jobs.get(id)).job).toMatchObject({ status: 'retry', failures: 1 });
  expect(r.calls[0]!.context.signal.aborted).toBe(true);
});

test('a claim that is answered in time costs no second command', async () => {
  await using r = await rig();
  await using claim = await hang(r);
  await r.pass(200);
  await claim.go();
  expect(r.calls).toHaveLength(1);
  expect(r.sent.filter(({ kind }) => kind === 'renew')).toEqual([]);
});
