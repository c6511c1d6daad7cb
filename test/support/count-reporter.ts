// The last line of a run: one plain count over all suites. On CI a skipped test is a failure, unless the kernel is the reason.
import type { Reporter, TestModule } from 'vitest/node';

export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const counts = { passed: 0, failed: 0, skipped: 0 };
    const skipped: string[] = [];
    for (const module of modules) {
      if (module.errors().length > 0 && !module.ok()) counts.failed += 1; // a file that could not even be read
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        counts[state === 'pending' ? 'failed' : state] += 1;
        if (state === 'skipped' && !test.fullName.includes('[kernel]')) skipped.push(test.fullName);
      }
    }
    if (process.env.CI === 'true' && skipped.length > 0) {
      process.exitCode = 1;
      console.log(`Skipped on CI, which counts as failed:\n  ${skipped.join('\n  ')}`);
    }
    // After vitest's own summary, so that this is the last line.
    process.on('exit', () => console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`));
  }
}
