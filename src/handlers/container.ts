// `container`: one container from its creation to its removal, or from wherever a process before this one left it.
import { DomainError } from '../domain/errors.ts';
import type { Claim, Keep } from '../domain/commands.ts';
import type { Clock } from '../domain/clock.ts';
import type { Outcome } from '../domain/outcome.ts';
import { readJson } from '../domain/read-json.ts';
import { brokenOff, type ContainerState, type Docker, DockerError, isUnavailable } from '../docker/docker.ts';
import type { Artifacts } from '../orchestrator/artifacts.ts';
import { outcomeOf, runFacts } from './container-end.ts';
import { keepFiles, type Kept, packFiles } from './container-files.ts';
import { type ContainerInput, containerInput, isAllowed, notAllowed, RAW_OUTPUT_MAX } from './container-input.ts';
import { type Mark, markOf } from './container-mark.ts';
import { createBody, LABELS, nameOf, needsWork } from './container-profile.ts';
import { Watch } from './container-watch.ts';
import { Masker } from './container-secrets.ts';
import { reasonOf } from './egress/exchange.ts';
import type { Handler, HandlerContext } from './handler.ts';
import { terminal } from './request.ts';

/** An engine that restarts is back within seconds; asked more often it would only be busier. */
const ENGINE_WAIT = 3_000;
/** Run time where the submission names none: CONTRACT 3.5. */
export const TIMEOUT_DEFAULT = 300_000;

export interface ContainerTools {
  readonly docker: Docker;
  readonly clock: Clock;
  readonly artifacts: Artifacts;
  /** This installation, for labels: nothing without it is touched. */
  readonly owner: string;
  readonly images: readonly string[];
  readonly runtime: string | null;
  /** The most that any container may print, bytes. */
  readonly rawMax: number;
  /** Told of every call that found the engine away, and of every one that did not. */
  readonly onEngine: (error: Error | null) => void;
  /** A container may be left of a run that was cut off. */
  readonly onLeft: () => void;
}

/** What is stored is what was accepted; the rules may have changed since, so they are asked again when it runs. */
const stored = containerInput({ images: ['*'], network: 'bridge' });
const INPUT = stored.omit({ secrets: true }).loose();

export const createContainer = (tools: ContainerTools): Handler => async (job, context) => {
  const run = new Run(tools, job, context);
  try {
    const outcome = await run.go();
    tools.onEngine(null);
    return outcome;
  } catch (error) {
    if (context.signal.aborted) return { kind: 'interrupted', reason: reasonOf(context.signal) };
    if (error instanceof DomainError && error.code === 'lease_lost') return { kind: 'interrupted', reason: error.message };
    if (isUnavailable(error)) {
      tools.onEngine(error as Error);
      return { kind: 'wait', delay: ENGINE_WAIT, begun: run.hasBegun, error: { code: 'engine_unavailable', message: `${(error as Error).message} The job goes on when it is back.`, retryable: true } };
    }
    if (error instanceof DockerError) return { kind: 'fail', error: { code: 'container_failed', message: error.message, retryable: error.code === 'full' } };
    throw error;
  } finally {
    if (context.signal.aborted) tools.onLeft();
  }
};

class Run {
  readonly #tools: ContainerTools;
  readonly #job: Claim;
  readonly #context: HandlerContext;
  readonly #input: ContainerInput;
  readonly #secrets: Readonly<Record<string, string>>;
  #mark: Mark;
  #turn: Promise<void> = Promise.resolve();
  /** It has ended, or is not followed any more. */
  readonly #over = new AbortController();

  constructor(tools: ContainerTools, job: Claim, context: HandlerContext) {
    this.#tools = tools;
    this.#job = job;
    this.#context = context;
    this.#input = INPUT.parse(readJson(job.input)) as ContainerInput;
    this.#secrets = job.secret === null ? {} : (readJson(job.secret) as Record<string, string>);
    this.#mark = markOf(job);
  }

  get hasBegun(): boolean { return this.#mark.container !== null; }

  async go(): Promise<Outcome> {
    const { docker, images } = this.#tools;
    if (this.#mark.outcome !== null) return await this.#finish(this.#mark.outcome);
    const engine = await docker.identity();
    let state = await docker.inspect(this.#mark.container ?? nameOf(this.#job.id, this.#job.attempt));
    if (state !== null && !this.#isOurs(state)) return terminal('container_failed', `Something else on the engine has the name ${state.name}.`);
    if (state === null) {
      if (this.#mark.container !== null) return { kind: 'interrupted', lost: true, reason: 'Its container is gone from the engine.' };
      if (this.#context.stopping.aborted) return this.#nothingRan();
      if (!isAllowed(images, this.#input.image)) return terminal('container_failed', notAllowed(images, this.#input.image));
      state = await this.#create();
    }
    if (state.status === 'created' && state.startedAt === null) {
      if (this.#context.stopping.aborted) return await this.#finish(this.#nothingRan());
      const refused = await this.#start(state.id, engine.token);
      if (refused !== null) return await this.#finish(refused);
    } else if (this.#input.stdin !== undefined && !this.#mark.fed) {
      await docker.remove(state.id); // how much of its input it has got nobody knows
      return { kind: 'interrupted', lost: true, reason: 'The server died while it wrote its standard input.' };
    }
    return await this.#follow(state.id, state.tty);
  }

  #isOurs({ labels }: ContainerState): boolean {
    return labels[LABELS.owner] === this.#tools.owner && labels[LABELS.job] === this.#job.id && labels[LABELS.attempt] === String(this.#job.attempt);
  }

  #nothingRan(): Outcome { return { kind: 'timed_out', after: this.#timeout }; }
  get #timeout(): number { return this.#job.spec.timeout ?? TIMEOUT_DEFAULT; }

  async #create(): Promise<ContainerState> {
    const { docker, owner, runtime } = this.#tools;
    if ((await docker.imageId(this.#input.image)) === null) {
      throw new DockerError('refused', `The engine has no image ${this.#input.image}. ${this.#input.image.startsWith('muster-demo:') ? `scripts/demo-image ${this.#input.image} makes it.` : 'Nothing is pulled for a job: run docker pull on its machine first.'}`);
    }
    const { id: jobId, attempt } = this.#job;
    const id = await docker.create(nameOf(jobId, attempt), createBody({ owner, jobId, attempt, input: this.#input, secrets: this.#secrets, runtime }));
    const state = await docker.inspect(id);
    if (state === null) throw new DockerError('refused', 'The container was removed by somebody else as soon as it was made.');
    return state;
  }

  /** Starts what was just created; an outcome when it could not be. */
  async #start(id: string, engine: string): Promise<Outcome | null> {
    const { docker } = this.#tools;
    if (needsWork(this.#input)) await docker.putFiles(id, '/muster', await packFiles(this.#input));
    await this.#keep({ container: id, engine }); // before it starts: from here on it is known, and by whom it was started
    try {
      await docker.start(id);
    } catch (error) {
      if (!(error instanceof DockerError) || error.code === 'unavailable' || error.code === 'full') throw error;
      return terminal('container_failed', `It could not be started: ${error.message}`);
    }
    if (this.#input.stdin !== undefined) {
      void this.#feed(id, Buffer.from(this.#input.stdin));
    }
    return null;
  }

  /** While its output is followed and its time counted: it may read slowly, or never. Cut off by us, it was not fed. */
  async #feed(id: string, input: Buffer): Promise<void> {
    const signal = AbortSignal.any([this.#over.signal, this.#context.signal]);
    const isCut = await this.#tools.docker.feed(id, input, signal).then(() => false, (error: unknown) => signal.aborted || isUnavailable(error)); // it may have ended without reading
    if (!isCut) await this.#keep({ fed: true }).catch(() => {}); // whoever follows it hears of a lost lease as well
  }

  /** One after the other, each on what the one before has kept: none may set the cursor back. */
  #keep(change: Partial<Mark>, keep: Pick<Keep, 'chunks' | 'trim'> & Partial<Pick<Keep, 'facts' | 'gap'>> = { chunks: [], trim: null }): Promise<void> {
    const turn = this.#turn.then(async () => {
      const mark = { ...this.#mark, ...change };
      await this.#context.keep({ facts: null, ...keep, totals: mark.cap.totals, mark: JSON.stringify(mark) });
      this.#mark = mark;
    });
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #follow(id: string, tty: boolean): Promise<Outcome> {
    const { docker, clock } = this.#tools;
    const rawMax = Math.min(this.#tools.rawMax, this.#input.limits?.output ?? RAW_OUTPUT_MAX);
    const watch = new Watch({
      docker, clock, id, tty, rawMax, masker: new Masker(Object.values(this.#secrets)), grace: this.#input.grace,
      signal: this.#context.signal, stopping: this.#context.stopping, cursor: this.#mark.cursor, cap: this.#mark.cap,
      store: (keep, cursor, cap) => this.#keep({ cursor, cap }, keep),
    });
    const { state, isOverLimit, wasStopped, isComplete, answer } = await watch.run().finally(() => this.#over.abort());
    const { cap, cursor } = watch.output;
    if (state === null || (state.status === 'removing' && !wasStopped && !isOverLimit)) return { kind: 'interrupted', lost: true, reason: 'Its container was removed from the engine while it ran.' };
    const engine = await docker.identity();
    if (state.startedAt !== null && engine.token !== this.#mark.engine && !engine.liveRestore) {
      await docker.remove(id); // it says how it ended, but it was the engine that ended it
      return { kind: 'interrupted', lost: true, reason: 'The container engine was restarted while it ran.' };
    }
    const kept = await this.#artifacts(id, state);
    const outcome = outcomeOf({ state, totals: cap.totals, answer, kept, isOverLimit: isOverLimit ? rawMax : null, wasStopped, timeout: this.#timeout });
    const { droppedBytes, droppedLines } = cap.totals;
    const gap = droppedBytes > 0 ? `{"reason":"output_cap","bytes":${droppedBytes},"lineCount":${droppedLines}}` : isComplete ? undefined : '{"reason":"output_incomplete"}';
    await this.#keep({ cap, cursor, outcome }, { chunks: [], trim: null, facts: JSON.stringify(runFacts({ state, totals: cap.totals })), ...(gap === undefined ? {} : { gap }) });
    return await this.#finish(outcome);
  }

  async #artifacts(id: string, state: ContainerState): Promise<Kept> {
    const wanted = this.#input.artifacts ?? [];
    if (wanted.length === 0 || state.startedAt === null) return { artifacts: [], refused: [] };
    return await keepFiles(this.#tools.docker, id, this.#job.id, wanted, this.#tools.artifacts, this.#context.signal).catch((error: unknown) => { throw brokenOff(error); });
  }

  /** All is stored: nothing of it is needed any more. What cannot be removed now is found by the next reconcile. */
  async #finish(outcome: Outcome): Promise<Outcome> {
    await this.#tools.docker.remove(this.#mark.container ?? nameOf(this.#job.id, this.#job.attempt)).catch(() => { this.#tools.onLeft(); });
    return outcome;
  }
}
