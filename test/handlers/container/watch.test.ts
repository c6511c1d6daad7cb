// An engine that is slow to hand out what was printed: it is read to its end, unless the job is asked to end meanwhile.
import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import type { ContainerState, Docker } from '../../../src/docker/docker.ts';
import { EMPTY_CAP } from '../../../src/handlers/container-cap.ts';
import { Masker } from '../../../src/handlers/container-secrets.ts';
import { Watch } from '../../../src/handlers/container-watch.ts';
import { FakeClock } from '../../support/clock.ts';

const EXITED: ContainerState = { id: 'c', name: 'c', imageId: 'i', labels: {}, status: 'exited', exitCode: 0, oomKilled: false, startedAt: 1, finishedAt: 2, error: '', tty: true };
const turn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });

/** @param next the following line, or null at the end; asked for with the number of lines before it */
function rig(next: (follow: boolean, before: number) => Promise<string | null>) {
  const clock = new FakeClock();
  const stopping = new AbortController();
  const read = { follow: 0, drain: 0 };
  const docker = {
    wait: async () => {},
    inspect: async () => EXITED,
    logs: async (_id: string, { follow }: { follow: boolean }) => {
      const kind = follow ? 'follow' as const : 'drain' as const;
      return Readable.from((async function* () {
        for (let line = await next(follow, 0); line !== null; line = await next(follow, read[kind])) {
          read[kind] += 1;
          yield Buffer.from(line);
        }
      })(), { objectMode: false, highWaterMark: 1 });
    },
  } as unknown as Docker;
  const watch = new Watch({
    docker, clock, id: 'c', tty: true, rawMax: 1_000_000, masker: new Masker([]), grace: undefined, signal: new AbortController().signal, stopping: stopping.signal,
    cursor: { stdout: 0, stderr: 0 }, cap: EMPTY_CAP, store: async () => {},
  });
  return { clock, stopping, read, watch };
}

test('a follower that is behind when the container has ended is let read on while it hears something', async () => {
  const { clock, read, watch } = rig(async (follow, before) => {
    if (before === 20) return null;
    if (follow) { await turn(); clock.advance(400); }
    return `line ${before}\n`;
  });
  expect(await watch.run()).toMatchObject({ isComplete: true, wasStopped: false });
  expect(read.follow).toBe(20);
});

test('what is asked to end while its output is still read ends with what was read', async () => {
  const { clock, stopping, read, watch } = rig(async (follow, before) => {
    if (follow) return null;
    await turn();
    if (before === 5) stopping.abort();
    clock.advance(100);
    return 'and so on\n';
  });
  expect(await watch.run()).toMatchObject({ isComplete: false, wasStopped: false, state: { exitCode: 0 } });
  expect(read.drain).toBeGreaterThan(50);
});
