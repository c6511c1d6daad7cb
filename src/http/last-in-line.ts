// Whoever waits in the kernel's line to be accepted when the server stops. Closing the listener resets them, and Node takes
// one connection per turn: on a busy machine the line outlives any fixed wait (seen: requests sent 4 ms before the signal
// were reset 200 ms after it). The line is first in, first out, so the server stands in it itself, last.
import { connect, type Server } from 'node:net';

/** Resolves when everybody who was in the line before the call has been accepted. Never rejects; the caller bounds it. */
export function lastInLine(server: Server): Promise<void> {
  const address = server.address();
  if (address === null || typeof address === 'string') return Promise.resolve();
  return new Promise((resolve) => {
    const socket = connect({ port: address.port, host: address.address });
    const done = (): void => { socket.destroy(); resolve(); };
    // An answer, or being turned away at the limit of connections: either way its turn has come.
    socket.on('connect', () => socket.write('GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'));
    socket.on('data', done).on('error', done).on('close', done);
  });
}
