// Files into a container and out of it, as tar. What comes out is only ever a regular file below the draft folder: links, devices
// and paths that lead elsewhere are refused and named.
import { createWriteStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type Header, extract, pack } from 'tar-stream';
import type { Docker } from '../docker/docker.ts';
import { type Artifacts, contentTypeOf } from '../orchestrator/artifacts.ts';
import { belowWork, type ContainerInput, VOLUME, WORK } from './container-input.ts';
import { ownerOf } from './container-profile.ts';

/** What a job may leave: files, bytes of all of them. One disk serves every job. */
export const ARTIFACTS_MAX = 1_000;
export const ARTIFACT_BYTES_MAX = 256 * 1024 * 1024;
/** Passed over at most: 100 empty files of 100 MB took 110 s to read, and the job's time was long over. */
const ENTRIES_MAX = 10_000;
const SKIPPED_BYTES_MAX = ARTIFACT_BYTES_MAX;
const PATH_MAX = 1_024;
const DEPTH_MAX = 32;

/** The work folder with the job's files in it, for the volume's root. */
export async function packFiles(input: ContainerInput): Promise<Buffer> {
  const archive = pack();
  const owner = ownerOf(input);
  const folder = WORK.slice(VOLUME.length + 1);
  const made = new Set<string>();
  const makeFolder = (path: string): void => {
    if (path === '.' || made.has(path)) return;
    makeFolder(dirname(path));
    made.add(path);
    archive.entry({ name: `${path}/`, type: 'directory', mode: 0o755, ...owner });
  };
  makeFolder(folder);
  for (const { path, content, base64, mode = 0o644 } of input.files ?? []) {
    const name = `${folder}/${belowWork(path)}`;
    makeFolder(dirname(name));
    archive.entry({ name, mode, ...owner }, content === undefined ? Buffer.from(base64 ?? '', 'base64') : Buffer.from(content));
  }
  archive.finalize();
  const parts: Buffer[] = [];
  for await (const part of archive as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts);
}

export interface Kept {
  readonly artifacts: readonly { readonly path: string; readonly size: number; readonly contentType: string }[];
  readonly refused: readonly { readonly path: string; readonly reason: string }[];
}

/** Why an entry is not kept; null: it may be. */
export function refuseEntry({ type, name }: Pick<Header, 'type' | 'name'>): string | null {
  if (type === 'symlink' || type === 'link') return 'a link';
  if (type !== 'file' && type !== 'contiguous-file' && type !== 'directory') return `a ${type ?? 'special file'}`;
  const parts = name.replace(/\/$/, '').split('/');
  if (name.startsWith('/') || name.includes('\\') || /\p{Cc}/u.test(name) || parts.some((part) => part === '..' || part === '.' || part === '')) return 'a path that leads elsewhere';
  if (name.length > PATH_MAX || parts.length > DEPTH_MAX) return 'too long a path';
  return null;
}

/** The engine would follow it, out of the work folder as well. Nothing changes any more: the container has ended. */
async function isBelowLink(docker: Docker, id: string, want: string): Promise<boolean> {
  const parts = want.split('/');
  for (let n = 1; n < parts.length; n++) if (await docker.isLink(id, `${WORK}/${parts.slice(0, n).join('/')}`)) return true;
  return false;
}

/** Copies what was asked for out of a container that has ended, and publishes it. */
export async function keepFiles(docker: Docker, id: string, jobId: string, wanted: readonly string[], store: Artifacts, signal: AbortSignal): Promise<Kept> {
  const draft = store.draftOf(jobId);
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { recursive: true, mode: 0o700 });
  const kept = new Map<string, Kept['artifacts'][number]>();
  const refused: { path: string; reason: string }[] = [];
  let left = ARTIFACT_BYTES_MAX;
  let entries = 0;
  let skipped = 0;
  for (const want of new Set(wanted.map(belowWork))) {
    if (await isBelowLink(docker, id, want)) {
      refused.push({ path: want, reason: 'below a link' });
      continue;
    }
    const tar = await docker.getFiles(id, `${WORK}/${want}`, signal);
    if (tar === null) {
      refused.push({ path: want, reason: 'not there' });
      continue;
    }
    const above = dirname(want) === '.' ? '' : `${dirname(want)}/`; // the archive begins with the last part of the path
    const reader = extract();
    const feeding = pipeline(tar, reader, { signal });
    feeding.catch(() => {}); // whoever reads the entries hears of it
    let isCut = false;
    for await (const entry of reader) {
      const { header } = entry;
      if (++entries > ENTRIES_MAX) {
        isCut = true;
        break;
      }
      const path = `${above}${header.name.replace(/\/$/, '')}`;
      const why = refuseEntry(header) ?? refuseEntry({ type: 'file', name: path })
        ?? (header.type === 'directory' ? null : kept.size >= ARTIFACTS_MAX && !kept.has(path) ? `more than ${ARTIFACTS_MAX} files` : (header.size ?? 0) > left ? `more than ${ARTIFACT_BYTES_MAX} bytes in all` : null);
      if (why !== null || header.type === 'directory') {
        if (why !== null && refused.length < 100) refused.push({ path: path.slice(0, PATH_MAX), reason: why });
        skipped += header.size ?? 0;
        if (skipped > SKIPPED_BYTES_MAX) {
          isCut = true;
          break;
        }
        entry.resume();
        continue;
      }
      await mkdir(dirname(join(draft, path)), { recursive: true, mode: 0o700 });
      await pipeline(entry, createWriteStream(join(draft, path), { mode: 0o600 }), { signal });
      left -= header.size ?? 0;
      kept.set(path, { path, size: header.size ?? 0, contentType: contentTypeOf(path) });
    }
    if (isCut) {
      tar.destroy();
      refused.push({ path: want, reason: `the rest of it: too much to look through, more than ${ENTRIES_MAX} entries or ${SKIPPED_BYTES_MAX} bytes that are not kept` });
      break;
    }
    await feeding;
  }
  await store.publish(jobId);
  return { artifacts: [...kept.values()], refused };
}
