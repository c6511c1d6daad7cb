// Runs a decision and its follow-ups on a few jobs held in a map: the smallest engine there is.
import { type Answer, type Change, type Command, emptyAnswer, type Snapshot } from '../../src/domain/commands.ts';
import { decide } from '../../src/domain/decide.ts';
import { isFinal, type Job } from '../../src/domain/job.ts';
import { START } from '../support/clock.ts';
import { POLICIES } from '../support/make.ts';

export interface Decided {
  readonly jobs: ReadonlyMap<string, Job>;
  readonly changes: readonly Change[];
  readonly answer: Answer;
}

/** What the command comes to for these jobs. Sets reach only the counters of the parent, which is all that a decision sees of them. */
export function decideOn(jobs: readonly Job[], command: Command, now = START): Decided {
  const map = new Map(jobs.map((job) => [job.id, job]));
  const changes: Change[] = [];
  const answer = emptyAnswer();
  let count = 0;
  const env = { now, random: () => 0.5, newId: () => `job_new${++count}`, newScheduleId: () => 'sched_new', policies: POLICIES };
  const queue: Command[] = [command];
  while (queue.length > 0) {
    const all = [...map.values()];
    const snapshot: Snapshot = {
      job: (id) => map.get(id), found: all.filter((job) => !isFinal(job.status) && job.parentId === null), input: () => '{}', known: null,
      secret: () => null, kept: () => null, grant: null, freeGrantId: 0, treeOpen: all.some((job) => !isFinal(job.status)),
      schedule: () => undefined, template: () => null, run: () => undefined, served: () => 0, nextBuffered: () => undefined, openJobs: () => [],
    };
    const decided = decide(snapshot, queue.shift()!, env);
    for (const change of decided.list) {
      changes.push(change);
      if (change.kind === 'put' || change.kind === 'add') map.set(change.job.id, change.job);
      const parent = change.kind === 'cut' ? map.get(change.parentId) : undefined;
      if (parent !== undefined) {
        const c = parent.children;
        map.set(parent.id, { ...parent, children: { ...c, open: 0, waiting: 0, cancelled: c.cancelled + c.open } });
      }
    }
    answer.refused.push(...decided.answer.refused);
    answer.revoked.push(...decided.answer.revoked);
    answer.claimed.push(...decided.answer.claimed);
    queue.unshift(...decided.again);
  }
  return { jobs: map, changes, answer };
}
