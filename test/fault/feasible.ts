// Whether a fault can be tested on this machine. What the kernel cannot do is skipped aloud; anything else that is
// missing fails on CI (test/support/count-reporter.ts tells the two apart by the name).
import { describe } from 'vitest';

/** A suite that says aloud why it is skipped. @param cannot what a nemesis' feasible() answered */
export function describeIf(cannot: string | null, name: string, tests: () => void): void {
  if (cannot === null) return void describe(name, tests);
  console.warn(`SKIPPED: ${name}: ${cannot}`);
  describe.skip(cannot.startsWith('the kernel') ? `${name} [kernel]` : name, tests);
}
