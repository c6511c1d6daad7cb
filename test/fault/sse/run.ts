// node test/fault/sse/run.ts --disconnects 2000 --kills 40 [--seed S]: readers that are cut off, on a server that is killed.
// node test/fault/sse/run.ts --never 50 --readers 200 [--seconds 60]: readers that never read, beside those that do.
import { parseArgs } from 'node:util';
import { runDisconnects } from './disconnects.ts';
import { neverText, runNever } from './never.ts';

const { values } = parseArgs({
  options: {
    disconnects: { type: 'string', default: '2000' }, kills: { type: 'string', default: '40' }, seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    never: { type: 'string' }, readers: { type: 'string', default: '200' }, seconds: { type: 'string', default: '60' }, rate: { type: 'string', default: '50' },
  },
});
const began = Date.now();
let violations: readonly string[];
if (values.never !== undefined) {
  const result = await runNever({ never: Number(values.never), readers: Number(values.readers), seconds: Number(values.seconds), rate: Number(values.rate) });
  console.log(neverText(result));
  ({ violations } = result);
} else {
  console.log(`seed ${values.seed}`);
  const result = await runDisconnects({ disconnects: Number(values.disconnects), kills: Number(values.kills), seed: values.seed });
  ({ violations } = result);
  console.log([
    `${result.disconnects} disconnects: ${Object.entries(result.cuts).filter(([name]) => name !== 'broken').map(([name, count]) => `${name} ${count}`).join(', ')}`,
    `${result.kills} kills, by which ${result.cuts.broken} streams broke off`,
    `${result.readers} readers, ${result.connections} connections, ${result.events} events in the log, ${result.delivered} delivered`,
    ...(result.kept === null ? [] : [`the database is kept in ${result.kept}`]),
  ].join('\n'));
}
for (const violation of violations) console.log(violation);
console.log(`${violations.length} violations, ${((Date.now() - began) / 1_000).toFixed(1)} s`);
process.exitCode = violations.length === 0 ? 0 : 1;
