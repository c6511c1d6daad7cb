// Runs that are cut: revoked leases, stopping, and what a handler may still say.
import { expect, test } from 'vitest';
import { batch, leaves, plan } from '../support/make.ts';
import { rig } from './rig.ts';

test('a cancelled job\'s handler is told at once, and its answer no longer counts', async () => {
  await using r = await rig();
  r.dispatcher.start();
  const { jobs: [job] } = await r.jobs.submit([plan()]);
  await r.rest();
  await r.jobs.cancel(job!.id);
  expect(r.calls[0]!.context.signal.aborted).toBe(true);
  r.sent.length = 0;
  r.calls[0]!.context.log('late');
  r.calls[0]!.end();
  await r.pass(1_000);
  expect(r.sent.filter((command) => command.kind === 'finish' || command.kind === 'note')).toEqual([]);
  expect(await r.bench.status(job!.id)).toBe('cancelled');
});

test('a job cancelled in the very commit that claimed it is never run', async () => {
  await using r = await rig();
  r.dispatcher.start();
  await r.rest();
  const job = await r.bench.submit(plan({ dueAt: null }));
  const start = r.bench.run({ kind: 'start', jobId: job.id });
  r.dispatcher.nudge(['noop']);
  await Promise.all([start, r.jobs.cancel(job.id)]);
  await r.rest();
  expect(await r.bench.job(job.id)).toMatchObject({ status: 'cancelled', leaseEpoch: 1 });
  expect(r.calls.filter((call) => !call.context.signal.aborted)).toEqual([]);
});

test('a timed-out run is aborted by the sweep, and its place is free once the handler lets go', async () => {
  await using r = await rig({ concurrency: 1 });
  r.dispatcher.start();
  r.sweeper.start();
  await r.jobs.submit([plan({ type: 'timed', spec: { maxAttempts: 1 } }), plan({ type: 'timed' })]);
  await r.rest();
  await r.pass(5_000);
  expect(r.calls).toHaveLength(1);
  expect(r.calls[0]!.context.signal.aborted).toBe(true);
  r.calls[0]!.end();
  await r.rest();
  expect(r.calls).toHaveLength(2);
});

test('cancelling a batch aborts every run below it', async () => {
  await using r = await rig();
  r.dispatcher.start();
  const { jobs: [root] } = await r.jobs.submit([batch([batch(leaves(2)), plan()])]);
  await r.rest();
  expect(r.calls).toHaveLength(3);
  await r.jobs.cancel(root!.id);
  expect(r.calls.map((call) => call.context.signal.aborted)).toEqual([true, true, true]);
});

test('a run whose lease was taken elsewhere is aborted at its next renewal', async () => {
  await using r = await rig();
  r.dispatcher.start();
  const { jobs: [job] } = await r.jobs.submit([plan()]);
  await r.rest();
  await r.bench.run({ kind: 'recover', worker: 'local', limit: 1 }); // behind the dispatcher's back
  await r.bench.run({ kind: 'pause', jobId: job!.id });
  await r.pass(10_000);
  expect(r.calls[0]!.context.signal.aborted).toBe(true);
});

test('log lines are gathered, ten or 100 ms, in order, and none comes after the end', async () => {
  await using r = await rig();
  r.dispatcher.start();
  const { jobs: [job] } = await r.jobs.submit([plan()]);
  await r.rest();
  const { context } = r.calls[0]!;
  for (let i = 0; i < 25; i++) context.log(`line ${i}`);
  context.progress(0.5);
  const notes = (): unknown[] => r.sent.filter((command) => command.kind === 'note');
  expect(notes()).toHaveLength(2);
  await r.pass(99);
  expect(notes()).toHaveLength(2);
  await r.pass(1);
  expect(notes()).toHaveLength(3);
  context.log('last');
  r.calls[0]!.end();
  await r.rest();
  context.log('too late');
  context.progress(0.9);
  await r.pass(1_000);
  const events = await r.bench.events(job!.id);
  const lines = events.filter((event) => event.type === 'job:log').flatMap((event) => JSON.parse(event.data!).lines);
  expect(lines).toEqual([...Array.from({ length: 25 }, (_, i) => `line ${i}`), 'last']);
  expect(events.at(-1)!.type).toBe('job:complete');
  expect(notes()).toHaveLength(4);
});

test('progress that is no number is left out, and what is out of range is bounded', async () => {
  await using r = await rig();
  r.dispatcher.start();
  const { jobs: [job] } = await r.jobs.submit([plan()]);
  await r.rest();
  for (const [given, kept] of [[7, 1], [Number.NaN, 1], [-1, 0]] as const) {
    r.calls[0]!.context.progress(given);
    await r.pass(100);
    expect((await r.bench.job(job!.id)).progress).toBe(kept);
  }
});

test('stop interrupts what runs without burning a retry, and resolves only when that is written', async () => {
  await using r = await rig();
  r.dispatcher.start();
  const { jobs } = await r.jobs.submit(leaves(2));
  await r.rest();
  const stopped = r.dispatcher.stop();
  expect(r.calls.map((call) => call.context.signal.aborted)).toEqual([true, true]);
  for (const call of r.calls) call.end({ kind: 'interrupted', reason: 'told to' }); // lets go late or early: not counted twice
  await stopped;
  for (const { id } of jobs) {
    expect(await r.bench.record(id)).toMatchObject({ job: { status: 'queued', failures: 0, interruptions: 0 }, attempts: [{ outcome: 'interrupted' }] });
  }
  expect(r.sent.filter((command) => command.kind === 'finish')).toHaveLength(1);
});

test('stop waits for the disk even when a handler lets go while the end is being written', async () => {
  await using r = await rig();
  r.dispatcher.start();
  const { jobs: [job] } = await r.jobs.submit([plan()]);
  await r.rest();
  let written = false;
  let release: () => void = () => {};
  r.execute = async (command, next) => {
    if (command.kind === 'finish') await new Promise<void>((resolve) => { release = resolve; });
    const answer = await next(command);
    if (command.kind === 'finish') written = true;
    return answer;
  };
  let stopped = false;
  const stopping = r.dispatcher.stop().then(() => { stopped = true; });
  await r.rest();
  r.calls[0]!.end();
  await r.rest();
  expect(stopped).toBe(false);
  release();
  await stopping;
  expect(written).toBe(true);
  expect(await r.bench.status(job!.id)).toBe('queued');
});

test('a claim that is answered after stop began is handed back at once', async () => {
  await using r = await rig();
  r.dispatcher.start();
  await r.rest();
  let release: () => void = () => {};
  r.execute = async (command, next) => {
    const answer = await next(command);
    if (command.kind === 'claim') await new Promise<void>((resolve) => { release = resolve; });
    return answer;
  };
  const job = await r.bench.submit(plan());
  await r.rest();
  expect(await r.bench.status(job.id)).toBe('running');
  const stopped = r.dispatcher.stop();
  await r.rest();
  release();
  await stopped;
  expect(await r.bench.job(job.id)).toMatchObject({ status: 'queued', failures: 0, interruptions: 0 });
});

test('stop with grace lets what runs end by itself, and interrupts the rest when it is over', async () => {
  await using r = await rig();
  r.dispatcher.start();
  const { jobs: [quick, slow] } = await r.jobs.submit([...leaves(2), plan({ type: 'once' })]);
  await r.rest();
  const stopped = r.dispatcher.stop(5_000);
  const extra = await r.bench.submit(plan());
  r.calls.find((call) => call.claim.id === quick!.id)!.end();
  await r.pass(4_999);
  expect(await r.bench.status(slow!.id)).toBe('running');
  await r.pass(1);
  await stopped;
  expect(await Promise.all([quick!, slow!, extra].map((job) => r.bench.status(job.id)))).toEqual(['completed', 'queued', 'queued']);
});
