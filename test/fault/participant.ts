// The participants that request jobs call: each job's script stands in its URL. Remembers every call, so that what the
// server claims of a job can be held against what was really answered.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** How a participant behaves; in the URL as /p/<$JOB$>?fails=1&pending=2&end=complete&wait=30 */
export interface Script {
  /** Answers of 503 before anything else. */
  readonly fails: number;
  /** Answers of PENDING after those. */
  readonly pending: number;
  readonly end: 'complete' | 'fail';
  /** ms before each answer. */
  readonly wait: number;
}

interface Seen {
  calls: number;
  /** Answers given that count for the script. */
  answered: number;
  readonly completed: Set<number>;
}

export class Participant {
  /** Everything is answered at once with COMPLETE. */
  calm = false;
  /** Which life of the server calls; the harness says so. */
  generation = 0;
  readonly seen = new Map<string, Seen>();
  /** Things that must not happen, as they happened. */
  readonly violations: string[] = [];
  /** Final bodies by the id of the job they report. */
  readonly callbacks = new Map<string, number>();
  readonly #server: Server;
  readonly #open = new Map<string, { generation: number; attempt: number; response: ServerResponse }>();
  url = '';

  constructor() {
    this.#server = createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (part: string) => { body += part; }).on('end', () => this.#take(request, response, body)).on('error', () => {});
      response.on('error', () => {});
    });
    this.#server.keepAliveTimeout = 60_000;
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => { this.#server.listen(0, '127.0.0.1', resolve); });
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => { this.#server.close(resolve); });
  }

  script(script: Script): string {
    return `${this.url}/p/$JOB$?fails=${script.fails}&pending=${script.pending}&end=${script.end}&wait=${script.wait}`;
  }

  #take(request: IncomingMessage, response: ServerResponse, body: string): void {
    const url = new URL(request.url ?? '/', this.url);
    const jobId = String(request.headers['muster-job-id'] ?? '');
    const attempt = Number(request.headers['muster-attempt'] ?? 0);
    if (url.pathname === '/callback') {
      const { jobId: about } = JSON.parse(body) as { jobId: string };
      this.callbacks.set(about, (this.callbacks.get(about) ?? 0) + 1);
    }
    const before = this.#open.get(jobId);
    if (before !== undefined && before.generation === this.generation && before.attempt === attempt && !before.response.writableEnded && !before.response.destroyed) {
      this.violations.push(`I6: attempt ${attempt} of ${jobId} calls while an earlier call of it is still open: it runs twice`);
    }
    this.#open.set(jobId, { generation: this.generation, attempt, response });
    const number = (name: string): number => Number(url.searchParams.get(name) ?? 0);
    setTimeout(() => this.#answer(response, jobId, attempt, {
      fails: number('fails'), pending: number('pending'), wait: number('wait'), end: url.searchParams.get('end') === 'fail' ? 'fail' : 'complete',
    }), this.calm ? 0 : number('wait'));
  }

  #answer(response: ServerResponse, jobId: string, attempt: number, script: Script): void {
    const seen = this.seen.get(jobId) ?? { calls: 0, answered: 0, completed: new Set<number>() };
    this.seen.set(jobId, seen);
    seen.calls += 1;
    if (response.destroyed) return; // the server died meanwhile: it never got this answer
    seen.answered += 1;
    if (seen.answered <= script.fails) {
      response.writeHead(503, { 'content-type': 'application/json' }).end('{"message":"not today"}');
      return;
    }
    const say = (state: string, delay: number, data: unknown): void => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ job_id: jobId, delay, message: '', state, data }));
    };
    if (seen.answered <= script.fails + script.pending && !this.calm) say('PENDING', 0.1, '');
    else if (script.end === 'fail') say('FAIL', 0, { job: jobId, attempt });
    else {
      seen.completed.add(attempt);
      say('COMPLETE', 0, { job: jobId, attempt });
    }
  }
}
