// A container that runs: its output is followed, its end awaited and, when it is asked to end, brought about; all at once.
import type { Clock } from '../domain/clock.ts';
import { brokenOff, type ContainerState, type Docker, isMissing } from '../docker/docker.ts';
import { FrameParser, mendLines } from '../docker/frames.ts';
import { AgentWatch, type AgentAnswer } from './container-agent.ts';
import type { CapState } from './container-cap.ts';
import type { Stream } from './container-gather.ts';
import { GRACE_DEFAULT } from './container-input.ts';
import { type Cursor, Output, type OutputOptions } from './container-output.ts';
import type { Masker } from './container-secrets.ts';

/** A followed log ends by itself when the container has; one that is silent so long, ms, is closed, and the rest is read without following. */
const FOLLOW_SILENCE = 500;
/** Output that is still being read so long, ms, after it was stopped is left: an engine hands out some 30,000 lines a second. */
const READ_AFTER_STOP = 10_000;
/** A log that ended while the container runs is followed again. */
const AGAIN = 500;
/** KILL ends a process at once, unless it waits for a disk; longer than this nobody does. */
const KILL_GRACE = 3_000;

export interface WatchOptions extends Pick<OutputOptions, 'store'> {
  readonly docker: Docker;
  readonly clock: Clock;
  readonly id: string;
  readonly tty: boolean;
  readonly rawMax: number;
  readonly masker: Masker;
  readonly grace: number | undefined;
  readonly signal: AbortSignal;
  readonly stopping: AbortSignal;
  readonly cursor: Cursor;
  readonly cap: CapState;
}

export interface Watched {
  /** null: it was removed by somebody else. */
  readonly state: ContainerState | null;
  readonly isOverLimit: boolean;
  /** It was still running when it was asked to end. */
  readonly wasStopped: boolean;
  /** Its output was read to the end. */
  readonly isComplete: boolean;
  readonly answer: AgentAnswer | null;
}

export class Watch {
  readonly output: Output;
  readonly #o: WatchOptions;
  readonly #agent: AgentWatch;
  /** Aborted when all is over, whatever the way; every call and stream hangs on it. */
  readonly #over = new AbortController();
  readonly #exited = new AbortController();
  readonly #overLimit = new AbortController();
  /** Aborted when it was asked to end and all that is left is reading: what was not read yet is left. */
  readonly #enough = new AbortController();
  /** Handed on to the output so far; of standard output also to the agent's answer. */
  #read: Record<Stream, number>;
  #judged = 0;
  #failure: unknown = null;
  #wasStopped = false;

  constructor(options: WatchOptions) {
    this.#o = options;
    this.#read = { ...options.cursor };
    this.#agent = new AgentWatch(options.masker);
    this.output = new Output({
      clock: options.clock, masker: options.masker, cursor: options.cursor, cap: options.cap, signal: this.#over.signal, store: options.store,
      onLost: (error) => { this.#failure ??= error; this.#over.abort(error); },
    });
  }

  /** @throws what the engine or the store threw: nothing is lost by it, whoever comes next goes on from the cursor */
  async run(): Promise<Watched> {
    const { signal, stopping } = this.#o;
    const giveUp = (): void => this.#over.abort(signal.reason);
    if (signal.aborted) giveUp();
    signal.addEventListener('abort', giveUp, { once: true });
    const stop = (): void => { this.#stop().catch((error: unknown) => this.#fail(error)); };
    stopping.addEventListener('abort', stop, { once: true });
    if (stopping.aborted) stop();
    try {
      const ending = this.#o.docker.wait(this.#o.id, this.#over.signal).then(() => this.#exited.abort(), (error: unknown) => {
        if (isMissing(error)) this.#exited.abort();
        else this.#fail(error);
      });
      const following = this.#follow().catch((error: unknown) => { if (!isMissing(error)) this.#fail(error); });
      await ending;
      await following;
      this.#throwFailure();
      const isComplete = this.#overLimit.signal.aborted ? false : await this.#drain();
      await this.output.end();
      this.#throwFailure();
      this.#agent.end();
      const state = await this.#o.docker.inspect(this.#o.id);
      return { state, isOverLimit: this.#overLimit.signal.aborted, wasStopped: this.#wasStopped, isComplete, answer: this.#agent.answer };
    } finally {
      signal.removeEventListener('abort', giveUp);
      stopping.removeEventListener('abort', stop);
      this.output.close();
      this.#over.abort();
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#over.abort(error);
    this.#exited.abort();
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  async #follow(): Promise<void> {
    while (!this.#exited.signal.aborted && !this.#over.signal.aborted) {
      const signal = AbortSignal.any([this.#over.signal, this.#overLimit.signal, this.#enough.signal]);
      await this.#readLogs(true, signal);
      if (this.#overLimit.signal.aborted) return;
      await this.#pause(AGAIN, this.#exited.signal);
    }
  }

  /** After the end, once from the beginning: what a follower was not handed is there. */
  async #drain(): Promise<boolean> {
    try {
      await this.#readLogs(false, AbortSignal.any([this.#over.signal, this.#enough.signal]));
      return !this.#enough.signal.aborted;
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
  }

  async #readLogs(follow: boolean, signal: AbortSignal): Promise<void> {
    const seen: Record<Stream, number> = { stdout: 0, stderr: 0 };
    const take = (stream: Stream, piece: Buffer): void => this.#take(stream, seen, piece);
    const parser = new FrameParser(mendLines(take));
    const logs = await this.#o.docker.logs(this.#o.id, { follow, signal });
    const cut = (): void => { logs.destroy(); };
    signal.addEventListener('abort', cut, { once: true });
    let chunks = 0;
    let isWaiting = false;
    const cutWhenSilent = (): void => {
      const before = chunks;
      this.#o.clock.after(FOLLOW_SILENCE, () => {
        if (logs.destroyed) return;
        if (chunks === before && !isWaiting) cut();
        else cutWhenSilent();
      });
    };
    if (follow) this.#exited.signal.addEventListener('abort', cutWhenSilent, { once: true });
    try {
      for await (const chunk of logs as AsyncIterable<Buffer>) {
        chunks += 1;
        if (this.#o.tty) take('stdout', chunk);
        else parser.push(chunk);
        isWaiting = true;
        if (this.output.isFull) await this.output.room();
        isWaiting = false;
        if (signal.aborted) return;
      }
    } catch (error) {
      if (!logs.destroyed || !(signal.aborted || this.#exited.signal.aborted)) throw brokenOff(error); // closed by us is no failure
    } finally {
      signal.removeEventListener('abort', cut);
      logs.destroy();
    }
  }

  /** From where it was read before: each byte is handed on once. */
  #take(stream: Stream, seen: Record<Stream, number>, piece: Buffer): void {
    const from = seen[stream];
    const to = from + piece.length;
    seen[stream] = to;
    if (stream === 'stdout' && to > this.#judged) {
      this.#agent.push(piece.subarray(Math.max(0, this.#judged - from)));
      this.#judged = to;
    }
    const { rawMax } = this.#o;
    const before = this.#read[stream];
    if (to <= before || this.#overLimit.signal.aborted) return;
    this.#read[stream] = to;
    this.output.append(stream, piece.subarray(Math.max(0, before - from)));
    if (this.#read.stdout + this.#read.stderr > rawMax) {
      this.#overLimit.abort();
      this.#kill().catch((error: unknown) => this.#fail(error));
    }
  }

  /** What is asked to end is brought to its end; then what it said is read, for a while. */
  async #stop(): Promise<void> {
    await this.#bringDown();
    await this.#pause(READ_AFTER_STOP, this.#over.signal);
    this.#enough.abort();
  }

  /** TERM, a while, KILL, a moment; then it is removed, which waits for nothing. */
  async #bringDown(): Promise<void> {
    const { docker, id, grace = GRACE_DEFAULT } = this.#o;
    if (this.#exited.signal.aborted) return;
    const state = await docker.inspect(id);
    if (state === null || state.status === 'exited' || state.status === 'dead') return; // it ended by itself, just before
    this.#wasStopped = true;
    if (state.status === 'paused') await docker.unpause(id); // a frozen process hears no signal
    await docker.kill(id, 'SIGTERM');
    await this.#pause(grace, this.#exited.signal);
    if (!this.#exited.signal.aborted) await this.#kill();
  }

  async #kill(): Promise<void> {
    const { docker, id } = this.#o;
    await docker.unpause(id);
    await docker.kill(id, 'SIGKILL');
    await this.#pause(KILL_GRACE, this.#exited.signal);
    if (!this.#exited.signal.aborted) await docker.remove(id);
  }

  #pause(ms: number, until: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (until.aborted || this.#over.signal.aborted) return resolve();
      const cancel = this.#o.clock.after(ms, resolve);
      for (const signal of [until, this.#over.signal]) signal.addEventListener('abort', () => { cancel(); resolve(); }, { once: true });
    });
  }
}
