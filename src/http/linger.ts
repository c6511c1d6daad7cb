// The end of a connection whose client is still sending what was refused. A plain close would answer its next bytes with
// a reset, and the refusal would be lost on the way (seen: 25 of 40 uploads of 8 MB and more were told EPIPE, not 413).
import type { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';

/** Read and thrown away before the connection is cut after all: as much as the largest body. The time-out of requests holds too. */
const LINGER_BYTES = 16 * 1_048_576;

/** To be called before an answer that says `Connection: close`; Node ends the connection by destroySoon when it is written. */
export function linger(request: IncomingMessage): void {
  const { socket } = request;
  if (request.complete || !(socket instanceof Socket)) return; // all of it is here, or there is no connection
  const endBoth = socket.destroySoon.bind(socket);
  let left = LINGER_BYTES;
  let isRead = false;
  socket.destroySoon = () => { if (isRead) endBoth(); else socket.end(); };
  request.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) socket.destroy();
  });
  request.on('end', () => {
    isRead = true;
    if (socket.writableEnded) endBoth();
  });
  request.resume();
}
