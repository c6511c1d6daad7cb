// Looks after the engine while the process lives: is it there, and does it hold containers of ours that no job needs any more?
// Only what carries this installation's label is ever touched.
import type { Clock } from '../domain/clock.ts';
import { type Docker, isUnavailable, type ListedContainer } from '../docker/docker.ts';
import { LABELS } from './container-profile.ts';

/** Events of the engine can be lost, so what there is is looked at this often. */
const LOOK_EVERY = 30_000;
/** While it is away: the first look soon, for a restart takes a second; then ever less often. */
const AWAY_MIN = 200;
const AWAY_MAX = 5_000;
/** TERM to KILL for what nobody waits for. */
const ORPHAN_GRACE = 10_000;

export interface KeeperOptions {
  readonly docker: Docker;
  readonly clock: Clock;
  readonly owner: string;
  /** Does this attempt still want its container? */
  readonly isLive: (jobId: string, attempt: number) => Promise<boolean>;
  /** Once per look, for what else lies about. */
  readonly sweep: () => Promise<void>;
  readonly report: { warn(facts: Record<string, unknown>, message: string): void; info(facts: Record<string, unknown>, message: string): void };
}

export class ContainerKeeper {
  readonly #o: KeeperOptions;
  #away: string | null = null;
  #wait = AWAY_MIN;
  #timer: (() => void) | null = null;
  #work: Promise<void> = Promise.resolve();
  #isStopped = false;
  /** Containers of ours that the engine had at the last look; removed since the start. */
  count = 0;
  removed = 0;
  readonly #stops: (() => void)[] = [];

  constructor(options: KeeperOptions) {
    this.#o = options;
  }

  /** Why containers cannot run now; null: they can, as far as is known. */
  get away(): string | null { return this.#away; }

  start(): void { this.look(); }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.();
    for (const wake of this.#stops.splice(0)) wake();
    await this.#work;
  }

  /** What a run found out. */
  heard(error: Error | null): void {
    if (error === null) this.#isBack();
    else this.#isGone(error);
  }

  /** Looks now, and then again and again. */
  look(): void {
    if (this.#isStopped) return;
    this.#timer?.();
    this.#timer = null;
    this.#work = this.#work.then(() => this.#reconcile()).then(() => this.#later());
  }

  #later(): void {
    if (this.#isStopped || this.#timer !== null) return;
    const wait = this.#away === null ? LOOK_EVERY : this.#wait;
    this.#wait = Math.min(AWAY_MAX, this.#wait * 2);
    this.#timer = this.#o.clock.after(wait, () => { this.#timer = null; this.look(); });
  }

  #isBack(): void {
    if (this.#away !== null) this.#o.report.info({}, 'The container engine is back');
    this.#away = null;
    this.#wait = AWAY_MIN;
  }

  #isGone(error: Error): void {
    if (this.#away === null) {
      this.#o.report.warn({ reason: error.message }, 'The container engine is away; containers wait for it, everything else goes on');
      this.#timer?.();
      this.#timer = null;
      this.#away = error.message;
      this.#later();
    }
    this.#away = error.message;
  }

  async #reconcile(): Promise<void> {
    try {
      const ours = await this.#o.docker.list(`${LABELS.owner}=${this.#o.owner}`);
      this.#isBack();
      this.count = ours.length;
      await Promise.all(ours.map((one) => this.#judge(one)));
      await this.#o.sweep();
    } catch (error) {
      if (isUnavailable(error)) this.#isGone(error as Error);
      else this.#o.report.warn({ err: error }, 'Containers that nobody needs could not be looked for; tried again');
    }
  }

  async #judge({ id, labels, status }: ListedContainer): Promise<void> {
    const { docker, owner, isLive } = this.#o;
    if (labels[LABELS.owner] !== owner || this.#isStopped) return;
    const job = labels[LABELS.job] ?? '';
    const attempt = labels[LABELS.attempt] ?? '';
    if (await isLive(job, Number(attempt))) return;
    if (status === 'paused') await docker.unpause(id);
    if (status === 'running' || status === 'paused') {
      await docker.kill(id, 'SIGTERM');
      await this.#ended(id);
    }
    await docker.remove(id);
    this.removed += 1;
    this.#o.report.info({ container: id, job, attempt }, 'A container that no job needs any more was removed');
  }

  async #ended(id: string): Promise<void> {
    const over = new AbortController();
    const cancel = this.#o.clock.after(ORPHAN_GRACE, () => over.abort());
    this.#stops.push(() => over.abort());
    await this.#o.docker.wait(id, over.signal).catch(() => {});
    cancel();
  }
}
