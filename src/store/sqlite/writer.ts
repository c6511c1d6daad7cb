// The writer's thread: takes batches of commands, commits them together, answers once they are on disk.
// In a thread of its own so that a slow or frozen disk never stops reads, streams and health checks.
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { Answer, Command } from '../../domain/commands.ts';
import type { DomainError, ErrorCode, ErrorDetails } from '../../domain/errors.ts';
import type { Policies } from '../../domain/policy.ts';
import { nextBatch } from './admission.ts';
import type { Reply } from './committer.ts';
import { type Core, openCore } from './core.ts';
import { StorageFailure } from './failure.ts';
import { type PackedTask, packReport, unpackTask } from './message.ts';

export interface WriterData {
  readonly path: string;
  readonly policies: Policies;
  readonly synchronous: 'FULL' | 'NORMAL' | 'OFF';
}
export interface Sent { readonly id: number; readonly command: Command; readonly now: number }
export type Task = { readonly kind: 'commands'; readonly list: readonly Sent[] }
  /** Carried out after everything sent before it and before everything sent after it. */
  | { readonly kind: 'shift'; readonly id: number; readonly by: number }
  | { readonly kind: 'forget'; readonly id: number; readonly before: number; readonly limit: number }
  | { readonly kind: 'close' };
export interface Refused { readonly id: number; readonly refusal: { readonly code: ErrorCode; readonly message: string; readonly details: ErrorDetails } }
export type Done = { readonly id: number; readonly answer: Answer } | Refused;
export type Report =
  | { readonly kind: 'ready'; readonly synchronous: number; readonly journal: string }
  | { readonly kind: 'done'; readonly list: readonly Done[]; readonly full: boolean; readonly lastSeq: number }
  | { readonly kind: 'count'; readonly id: number; readonly count: number }
  | { readonly kind: 'full'; readonly full: boolean }
  | { readonly kind: 'closed' }
  | { readonly kind: 'failed'; readonly message: string };

/** How often a full disk is tried again, ms. */
const PROBE_EVERY = 1_000;

export const toDone = (id: number, reply: Reply): Done =>
  'answer' in reply ? { id, answer: reply.answer } : { id, refusal: plain(reply.refusal) };
const plain = ({ code, message, details }: DomainError) => ({ code, message, details });

function serve(port: NonNullable<typeof parentPort>, data: WriterData): void {
  const send = (report: Report): void => port.postMessage(packReport(report));
  const core = openCore(data.path, data.policies, data.synchronous);
  const { committer } = core;
  let probe: NodeJS.Timeout | null = null;

  /** Lets the thread end; a probe left running would keep the process alive. */
  const leave = (): void => {
    if (probe !== null) clearInterval(probe);
    port.close();
  };
  const work = (initial: Task): void => {
    const queue: Sent[] = [];
    const others: Task[] = [];
    const commitSome = (): void => {
      const batch = nextBatch(queue);
      if (batch.length > 0) commit(core, batch, send);
    };
    const take = (task: Task): void => {
      if (task.kind === 'commands') queue.push(...task.list);
      else if (task.kind === 'shift') {
        while (queue.length > 0) commitSome();
        const isDone = core.shift(task.by);
        send({ kind: 'count', id: task.id, count: isDone ? 1 : 0 });
      }
      else others.push(task);
    };
    take(initial);
    do {
      for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) take(unpackTask(next.message as PackedTask));
      commitSome();
    } while (queue.length > 0);
    for (const task of others) {
      if (task.kind === 'forget') send({ kind: 'count', id: task.id, count: core.forgetKeys(task.before, task.limit) });
      if (task.kind === 'close') {
        core.close();
        send({ kind: 'closed' });
        leave();
      }
    }
    if (committer.full && probe === null) probe = setInterval(recover, PROBE_EVERY);
  };
  const recover = (): void => {
    committer.probe();
    if (committer.full || probe === null) return;
    clearInterval(probe);
    probe = null;
    send({ kind: 'full', full: false });
  };

  let hasFailed = false;
  port.on('message', (task: PackedTask) => {
    if (hasFailed) return; // a closed port still hands over what was under way; not one more write to a file that failed
    try {
      work(unpackTask(task));
    } catch (error) {
      hasFailed = true;
      // Nothing more is acknowledged; the process stops, and the next start checks the file before it takes a write.
      send({ kind: 'failed', message: error instanceof StorageFailure ? error.message : `The writer failed: ${String(error)}` });
      leave();
    }
  });
  send({ kind: 'ready', ...core.facts });
}

function commit({ committer, lastSeq }: Core, batch: readonly Sent[], send: (report: Report) => void): void {
  const replies = committer.commit(batch);
  send({ kind: 'done', list: replies.map((reply, i) => toDone(batch[i]?.id ?? -1, reply)), full: committer.full, lastSeq: lastSeq() });
}

if (parentPort !== null) serve(parentPort, workerData as WriterData);
