// Files that jobs leave: a folder per job beside the database, complete before the job's end is written, gone with the job.
// A path from outside is only ever compared with what is there; it is never joined to anything.
import { createReadStream, type ReadStream } from 'node:fs';
import { lstat, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';

export interface Artifact {
  /** Relative, with slashes, below the folder of its job. */
  readonly path: string;
  readonly size: number;
  readonly contentType: string;
}
export interface OpenArtifact extends Artifact {
  readonly stream: ReadStream;
}

const JOB_ID = /^job_[0-9a-z]{26}$/;
/** What agents write. Anything else is bytes; nothing is sniffed. */
const TYPES: Readonly<Record<string, string>> = {
  '.txt': 'text/plain; charset=utf-8', '.log': 'text/plain; charset=utf-8', '.md': 'text/markdown; charset=utf-8', '.csv': 'text/csv; charset=utf-8',
  '.json': 'application/json', '.jsonl': 'application/x-ndjson', '.html': 'text/html; charset=utf-8', '.xml': 'application/xml', '.yaml': 'application/yaml',
  '.yml': 'application/yaml', '.pdf': 'application/pdf', '.png': 'image/png', '.jpg': 'image/jpeg', '.jpeg': 'image/jpeg', '.gif': 'image/gif',
  '.webp': 'image/webp', '.svg': 'image/svg+xml', '.zip': 'application/zip', '.gz': 'application/gzip', '.tar': 'application/x-tar',
};
export const contentTypeOf = (path: string): string => TYPES[extname(path).toLowerCase()] ?? 'application/octet-stream';

const absent = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ENOENT';

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export class Artifacts {
  /** `<MUSTER_DB>.artifacts` */
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  /** By path. A job without any, or that is not there, has none. */
  async list(jobId: string): Promise<Artifact[]> {
    if (!JOB_ID.test(jobId)) return [];
    const folder = join(this.root, jobId);
    const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error: unknown) => {
      if (absent(error)) return [];
      throw error;
    });
    const found = await Promise.all(entries.filter((entry) => entry.isFile()).map(async (entry): Promise<Artifact> => {
      const file = join(entry.parentPath, entry.name);
      const path = file.slice(folder.length + 1);
      return { path, size: (await lstat(file)).size, contentType: contentTypeOf(path) };
    }));
    return found.sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  /** null: there is none of that path. The stream must be read or destroyed. */
  async open(jobId: string, path: string): Promise<OpenArtifact | null> {
    const artifact = (await this.list(jobId)).find((one) => one.path === path);
    return artifact === undefined ? null : { ...artifact, stream: createReadStream(join(this.root, jobId, artifact.path)) };
  }

  /** Where a run gathers its files until `publish`. */
  draftOf(jobId: string): string { return join(this.root, `${jobId}.draft`); }

  /** The draft becomes what the job left, in place of what an earlier attempt did; durable when it resolves. */
  async publish(jobId: string): Promise<void> {
    const draft = this.draftOf(jobId);
    for (const entry of await readdir(draft, { recursive: true, withFileTypes: true })) await sync(join(entry.parentPath, entry.name));
    await sync(draft);
    await rm(join(this.root, jobId), { recursive: true, force: true });
    await rename(draft, join(this.root, jobId));
    await sync(this.root);
    await sync(dirname(this.root));
  }

  /** Removes the folders of jobs that are gone. */
  async sweep(exists: (jobId: string) => Promise<boolean>): Promise<void> {
    const names = await readdir(this.root).catch((error: unknown) => {
      if (absent(error)) return [];
      throw error;
    });
    for (const name of names) {
      const jobId = name.replace(/\.draft$/, '');
      if (JOB_ID.test(jobId) && !(await exists(jobId))) await rm(join(this.root, name), { recursive: true, force: true });
    }
  }
}
