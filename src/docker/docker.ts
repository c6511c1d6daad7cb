// The port to a container engine: types and prose. Only what the runner needs of it, and every call bounded.
//
// Calls end by their deadline or by the signal they were given, whichever comes first; streams are the caller's to destroy.
// What the engine says of an end is not believed here: whoever reads `ContainerState` decides what it is worth.
import type { Readable } from 'node:stream';

/**
 * unavailable: nobody answers, or not in time · not_found, conflict: as the engine says · full: its disk is ·
 * refused: it will not, and its message says why
 */
export type DockerErrorCode = 'unavailable' | 'not_found' | 'conflict' | 'full' | 'refused';

export class DockerError extends Error {
  readonly code: DockerErrorCode;

  constructor(code: DockerErrorCode, message: string) {
    super(message);
    this.name = 'DockerError';
    this.code = code;
  }
}

export const isUnavailable = (error: unknown): boolean => error instanceof DockerError && error.code === 'unavailable';
/** A connection that broke in the middle of a stream, in the port's words; anything else as it is. */
export function brokenOff(error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (!/^(ECONN|EPIPE|ERR_STREAM|ERR_SOCKET|ERR_HTTP|ABORT_ERR|HPE_)/.test(code)) return error;
  return new DockerError('unavailable', `The connection to the container engine broke off (${code}).`);
}

export const isMissing = (error: unknown): boolean => error instanceof DockerError && error.code === 'not_found';

export interface EngineIdentity {
  /** Another one after every start of the engine, as far as it lets itself be told. */
  readonly token: string;
  /** Containers outlive a restart of the engine, and it knows how they ended. */
  readonly liveRestore: boolean;
}

export interface ContainerState {
  readonly id: string;
  readonly name: string;
  readonly imageId: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly status: 'created' | 'running' | 'paused' | 'restarting' | 'removing' | 'exited' | 'dead';
  readonly exitCode: number;
  readonly oomKilled: boolean;
  /** Epoch ms, or null. A container that never started has an exit code 0 all the same. */
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  /** Why it could not be started, in the engine's words. */
  readonly error: string;
  readonly tty: boolean;
}

export interface ListedContainer {
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly status: string;
}

export interface LogOptions {
  /** Stays open until the container has ended. */
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

export interface Docker {
  identity(): Promise<EngineIdentity>;
  /** Id of an image that the engine has; null: it has none by that name. Nothing is ever pulled. */
  imageId(reference: string): Promise<string | null>;
  /** @param body as the engine's API takes it, made by the runner's profile alone */
  create(name: string, body: Readonly<Record<string, unknown>>): Promise<string>;
  inspect(idOrName: string): Promise<ContainerState | null>;
  /** Only what was just created: starting what has ended would run it again. */
  start(id: string): Promise<void>;
  /** Resolves when it runs no more, at once if it does not; no deadline but the signal. */
  wait(id: string, signal: AbortSignal): Promise<void>;
  /** From the first byte on: frames, or raw where it has a terminal. */
  logs(id: string, options: LogOptions): Promise<Readable>;
  kill(id: string, signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  unpause(id: string): Promise<void>;
  /** With its volumes, whatever its status; not there is as good. */
  remove(id: string): Promise<void>;
  /** Unpacks a tar archive at `path`. */
  putFiles(id: string, path: string, tar: Buffer): Promise<void>;
  /** `path` as a tar stream; null: there is no such path. */
  getFiles(id: string, path: string, signal: AbortSignal): Promise<Readable | null>;
  /** Is there a link at `path`? The engine follows those above it. */
  isLink(id: string, path: string): Promise<boolean>;
  /** Writes all of its standard input and closes it, as fast as it is read; no deadline but the signal. Never used to read: a stalled reader would freeze the container. */
  feed(id: string, input: Buffer, signal: AbortSignal): Promise<void>;
  list(label: string): Promise<ListedContainer[]>;
  close(): void;
}
