// What the adapter makes of an engine's answers that a real engine gives in a moment too short to be met on purpose.
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createEngine } from '../../src/docker/engine.ts';
import { systemClock } from '../../src/runtime/system-clock.ts';

const folder = mkdtempSync(join(tmpdir(), 'muster-engine-'));
const socketPath = join(folder, 'engine.sock');
const server = createServer((_request, response) => {
  response.writeHead(409, { 'content-type': 'application/json' }).end('{"message":"can not get logs from container which is dead or marked for removal"}');
});
beforeAll(() => new Promise<void>((resolve) => { server.listen(socketPath, resolve); }));
afterAll(async () => {
  await new Promise((resolve) => { server.close(resolve); });
  rmSync(folder, { recursive: true, force: true });
});

test('output of a container that somebody is removing: it is gone, which is no failure of the job', async () => {
  const docker = createEngine({ socketPath }, systemClock);
  await expect(docker.logs('job_x-1', { follow: true, signal: new AbortController().signal })).rejects.toMatchObject({ code: 'not_found', message: expect.stringContaining('marked for removal') });
  docker.close();
});
