// One run: a tree, random steps, then everything driven to its end. The oracle looks after every commit.
import type { Command, NewJob } from '../../../src/domain/commands.ts';
import { isFinal } from '../../../src/domain/job.ts';
import { Broken, check, isMeant, Log } from './oracle.ts';
import { commandsOf, isDefect, type Row, type Step, TYPES, type World } from './world.ts';

/** More rounds than any tree of a run needs; beyond them something never settles. */
const ROUNDS = 200;

export interface Plan {
  readonly trees: readonly NewJob[];
  readonly steps: readonly (Step & { readonly together: boolean })[];
}

export function runPlan(world: World, { trees, steps }: Plan): void {
  world.log.length = 0;
  const log = new Log();
  let before = world.fingerprint();
  const commit = (commands: readonly Command[]): void => {
    const replies = world.commit(...commands);
    for (const reply of replies) {
      if (isDefect(reply)) throw new Broken(`the store could not carry out a decision: ${'refusal' in reply ? reply.refusal.message : ''}`);
    }
    const after = world.fingerprint();
    if (replies.every((reply) => 'refusal' in reply) && after !== before) throw new Broken('a refused command changed something');
    if (after !== before) check(world, log);
    before = after;
  };
  commit([{ kind: 'submit', jobs: trees }]);
  let held: Command[] = [];
  for (const step of steps) {
    if (step.do === 'remove' && held.length > 0) commit(held.splice(0)); // takes its events along: alone, so that the cursor can be checked
    held.push(...commandsOf(step, world));
    if (step.do !== 'remove' && step.together && held.length < 4) continue; // these share a commit, decided one after the other on what the last one left
    if (step.do === 'tick' || held.length > 1) commit(held);
    else for (const command of held) commit([command]);
    held = [];
  }
  if (held.length > 0) commit(held);
  drive(world, commit);
  for (const { job } of world.rows()) {
    if (!isFinal(job.status) && !isMeant(job, world.rows())) throw new Broken(`${job.id} is stuck: ${JSON.stringify(job)}`);
  }
  release(world, commit);
  const ends = world.rows().filter(({ job }) => !isFinal(job.status));
  if (ends.length > 0) throw new Broken(`these never end: ${JSON.stringify(ends.map(({ job }) => job))}`);
}

/** Lets workers and time do all they can: claims, ends well, waits for the next alarm. */
function drive(world: World, commit: (commands: readonly Command[]) => void): void {
  for (let round = 0; round < ROUNDS; round++) {
    const at = world.fingerprint();
    for (const type of TYPES) commit([{ kind: 'claim', worker: 'local', type, limit: 100 }]);
    const leased = world.rows().filter(({ job }) => job.leaseUntil !== null);
    if (leased.length > 0) {
      commit([{ kind: 'finish', ended: leased.map(({ job }) => ({ jobId: job.id, epoch: job.leaseEpoch, outcome: { kind: 'done', result: '{"ok":true}' } })) }]);
    }
    const alarm = nextAlarm(world.rows());
    if (alarm !== null) {
      world.now = Math.max(world.now, alarm);
      commit([{ kind: 'tick', limit: 100, spareLeases: false }]);
    }
    if (alarm === null && world.fingerprint() === at) return;
  }
  throw new Broken('it never comes to rest');
}

const nextAlarm = (rows: readonly Row[]): number | null =>
  rows.reduce<number | null>((least, { alarmAt }) => (alarmAt === null ? least : Math.min(least ?? Infinity, alarmAt)), null);

/** Takes back everything that was held, paused or left open on purpose, and drives on. */
function release(world: World, commit: (commands: readonly Command[]) => void): void {
  for (let round = 0; round < ROUNDS; round++) {
    const left = world.rows().map((row) => row.job).filter((job) => !isFinal(job.status));
    if (left.length === 0) return;
    for (const { id } of left) {
      const job = world.rows().find((row) => row.job.id === id)?.job;
      if (job === undefined || isFinal(job.status)) continue;
      if (job.status === 'paused') commit([{ kind: 'resume', jobId: id }]);
      else if (job.status === 'queued' && job.dueAt === null) commit([{ kind: 'start', jobId: id }]);
      else if (job.type === 'batch' && job.spec.sealed === false) commit([{ kind: 'edit', jobId: id, patch: { sealed: true } }]);
    }
    drive(world, commit);
  }
}
