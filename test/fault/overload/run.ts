// node test/fault/overload/run.ts --seconds 120 [--plateau 10] [--seed S]: ten times what the server can take.
import { parseArgs } from 'node:util';
import { overloadText, runOverload } from './overload.ts';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '120' }, plateau: { type: 'string', default: '10' }, seed: { type: 'string', default: String(Date.now() % 1_000_000) } } });
console.log(`seed ${values.seed}`);
const result = await runOverload({ seconds: Number(values.seconds), plateauSeconds: Number(values.plateau), seed: values.seed });
console.log(overloadText(result));
for (const violation of result.violations) console.log(violation);
console.log(`${result.violations.length} violations`);
process.exitCode = result.violations.length === 0 ? 0 : 1;
