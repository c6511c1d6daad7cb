// Cases 48 to 63 when connecting: in a network namespace of its own, where every address leads to a listener that sees
// whatever gets out. The namespace, its routes and its hosts file are gone with the process.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, expect, test } from 'vitest';
import { CLOSED_URLS } from './egress.ts';
import type { Report } from './namespace-inside.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** It takes 10 s. */
const LONGEST = 90_000;
let report: Report;

beforeAll(async () => {
  const asRoot = process.getuid?.() === 0 ? [] : ['--map-root-user'];
  const { stdout } = await promisify(execFile)('unshare', [...asRoot, '--net', '--mount', process.execPath, 'test/attacks/namespace-inside.ts'], { cwd: ROOT, timeout: LONGEST, maxBuffer: 1 << 20 })
    .catch((error: Error & { stderr?: string }) => { throw new Error(`No network namespace of our own (it needs unshare, iproute2, and root or user namespaces): ${error.message}\n${error.stderr}`); });
  report = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Report;
}, LONGEST);

const PUBLIC = '93.184.215.14:80';
const CLOSED = CLOSED_URLS.reduce((sum, [, urls]) => sum + urls.length, 0);
const STEPS: readonly [name: string, said: Record<string, number>, reached: string[]][] = [
  ['case 48: closed addresses as they are', { 422: CLOSED }, []],
  ['case 51: names that lead to closed addresses', { egress_refused: 12 }, []],
  ['case 51: a callback to a name that leads to metadata', { completed: 1, egress_refused: 1 }, []],
  ['case 54: a name that answers public and private in turns', { answer: 500, refused: 500 }, [PUBLIC]],
  ['case 55: a name with one private address among public ones', { refused: 300 }, []],
  ['case 56: a redirect to metadata', { http_status: 1 }, [PUBLIC]],
  ['case 61: literals, which no lookup sees', { refused: 596 }, []],
  ['case 62: public addresses, past the proxies of the environment', { completed: 4 }, ['2606:2800:21f:cb07::1:80', PUBLIC]],
  ['case 63: only the listed range', { completed: 1, egress_refused: 11 }, ['10.1.2.3:80']],
];

test('the listener sees whoever goes past the guard, at every address', () => {
  expect(Object.keys(report.controls)).toHaveLength(8);
  expect(Object.values(report.controls).every(Boolean)).toBe(true);
});

test.each(STEPS)('%s', (name, said, reached) => expect(report.steps[name]).toEqual({ said, reached }));

test('no step is left out', () => expect(Object.keys(report.steps).sort()).toEqual(STEPS.map(([name]) => name).sort()));
