// node test/fault/acks/run.ts [--submits 10000] [--seed S]: the order of every answer, as strace saw it.
import { parseArgs } from 'node:util';
import { traceAcks } from './traced.ts';

const { values } = parseArgs({ options: { submits: { type: 'string', default: '1000' }, seed: { type: 'string', default: String(Date.now() % 1_000_000) } } });
console.log(`seed ${values.seed}`);
const began = Date.now();
const { violations, acks, transactions, syncs, lines } = await traceAcks({ submits: Number(values.submits), seed: values.seed });
console.log(`${values.submits} submits: ${acks} acknowledged changes in ${transactions} transactions, ${syncs} syncs of the log; ${lines} lines of strace, ${((Date.now() - began) / 1_000).toFixed(1)} s`);
for (const violation of violations) console.log(violation);
console.log(violations.length === 0 ? 'Between the last frame of each and its answer a sync of the log began and ended.' : `${violations.length} violations`);
process.exitCode = violations.length === 0 ? 0 : 1;
