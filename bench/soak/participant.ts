// Participants of the soak: one that does its work, and every way of failing that a server meets in a day.
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export const WAYS = ['done', 'slow', 'pending', 'refused', 'broken', 'garbage', 'dropped', 'endless'] as const;
export type Way = (typeof WAYS)[number];

const answer = (response: ServerResponse, status: number, body: object): void => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
};

export async function startParticipant(): Promise<{ readonly url: string; stop(): Promise<void> }> {
  let asked = 0;
  const server = createServer((request, response) => {
    request.resume();
    response.on('error', () => {});
    asked += 1;
    const state = (word: string): object => ({ job_id: 'x', delay: 0, message: word, state: word, data: { asked } });
    switch (request.url?.slice(1).split('?')[0] as Way) {
      case 'done': return answer(response, 200, state('COMPLETE'));
      case 'slow': return void setTimeout(() => answer(response, 200, state('COMPLETE')), 1_000).unref();
      case 'pending': return answer(response, 200, state(asked % 3 === 0 ? 'COMPLETE' : 'PENDING'));
      case 'refused': return answer(response, 404, { error: 'there is no such thing' });
      case 'broken': return answer(response, 500, { error: 'x'.repeat(1_000) });
      case 'garbage': return void response.writeHead(200, { 'content-type': 'application/json' }).end('{"state": ');
      case 'dropped': return void request.socket.destroy();
      case 'endless': return void response.writeHead(200).flushHeaders(); // until the caller's timeout
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
