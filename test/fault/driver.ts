// The load: many clients that submit, control, read and delete at once, each act written to the ledger before it is sent.
// What an act may answer is checked here; what must be true afterwards is check.ts's.
import type { Agent } from 'node:http';
import { createAgent, exchange, type Call, type Exchange } from './client.ts';
import type { Deed, Ledger, Submission, Verb } from './ledger.ts';
import type { Place, Reader } from './readers.ts';
import type { Rng } from './rng.ts';
import type { Load, Workload } from './workload.ts';

/** Clients at once: enough that several requests are under way at any instant, few enough for two cores. */
const CLIENTS = 8;
/** Most recent jobs that are acted on; older ones have mostly ended. */
const RECENT = 150;
/** Longest pause of a client between two acts, ms; a nemesis that measures times may ask for less load. */
const PACE = 12;
/** ms before a client that was not let in tries again. */
const BACK_AFTER = 50;
/** A root's own stream is followed for one job in so many. */
const WATCH_ONE_IN = 6;

export interface DriverDeps {
  readonly rng: Rng;
  readonly ledger: Ledger;
  readonly workload: Workload;
  readonly place: Place;
  /** Follows everything. */
  readonly firehose: Reader;
  /** Opens a reader of one job's own stream. */
  readonly watch: (jobId: string) => void;
}

export class Driver {
  readonly violations: string[] = [];
  /** Requests that had left us before the instant given to `watchFrom` and got no answer. */
  readonly resets: string[] = [];
  readonly counts = { requests: 0, lost: 0, refused: 0, overloaded: 0 };
  pace = PACE;
  /** Batches that take more children. */
  readonly open = new Set<string>();
  readonly #deps: DriverDeps;
  #agent: Agent = createAgent();
  #known: string[] = [];
  readonly #isKnown = new Set<string>();
  readonly #status = new Map<string, string>();
  readonly #deletable: string[] = [];
  readonly #doomed = new Set<string>();
  /** Roots whose deletion was asked for. */
  readonly #deleted = new Set<string>();
  readonly #busy = new Map<string, number>();
  #unanswered: Submission[] = [];
  #watchFrom = Infinity;
  #isStopped = false;
  #clients: Promise<void>[] = [];

  constructor(deps: DriverDeps) {
    this.#deps = deps;
    deps.firehose.onEvent = (_id, heard) => {
      if (!this.#isKnown.has(heard.jobId)) {
        this.#isKnown.add(heard.jobId);
        this.#known.push(heard.jobId);
        if (this.#known.length > RECENT) this.#known.shift();
      }
      if (heard.status !== undefined) this.#status.set(heard.jobId, heard.status);
    };
  }

  start(): void {
    this.#isStopped = false;
    this.#clients = Array.from({ length: CLIENTS }, (_, i) => this.#client(this.#deps.rng.fork(`client ${i}`)));
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#clients);
  }

  /** From here on, a request that had been sent before this instant and is reset is a violation of a clean stop. */
  watchFrom(instant: number): void { this.#watchFrom = instant; }

  /** Nobody acts on this job from here on but whoever asked for it. */
  spare(jobId: string): void { this.#doomed.add(jobId); }

  /** The server is another process now. */
  reconnect(): void {
    this.#agent.destroy();
    this.#agent = createAgent();
    this.#watchFrom = Infinity;
  }

  async #client(rng: Rng): Promise<void> {
    while (!this.#isStopped) {
      await this.#deps.place.up();
      if (this.#isStopped) return;
      const before = this.counts.lost + this.counts.refused;
      await this.#act(rng);
      await pause(this.counts.lost + this.counts.refused > before ? BACK_AFTER : rng.int(0, this.pace));
    }
  }

  async #act(rng: Rng): Promise<void> {
    const unanswered = this.#unanswered.shift();
    if (unanswered !== undefined) return void await this.send(unanswered);
    switch (rng.weighted({ submit: 34, child: 5, verb: 34, again: 5, remove: 8, read: 14 })) {
      case 'submit': return void await this.submit(this.#deps.workload.draw(this.#deps.ledger.nextToken()), rng);
      case 'child': {
        const [parentId] = [...this.open].slice(rng.int(0, Math.max(0, this.open.size - 1)));
        if (parentId === undefined) return;
        return void await this.submit(this.#deps.workload.child(this.#deps.ledger.nextToken(), parentId), rng);
      }
      case 'verb': return await this.#verb(rng);
      case 'again': return await this.#again(rng);
      case 'remove': return await this.#remove(rng);
      case 'read': return await this.#read(rng);
    }
  }

  async submit(load: Load, rng: Rng): Promise<void> {
    const token = /"tags":\["(t\d+)"\]/.exec(typeof load.body === 'string' ? load.body : JSON.stringify(load.body))?.[1] ?? '';
    const key = rng.chance(0.6) ? `key-${token}` : null;
    const submission: Submission = { token, size: load.size, key, call: { path: load.path, body: load.body }, tries: 0, ids: null, refused: false };
    const answer = await this.send(submission, rng.chance(0.1));
    const id = submission.ids?.[0];
    if (id === undefined || answer?.kind !== 'answer') return;
    if (load.isOpen === true) this.open.add(id);
    else if (load.path === '/api/jobs' && (load.body as { parentId?: string }).parentId === undefined) this.#deletable.push(id);
    if (rng.int(1, WATCH_ONE_IN) === 1) this.#deps.watch(id);
  }

  /** Sends a submission, and keeps it for later if nobody can know what became of it. */
  async send(submission: Submission, waits = false): Promise<Exchange | undefined> {
    const { ledger } = this.#deps;
    ledger.submit(submission);
    const answer = await this.request({
      method: 'POST', ...submission.call,
      headers: { ...(submission.key === null ? {} : { 'idempotency-key': submission.key }), ...(waits ? { prefer: 'wait=1' } : {}) },
    });
    const again = submission.key !== null;
    if (answer.kind !== 'answer' || answer.status === 503) {
      if (again) this.#unanswered.push(submission);
      return answer;
    }
    const { status, body } = answer;
    if (status === 201 || status === 200) {
      const ids: string[] = body.ids ?? [body.id];
      if (status === 200 && submission.tries === 1) this.violations.push(`I1: the first use of key ${submission.key} was answered as a repetition`);
      if (submission.ids !== null && submission.ids.join() !== ids.join()) this.violations.push(`I1: key ${submission.key} stood for ${submission.ids.join()}, then for ${ids.join()}`);
      ledger.submitted(submission, ids);
      if (again && submission.tries > 1 && status === 201) ledger.note(`${submission.token} was new at try ${submission.tries}`);
    } else if ((status === 409 || status === 404) && (submission.call.body as { parentId?: string }).parentId !== undefined) {
      ledger.refused(submission, status);
      this.open.delete((submission.call.body as { parentId: string }).parentId);
    } else if ((status !== 404 && status !== 409) || !this.#deleted.has(submission.ids?.[0] ?? '')) this.#unexpected('submit', status, body); // a key may outlive its job
    return answer;
  }

  /** An acknowledged key again: the same job; with another body: a refusal. */
  async #again(rng: Rng): Promise<void> {
    const acked = [...this.#deps.ledger.submissions.values()].filter(({ key, ids }) => key !== null && ids !== null).slice(-100);
    if (acked.length === 0) return;
    const submission = rng.pick(acked);
    if (rng.chance(0.7)) return void await this.send(submission);
    const answer = await this.request({ method: 'POST', path: submission.call.path, body: submission.call.path.endsWith('bulk') ? { jobs: [{ type: 'noop' }] } : { type: 'noop' }, headers: { 'idempotency-key': submission.key ?? '' } });
    if (answer.kind === 'answer' && answer.status !== 422 && answer.status !== 503) this.#unexpected('another body for a known key', answer.status, answer.body);
  }

  async #verb(rng: Rng): Promise<void> {
    if (this.#known.length === 0) return;
    const jobId = rng.pick(this.#known);
    const status = this.#status.get(jobId) ?? 'queued';
    const isFinal = status === 'completed' || status === 'failed' || status === 'cancelled';
    const verb: Verb = rng.chance(0.1) ? rng.pick(['start', 'pause', 'resume', 'retry', 'cancel', 'edit'] as const)
      : status === 'paused' ? rng.pick(['resume', 'resume', 'cancel', 'edit'] as const)
      : isFinal ? rng.pick(status === 'completed' ? ['edit'] as const : ['retry', 'retry', 'edit'] as const)
      : rng.pick(['pause', 'pause', 'cancel', 'edit', 'start'] as const);
    await this.deed(verb, jobId, rng);
  }

  async deed(verb: Exclude<Verb, 'delete'>, jobId: string, rng: Rng, patch?: object): Promise<Deed | null> {
    if (this.#doomed.has(jobId)) return null;
    const { ledger } = this.#deps;
    const mark = verb === 'cancel' ? `asked ${ledger.nextToken()}` : '';
    const deed = ledger.deed(verb, jobId, { mark });
    this.#busy.set(jobId, (this.#busy.get(jobId) ?? 0) + 1);
    const answer = await this.request(
      verb === 'edit' ? { method: 'PATCH', path: `/api/jobs/${jobId}`, body: patch ?? { priority: rng.int(1, 10) } }
      : { method: 'POST', path: `/api/jobs/${jobId}/${verb}`, ...(verb === 'cancel' ? { body: { reason: mark } } : {}) },
    );
    this.#busy.set(jobId, (this.#busy.get(jobId) ?? 1) - 1);
    if (answer.kind !== 'answer') return deed;
    // A 404 after the deed was done would be the job deleted meanwhile; nobody deletes what is busy.
    if (![200, 409, 503].includes(answer.status)) this.#unexpected(`${verb} ${jobId}`, answer.status, answer.body);
    ledger.done(deed, answer.status);
    return deed;
  }

  /** Deletes a tree that has ended, once every event of it has been heard: so each hole in the log can be told from a loss. */
  async #remove(rng: Rng): Promise<void> {
    const { ledger, firehose } = this.#deps;
    if (this.#deletable.length === 0) return;
    const index = rng.int(0, this.#deletable.length - 1);
    const rootId = this.#deletable[index]!;
    const status = this.#status.get(rootId);
    if (status !== 'completed' && status !== 'failed' && status !== 'cancelled') return;
    this.#deletable.splice(index, 1);
    const list = async (): Promise<any[] | null> => {
      const page = await this.request({ method: 'GET', path: `/api/jobs?root=${rootId}&limit=200` });
      return page.kind === 'answer' && page.status === 200 ? page.body.jobs : null;
    };
    const members = (await list())?.map(({ id }) => id as string) ?? [];
    if (members.length === 0 || members.length === 200 || members.some((id) => (this.#busy.get(id) ?? 0) > 0)) return;
    for (const id of members) this.#doomed.add(id);
    const jobs = await list();
    const cursor = Number(jobs?.[0]?.cursor ?? Infinity);
    for (let i = 0; i < 50 && firehose.position < cursor; i++) await pause(10);
    if (jobs === null || firehose.position < cursor || jobs.length !== members.length || jobs.some(({ state }) => state === 'PENDING')) {
      for (const id of members) this.#doomed.delete(id);
      return;
    }
    this.#deleted.add(rootId);
    const deed = ledger.deed('delete', rootId, { members });
    const answer = await this.request({ method: 'DELETE', path: `/api/jobs/${rootId}` });
    if (answer.kind !== 'answer') return;
    if (![204, 503].includes(answer.status)) this.#unexpected(`delete ${rootId}`, answer.status, answer.body);
    ledger.done(deed, answer.status);
  }

  async #read(rng: Rng): Promise<void> {
    const id = this.#known.length === 0 ? null : rng.pick(this.#known);
    const path = id === null || rng.chance(0.3) ? rng.pick(['/api/jobs?status=queued,running', '/api/jobs?tag=t7', '/ready', '/metrics', '/api/types'])
      : `/api/jobs/${id}${rng.pick(['', '?wait=1', '/children', '/events', '/explain', '/logs'])}`;
    const answer = await this.request({ method: 'GET', path });
    if (answer.kind === 'answer' && ![200, 404, 503].includes(answer.status)) this.#unexpected(`GET ${path}`, answer.status, answer.body);
    if (answer.kind === 'answer' && answer.status === 404 && id !== null && path.includes(id) && !this.#doomed.has(id)) this.violations.push(`I0: job ${id} was heard of and not deleted, and is not there: GET ${path} → 404`);
  }

  async request(call: Call): Promise<Exchange> {
    const url = this.#deps.place.url();
    if (url === null) return { kind: 'refused' };
    this.counts.requests += 1;
    const answer = await exchange(url, call, this.#agent);
    if (answer.kind === 'answer' && answer.status === 503) {
      this.counts.overloaded += 1;
      const isProblem = answer.headers['content-type']?.startsWith('application/problem+json') === true && answer.headers['retry-after'] !== undefined;
      if (!isProblem && call.path !== '/ready') this.#unexpected(`${call.method} ${call.path} (503 without a problem that says when to come back)`, 503, answer.body);
    }
    if (answer.kind === 'refused') this.counts.refused += 1;
    if (answer.kind === 'lost') {
      this.counts.lost += 1;
      if (answer.sent && answer.sentAt < this.#watchFrom && this.#watchFrom !== Infinity) this.resets.push(`${call.method} ${call.path}, sent ${this.#watchFrom - answer.sentAt} ms before the stop: ${answer.why}`);
    }
    return answer;
  }

  /** Keys that nobody knows the fate of, asked again until they are answered. */
  async settleUnanswered(): Promise<void> {
    for (let i = 0; this.#unanswered.length > 0 && i < 1_000; i++) await this.send(this.#unanswered.shift()!);
  }

  #unexpected(what: string, status: number, body: unknown): void {
    this.violations.push(`unexpected answer to ${what}: ${status} ${JSON.stringify(body).slice(0, 300)}`);
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });
