// A real container engine for tests: there, or skipped aloud; in CI a skip is a failure.
import { execFileSync, spawnSync } from 'node:child_process';
import { ROOT } from '../fault/server.ts';

export const DEMO_IMAGE = 'muster-demo:latest';

const docker = (...args: string[]) => spawnSync('docker', args, { encoding: 'utf8' });

/** Why there is none here, or null. Makes the demo image if it is missing. */
export function noEngine(): string | null {
  const answer = docker('info', '--format', '{{.ServerVersion}}');
  if (answer.status !== 0) {
    if (process.env['CI'] === 'true') throw new Error(`No container engine answers; CI must have one: ${answer.stderr}`);
    console.warn('SKIPPED: no container engine answers here');
    return 'no container engine answers here';
  }
  if (docker('image', 'inspect', DEMO_IMAGE).status !== 0) execFileSync('scripts/demo-image', [DEMO_IMAGE], { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
  return null;
}

/** Ids of the containers of a job, whatever their state. */
export const containersOf = (jobId: string): string[] => docker('ps', '-aq', '--filter', `label=muster.job=${jobId}`).stdout.split('\n').filter((line) => line !== '');
