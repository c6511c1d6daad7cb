// The operations dialect on a bench of its own: the real store, the real streams, a job that a test runs by hand.
import type { ReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import type { Claim } from '../../src/domain/commands.ts';
import { INPUTS } from '../../src/handlers/inputs.ts';
import { operationsEnvelope } from '../../src/http/operations/envelope.ts';
import { logReader } from '../../src/http/operations/log-reader.ts';
import { type OperationsDeps, registerOperations } from '../../src/http/operations/routes.ts';
import { createWallet } from '../../src/http/operations/wallet.ts';
import { type Artifacts, contentTypeOf } from '../../src/orchestrator/artifacts.ts';
import { Streams } from '../../src/http/stream.ts';
import { Feed } from '../../src/runtime/feed.ts';
import { type HttpBench, httpBench } from './http.ts';
import { signer } from './signer.ts';

export const ZERO = `0x${'0'.repeat(130)}`;
export const GRANTEE = signer('22'.repeat(32));
export const GRANTOR = signer('33'.repeat(32));
export const STRANGER = signer('44'.repeat(32));

export interface OperationsBench extends HttpBench {
  readonly feed: Feed;
  readonly streams: Streams;
  /** Files by job id and path. */
  readonly files: Map<string, Map<string, Buffer>>;
  /** POST /api/grants; the grant. */
  grant(more?: Record<string, unknown>): Promise<any>;
  /** POST /api/v1/operations, signed by the grantee; the id. */
  start(permissionId: number, more?: Record<string, unknown>): Promise<string>;
  /** Claims the operation of a grant of type noop. */
  run(id: string): Promise<Claim>;
  print(claim: Claim, ...lines: string[]): Promise<void>;
}

export async function operationsBench(options: Partial<Pick<OperationsDeps, 'isOpen' | 'wallet'>> & { readonly queueMax?: number } = {}): Promise<OperationsBench> {
  const files = new Map<string, Map<string, Buffer>>();
  let feed: Feed | undefined;
  let streams: Streams | undefined;
  const { isOpen = false, wallet = createWallet('test test test test test test test test test test test junk'), ...rest } = options;
  const bench = await httpBench({
    ...rest, debug: isOpen,
    extend: ({ store, jobs, clock }) => {
      feed = new Feed({ store, clock, report: { warn() {}, error(facts, message) { throw new Error(message, { cause: facts['err'] }); } } });
      feed.start();
      streams = new Streams({ store, feed, clock });
      const made = streams;
      return {
        envelopes: [operationsEnvelope],
        routes: [(app) => registerOperations(app, {
          store, jobs, clock, inputs: INPUTS, streams: made, logs: logReader(store), wallet, isOpen,
          artifacts: {
            list: (id) => Promise.resolve([...(files.get(id) ?? [])].map(([path, bytes]) => ({ path, size: bytes.length, contentType: contentTypeOf(path) }))),
            open: (id, path) => { const bytes = files.get(id)?.get(path); return Promise.resolve(bytes === undefined ? null : { path, size: bytes.length, contentType: contentTypeOf(path), stream: Readable.from([bytes]) as unknown as ReadStream }); },
          } as Artifacts,
        })],
      };
    },
  });
  if (feed === undefined || streams === undefined) throw new Error('the dialect was not added');
  const running = feed;
  const close = bench.close.bind(bench);
  return Object.assign(bench, {
    feed, streams, files,
    async grant(more: Record<string, unknown> = {}) {
      const answer = await bench.inject({ method: 'POST', url: '/api/grants', payload: { grantor: GRANTOR.address, grantee: GRANTEE.address, operation: 'prompt_demo_agent', template: { type: 'noop', input: {} }, ...more } });
      if (answer.statusCode !== 201) throw new Error(`${answer.statusCode} ${answer.body}`);
      return answer.json();
    },
    async start(permissionId: number, more: Record<string, unknown> = {}) {
      const text = JSON.stringify({ permission_id: permissionId, ...more });
      const answer = await bench.inject({ method: 'POST', url: '/api/v1/operations', payload: { app_signature: GRANTEE.sign(text), operation_request_json: text } });
      if (answer.statusCode !== 202) throw new Error(`${answer.statusCode} ${answer.body}`);
      return answer.json().id as string;
    },
    async run(id: string) {
      const claim = await bench.claim('noop');
      if (claim.id !== id) throw new Error(`${claim.id} was claimed, not ${id}`);
      return claim;
    },
    async print(claim: Claim, ...list: string[]) {
      await bench.store.execute({ kind: 'note', jobId: claim.id, epoch: claim.epoch, events: [{ type: 'job:log', data: JSON.stringify({ lines: list }) }] });
    },
    async close() {
      await streams?.closeAll();
      await running.stop();
      await close();
    },
  });
}
