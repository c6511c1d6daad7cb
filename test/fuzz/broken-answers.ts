// A server that breaks its document in one way, for the fuzzer's negative controls: loaded before src/start.mjs, it changes
// what leaves. status: one answer in 2,000 has a status that nobody declared. field: one job in 200 has a property more.
// failure: one rule of one field is a 500. It is no part of the server.
import { ServerResponse } from 'node:http';

const way = process.argv.at(-1);
const EVERY_STATUS = 2_000;
const EVERY_FIELD = 200;
const { writeHead, end } = ServerResponse.prototype;
const held = new WeakMap<ServerResponse, { status: number; headers: Record<string, unknown> }>();
let answers = 0;
let jobs = 0;

ServerResponse.prototype.writeHead = function hold(this: ServerResponse, status: number, headers: any) {
  if (!/[/+]json/.test(String(headers?.['content-type']))) return writeHead.call(this, status, headers);
  held.set(this, { status, headers });
  return this;
} as typeof writeHead;

ServerResponse.prototype.end = function change(this: ServerResponse, ...args: any[]) {
  const known = held.get(this);
  held.delete(this);
  if (known === undefined) return end.apply(this, args as never);
  let { status } = known;
  let [body] = args;
  if (way === 'status' && (answers += 1) % EVERY_STATUS === 0) status = 203;
  if (way === 'field' && String(body).startsWith('{"id":"job') && (jobs += 1) % EVERY_FIELD === 0) body = `{"leaseEpoch":0,${String(body).slice(1)}`;
  if (way === 'failure' && status === 422 && String(body).includes('"pointer":"#/priority"')) status = 500;
  writeHead.call(this, status, { ...known.headers, ...(body === args[0] ? {} : { 'content-length': Buffer.byteLength(String(body)) }) } as never);
  return end.apply(this, [body, ...args.slice(1)] as never);
} as typeof end;
