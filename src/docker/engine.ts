// The adapter to a Docker engine. The only file that knows dockerode, and of that only its way of making a call.
import Dockerode from 'dockerode';
import { Agent, type IncomingMessage } from 'node:http';
import { statSync } from 'node:fs';
import type { Duplex, Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { Clock } from '../domain/clock.ts';
import { brokenOff, type ContainerState, type Docker, DockerError, type EngineIdentity, type ListedContainer } from './docker.ts';

/** One call, ms: an engine that takes longer is as good as away. Removing a container with much in it may take as long. */
const CALL_MAX = 10_000;
/** Creating and starting: seconds each on a busy machine. */
const START_MAX = 30_000;
/** A followed log and a wait per container stay open; twice as many as a hundred containers need. */
const SOCKETS_MAX = 400;

/** Where the engine listens: a socket, or an address with TLS. */
export type EngineAddress = { readonly socketPath: string }
  | { readonly host: string; readonly port: number; readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer };

interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE' | 'HEAD';
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: Readonly<Record<string, unknown>>;
  readonly file?: Buffer;
  readonly deadline?: number | null;
  readonly signal?: AbortSignal;
  readonly stream?: boolean;
  readonly hijack?: boolean;
}

const EMPTY = Buffer.alloc(0);

const time = (text: string | undefined): number | null => {
  const at = Date.parse(text ?? '');
  return Number.isNaN(at) || at <= 0 ? null : at; // "0001-01-01T00:00:00Z" stands for never
};

/** Names and ids come from the engine or from us; still, nothing in them may end a path. */
const part = (text: string): string => encodeURIComponent(text);

function toError(error: unknown, what: string): DockerError {
  if (error instanceof DockerError) return error;
  const { statusCode, json, message } = error as { statusCode?: number; json?: { message?: unknown } | null; message?: string };
  const said = typeof json?.message === 'string' ? json.message : (message ?? String(error));
  if (statusCode === undefined) return new DockerError('unavailable', `The container engine did not answer (${what}): ${said}`);
  if (/no space left on device/i.test(said)) return new DockerError('full', `The disk of the container engine is full: ${said}`);
  return new DockerError(statusCode === 404 ? 'not_found' : statusCode === 409 ? 'conflict' : 'refused', said);
}

export function createEngine(address: EngineAddress, clock: Clock): Docker {
  const isSocket = 'socketPath' in address;
  const agent = new Agent({ maxSockets: SOCKETS_MAX });
  // Named one by one: what is left out, docker-modem takes from the environment.
  const { modem } = new Dockerode({
    ...(isSocket ? { socketPath: address.socketPath, protocol: 'http', host: undefined, port: undefined, ca: undefined, cert: undefined, key: undefined } : { ...address, protocol: 'https', socketPath: undefined }),
    timeout: undefined, ...(isSocket ? { agent } : {}),
  } as unknown as Dockerode.DockerOptions);

  /** Makes a call; its own deadline and the caller's signal end it, also when the engine accepts and never answers. */
  async function dial<T>({ method, path, query, body, file, deadline = CALL_MAX, signal, stream = false, hijack = false }: Call): Promise<T> {
    const what = `${method} ${path}`;
    if (signal?.aborted === true) throw new DockerError('unavailable', `The call ${what} was given up.`);
    const cut = new AbortController();
    return await new Promise<T>((resolve, reject) => {
      const giveUp = (why: string): void => {
        reject(new DockerError('unavailable', why));
        cut.abort();
      };
      const onAbort = (): void => giveUp(`The call ${what} was given up.`);
      const cancel = deadline === null ? null : clock.after(deadline, () => giveUp(`The container engine did not answer within ${deadline / 1_000} s (${what}).`));
      const settle = (): void => {
        cancel?.();
        if (!stream) signal?.removeEventListener('abort', onAbort);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      modem.dial({
        method, path: query === undefined ? path : `${path}?`, options: body === undefined ? { _query: query ?? {}, _body: {} } : { _query: query ?? {}, _body: body }, isStream: stream, hijack,
        file: hijack ? EMPTY : file, // or it says that its body comes in chunks, and their end would be read as input
        abortSignal: cut.signal, statusCodes: { 200: true, 201: true, 204: true, 304: true, 101: true },
      } as never, (error: unknown, answer: unknown) => {
        settle();
        if (error === null || error === undefined) {
          if (stream) (answer as Readable).on('error', () => {}); // whoever reads hears of it; nobody may be reading any more
          resolve(answer as T);
        } else reject(toError(error, what));
      });
    });
  }
  const stillThere = <T>(error: unknown, otherwise: T): T => {
    if (error instanceof DockerError && error.code === 'not_found') return otherwise;
    throw error;
  };

  return {
    async identity(): Promise<EngineIdentity> {
      const info = await dial<{ LiveRestoreEnabled?: boolean; ID?: string }>({ method: 'GET', path: '/info' });
      const bridge = await dial<{ Created?: string }>({ method: 'GET', path: '/networks/bridge' }).catch((error: unknown) => stillThere(error, null));
      // It says nowhere when it started. But it makes its bridge network anew at each start, and its socket unless systemd does.
      const socket = isSocket ? statSync(address.socketPath, { throwIfNoEntry: false }) : undefined;
      return { token: [info.ID ?? '', bridge?.Created ?? '', socket?.ino ?? '', socket?.ctimeMs ?? ''].join('|'), liveRestore: info.LiveRestoreEnabled === true };
    },
    async imageId(reference) {
      const image = await dial<{ Id: string }>({ method: 'GET', path: `/images/${reference.split('/').map(part).join('/')}/json` }).catch((error: unknown) => stillThere(error, null));
      return image?.Id ?? null;
    },
    async create(name, body) {
      return (await dial<{ Id: string }>({ method: 'POST', path: '/containers/create', query: { name }, body, deadline: START_MAX })).Id;
    },
    async inspect(id) {
      return await dial<Inspected>({ method: 'GET', path: `/containers/${part(id)}/json` }).then(toState, (error: unknown) => stillThere(error, null));
    },
    async start(id) { await dial({ method: 'POST', path: `/containers/${part(id)}/start`, deadline: START_MAX }); },
    async wait(id, signal) {
      // As a stream: its answer begins at once and ends with the container, and docker-modem does not hear when it breaks off between.
      const answer = await dial<Readable>({ method: 'POST', path: `/containers/${part(id)}/wait`, deadline: null, signal, stream: true });
      let text = '';
      try {
        for await (const chunk of answer as AsyncIterable<Buffer>) text += chunk.toString();
      } catch (error) {
        throw brokenOff(error);
      } finally {
        answer.destroy();
      }
      if (!text.includes('StatusCode')) throw new DockerError('unavailable', 'The container engine did not say how its container ended.');
    },
    async logs(id, { follow, signal }) {
      return await dial<Readable>({ method: 'GET', path: `/containers/${part(id)}/logs`, query: { follow: follow ? '1' : '0', stdout: '1', stderr: '1' }, signal, stream: true }).catch((error: unknown) => {
        // 409: somebody is removing it, so that there is nothing to be read any more; that it is gone is said a moment later.
        throw error instanceof DockerError && error.code === 'conflict' ? new DockerError('not_found', error.message) : error;
      });
    },
    async kill(id, signal) {
      // 409: it runs no more, which is what was wanted.
      await dial({ method: 'POST', path: `/containers/${part(id)}/kill`, query: { signal } }).catch((error: unknown) => {
        if (!(error instanceof DockerError && (error.code === 'conflict' || error.code === 'not_found'))) throw error;
      });
    },
    async unpause(id) { await dial({ method: 'POST', path: `/containers/${part(id)}/unpause` }).catch((error: unknown) => { if (!(error instanceof DockerError) || error.code === 'unavailable') throw error; }); },
    async remove(id) {
      await dial({ method: 'DELETE', path: `/containers/${part(id)}`, query: { force: '1', v: '1' }, deadline: START_MAX }).catch((error: unknown) => {
        if (!(error instanceof DockerError && (error.code === 'not_found' || error.code === 'conflict'))) throw error; // 409: its removal is under way
      });
    },
    async putFiles(id, path, tar) { await dial({ method: 'PUT', path: `/containers/${part(id)}/archive`, query: { path }, file: tar, deadline: START_MAX }); },
    async getFiles(id, path, signal) {
      return await dial<Readable>({ method: 'GET', path: `/containers/${part(id)}/archive`, query: { path }, signal, stream: true }).catch((error: unknown) => stillThere(error, null));
    },
    async isLink(id, path) {
      const answer = await dial<IncomingMessage>({ method: 'HEAD', path: `/containers/${part(id)}/archive`, query: { path }, stream: true }).catch((error: unknown) => stillThere(error, null));
      answer?.destroy();
      const stat = JSON.parse(Buffer.from(String(answer?.headers['x-docker-container-path-stat'] ?? 'e30='), 'base64').toString()) as { linkTarget?: string };
      return (stat.linkTarget ?? '') !== '';
    },
    async feed(id, input, signal) {
      const socket = await dial<Duplex>({ method: 'POST', path: `/containers/${part(id)}/attach`, query: { stream: '1', stdin: '1', stdout: '0', stderr: '0' }, stream: true, hijack: true });
      try {
        socket.resume();
        socket.end(input);
        await finished(socket, { readable: false, signal });
      } finally {
        if (signal.aborted) socket.destroy();
      }
    },
    async list(label) {
      const found = await dial<{ Id: string; Labels: Record<string, string>; State: string }[]>({ method: 'GET', path: '/containers/json', query: { all: '1', filters: JSON.stringify({ label: [label] }) } });
      return found.map(({ Id: id, Labels: labels, State: status }): ListedContainer => ({ id, labels, status }));
    },
    close() { agent.destroy(); },
  };
}

interface Inspected {
  readonly Id: string;
  readonly Name: string;
  readonly Image: string;
  readonly Config: { readonly Labels: Record<string, string> | null; readonly Tty: boolean };
  readonly State: { readonly Status: string; readonly ExitCode: number; readonly OOMKilled: boolean; readonly StartedAt: string; readonly FinishedAt: string; readonly Error: string };
}

function toState({ Id: id, Name: name, Image: imageId, Config: config, State: state }: Inspected): ContainerState {
  return {
    id, name: name.replace(/^\//, ''), imageId, labels: config.Labels ?? {}, status: state.Status as ContainerState['status'], exitCode: state.ExitCode,
    oomKilled: state.OOMKilled, startedAt: time(state.StartedAt), finishedAt: time(state.FinishedAt), error: state.Error, tty: config.Tty,
  };
}
