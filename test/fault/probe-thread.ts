// A client in a thread of its own, so that its figures are the server's and not those of the load beside it.
// Asks at a fixed rate, whether or not the last answer has come: a server that stands still is asked all the same.
import { parentPort, workerData } from 'node:worker_threads';
import { createAgent, exchange } from './client.ts';
import type { ProbeOptions, Sample } from './probe.ts';

/** After the end, what is still unanswered gets this long, ms. Then it counts as never answered. */
const GRACE = 10_000;

const { url, paths, every, count: enough = Infinity } = workerData as ProbeOptions;
const agent = createAgent();
const asked: Promise<void>[] = [];
const open = new Map<number, Pick<Sample, 'path' | 'at'> & { readonly from: number }>();
const samples: Sample[] = [];
let count = 0;

const ask = async (): Promise<void> => {
  const id = count++;
  const path = paths[id % paths.length] ?? '/health';
  const at = Date.now();
  const from = performance.now();
  open.set(id, { path, at, from });
  const answer = await exchange(url, { method: 'GET', path }, agent);
  open.delete(id);
  samples.push({ path, at, took: performance.now() - from, status: answer.kind === 'answer' ? answer.status : null, body: answer.kind === 'answer' && path === '/ready' ? answer.body : null });
};
const timer = setInterval(() => {
  asked.push(ask());
  if (count >= enough) end();
}, every);
parentPort?.once('message', end);

function end(): void {
  clearInterval(timer);
  void Promise.race([Promise.all(asked), new Promise((resolve) => { setTimeout(resolve, GRACE); })]).then(() => {
    for (const { path, at, from } of open.values()) samples.push({ path, at, took: performance.now() - from, status: null, body: null });
    parentPort?.postMessage(samples);
    agent.destroy();
    parentPort?.close();
  });
}
