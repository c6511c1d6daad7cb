// How long a line takes from a container's write to a client of the operations stream, in printed figures:
//   node bench/line-delay.ts [lines=200] [pause between them, seconds=0.05]
// The container prints the machine's uptime (10 ms steps, the same clock inside and outside); here it is read again on arrival.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServerProcess } from '../test/fault/server.ts';
import { DEMO_IMAGE, noEngine } from '../test/support/engine.ts';

const [lines = '200', pause = '0.05'] = process.argv.slice(2);
const ZERO = '0x0000000000000000000000000000000000000000';
const uptime = (): number => Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);

if (noEngine() !== null) process.exit(1);
const folder = mkdtempSync(join(tmpdir(), 'muster-delay-'));
const server = new ServerProcess(['src/start.mjs'], join(folder, 'muster.db'), { env: { MUSTER_IMAGES: DEMO_IMAGE } });
try {
  const { url } = await server.ready;
  const post = async (path: string, body: unknown): Promise<{ id: number | string }> =>
    (await (await fetch(url + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })).json()) as { id: number | string };
  const script = `i=0; while [ $i -lt ${lines} ]; do i=$((i + 1)); read now rest < /proc/uptime; echo "$now"; sleep ${pause}; done`;
  const grant = await post('/api/grants', { grantor: ZERO, grantee: ZERO, operation: 'delay', template: { type: 'container', input: { image: DEMO_IMAGE, command: ['sh', '-c', script] } } });
  const operation = await post('/api/v1/operations', { app_signature: `0x${'0'.repeat(130)}`, operation_request_json: JSON.stringify({ permission_id: grant.id }) });
  const delays: number[] = [];
  const { body } = await fetch(`${url}/api/v1/operations/${operation.id}/stream`);
  const decoder = new TextDecoder();
  let rest = '';
  for await (const part of body ?? []) {
    const now = uptime();
    rest += decoder.decode(part as Uint8Array, { stream: true });
    for (let at = rest.indexOf('\n\n'); at >= 0; at = rest.indexOf('\n\n')) {
      const written = /"type":"log","content":"([\d.]+)"/.exec(rest.slice(0, at))?.[1];
      if (written !== undefined) delays.push((now - Number(written)) * 1_000);
      rest = rest.slice(at + 2);
    }
  }
  delays.sort((a, b) => a - b);
  const quantile = (q: number): string => (delays[Math.min(delays.length - 1, Math.floor(delays.length * q))] ?? Number.NaN).toFixed(0);
  console.log(`${delays.length} lines, ${pause} s apart: line written → line received, ms: median ${quantile(0.5)}, p90 ${quantile(0.9)}, p99 ${quantile(0.99)}, most ${quantile(1)} (uptime in steps of 10 ms)`);
} finally {
  await server.kill('SIGTERM');
  rmSync(folder, { recursive: true, force: true });
}
