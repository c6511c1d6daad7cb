// What a container job takes. Everything that is not named here is refused: no client ever sends the engine a setting of its own.
import { z } from 'zod';
import { linesOf, SECRET_MIN } from './container-secrets.ts';

const MiB = 1024 * 1024;
/** CONTRACT 3.5's agents have 512 MB, one processor and 300 s; pids hold a fork bomb (RELIABILITY R26: 64 to 256). */
export const DEFAULT_LIMITS = { memory: 512 * MiB, cpus: 1, pids: 128 } as const;
/** The engine's own file of what was printed has no cap; this ends who never stops. */
export const RAW_OUTPUT_MAX = 256_000_000;
export const GRACE_DEFAULT = 10_000;
export const GRACE_MAX = 60_000;
/** The volume's own root belongs to root and stays so; a folder in it can be given to the container's user. */
export const VOLUME = '/muster';
/** Where files are put and artifacts are looked for; the working directory of a job that has either. */
export const WORK = `${VOLUME}/work`;
/** Within one body of 1 MiB, so that the refusal says which it was. */
const FILE_BYTES = 768 * 1024;
/** What agents are given is keys and settings; more belongs in a file. */
const VALUE_MAX = 32 * 1024;

const SEGMENT = '[a-z0-9]+(?:(?:\\.|_{1,2}|-+)[a-z0-9]+)*';
/** A reference with its tag or digest: what runs must not depend on what "latest" happens to be somewhere. */
const IMAGE = new RegExp(`^(?:[a-z0-9][a-z0-9.-]*(?::[0-9]{1,5})?/)?${SEGMENT}(?:/${SEGMENT})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$`);
const isReference = (text: string): boolean => text.length <= 255 && IMAGE.test(text);
const hasVersion = (text: string): boolean => /@|:[^/]+$/.test(text);

const noNul = (text: string): boolean => !text.includes('\0');
const isPlainPath = (path: string): boolean => noNul(path) && !path.split('/').some((part) => part === '..' || part === '.');
/** `./out/report.txt`, `out/report.txt`, `out/report.txt/` and `/muster/work/out/report.txt` are the same. */
export function belowWork(path: string): string {
  const from = path.startsWith('./') ? 2 : path.startsWith(`${WORK}/`) ? WORK.length + 1 : 0;
  let to = path.length;
  while (to > from && path[to - 1] === '/') to--;
  return path.slice(from, to);
}
const isBelowWork = (path: string): boolean => {
  const rest = belowWork(path);
  return rest !== '' && !rest.startsWith('/') && isPlainPath(rest) && !rest.includes('//');
};
const below = (what: string) => z.string().min(1).max(512).refine(isBelowWork, `must be a path below ${WORK}, without "..": ${what}`);

const name = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'must be letters, digits and "_"')
  .refine((text) => !/^LD_/i.test(text), 'changes how programs are loaded; build it into the image');
const value = z.string().max(VALUE_MAX).refine(noNul, 'holds a NUL');
const FORBIDDEN_DIRS = /^\/(?:proc|sys|dev)(?:\/|$)/;

const file = z.strictObject({
  path: below('such as "in/question.txt"'),
  content: z.string().optional().describe('Text'),
  base64: z.base64().optional().describe('Bytes'),
  mode: z.int().min(0).max(0o777).optional().describe('Permissions; default 420 (0644)'),
}).refine((one) => (one.content === undefined) !== (one.base64 === undefined), 'needs either content or base64');

export interface ContainerRules {
  /** Exact references, or beginnings that end with "*". Empty: no container may run. */
  readonly images: readonly string[];
  readonly network: 'none' | 'bridge';
}

export function isAllowed(images: readonly string[], image: string): boolean {
  return images.some((rule) => (rule.endsWith('*') ? image.startsWith(rule.slice(0, -1)) : rule === image));
}

export const notAllowed = (images: readonly string[], image: string): string => (images.length === 0
  ? 'No container may run: this server has no images allowed. Set MUSTER_IMAGES to those that may, such as muster-demo:latest.'
  : `The image ${image} is not allowed here: MUSTER_IMAGES names those that may run.`);

export const containerInput = ({ images, network }: ContainerRules) => z.strictObject({
  image: z.string().max(255).refine(isReference, 'is no reference of an image, such as python:3.13-slim')
    .refine((text) => !isReference(text) || hasVersion(text), 'names no version: add a tag or a digest, such as python:3.13-slim')
    .superRefine((image, context) => {
      if (isReference(image) && hasVersion(image) && !isAllowed(images, image)) context.addIssue({ code: 'custom', message: `may not run. ${notAllowed(images, image)}` });
    }).describe('What to run, with its tag or digest; it must be on the engine already'),
  command: z.array(z.string().max(128 * 1024).refine(noNul, 'holds a NUL')).max(1_000).optional().describe('In place of the image\'s own'),
  entrypoint: z.array(z.string().max(4_096).refine(noNul, 'holds a NUL')).max(100).optional(),
  env: z.record(name, value).optional(),
  secrets: z.record(name, value.min(SECRET_MIN, `must have at least ${SECRET_MIN} characters, or masking it would hide half of the output`)
    .refine((text) => text.length < SECRET_MIN || linesOf(text).length > 0, `must have a line of at least ${SECRET_MIN} characters: shorter ones are not masked`)).optional()
    .describe('Environment too, but never shown again: not by a read, an event or a log; what the container prints of them is masked'),
  workingDir: z.string().max(512).refine((path) => path.startsWith('/') && isPlainPath(path.slice(1)) && !path.includes('//') && !FORBIDDEN_DIRS.test(path), 'must be an absolute path outside of /proc, /sys and /dev, without ".." and "//"').optional(),
  stdin: z.string().optional().describe('Standard input, closed after it'),
  tty: z.boolean().optional().describe('A terminal: one raw stream, in which standard error is not told apart'),
  user: z.string().regex(/^[1-9]\d{0,9}(?::[1-9]\d{0,9})?$/, 'must be a number, or two with ":", and not root').optional().describe('uid or uid:gid; default 65534'),
  limits: z.strictObject({
    memory: z.int().min(6 * MiB).max(64 * 1024 * MiB).optional().describe('Bytes; default 512 MiB'),
    cpus: z.number().min(0.01).max(64).optional().describe('Processors; default 1'),
    pids: z.int().min(1).max(256).optional().describe('Processes and threads; default 128'),
    output: z.int().min(1).max(RAW_OUTPUT_MAX).optional().describe('Bytes printed after which it is ended; of those at most 10,000,000 are kept'),
  }).optional(),
  network: z.enum(['none', 'bridge']).refine((wish) => wish === 'none' || network === 'bridge', 'may not be bridge here: MUSTER_CONTAINER_NETWORK=bridge would allow it').optional().describe('Default none'),
  files: z.array(file).max(100).refine((files) => files.reduce((sum, one) => sum + (one.content?.length ?? one.base64?.length ?? 0), 0) <= FILE_BYTES, `are more than ${FILE_BYTES} bytes`).optional(),
  artifacts: z.array(below('such as "out/"')).max(20).optional().describe(`Files and folders below ${WORK} that are kept when it has ended`),
  grace: z.int().min(0).max(GRACE_MAX).optional().describe('ms between asking it to end (TERM) and ending it (KILL); default 10000'),
});
export type ContainerInput = z.infer<ReturnType<typeof containerInput>>;
