// Output of work outside of this process: bytes, how far it was read and what was dropped, all in one transaction.
import type { Command, OutputChunk } from './commands.ts';
import { held } from './decide-run.ts';
import type { Draft } from './draft.ts';
import { DomainError } from './errors.ts';

export function decideKeep(d: Draft, { jobId, epoch, keep }: Extract<Command, { kind: 'keep' }>): void {
  const job = held(d, { jobId, epoch });
  if (job === null) throw new DomainError('lease_lost', d.answer.refused[0]?.message ?? 'The lease is over.');
  for (const chunk of keep.chunks) d.output(job, chunkData(chunk), chunk.bytes);
  if (keep.gap !== undefined) d.event(job, 'job:gap', keep.gap);
  d.keep({ kind: 'keep', jobId, attempt: job.attempt, keep });
  d.put({ ...job, logBytes: keep.totals.bytes - keep.totals.droppedBytes });
}

/** What the event says of its bytes. Every reader knows an event of output by how it begins. */
function chunkData({ stream, offset, count, bytes, continues, open }: OutputChunk): string {
  return `{"stream":"${stream}","offset":${offset},"count":${count},"bytes":${bytes.byteLength}${continues === true ? ',"continues":true' : ''}${open === true ? ',"open":true' : ''}}`;
}
