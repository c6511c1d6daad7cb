// The line of a listener: whoever stood in it is served before the last one is.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { expect, test } from 'vitest';
import { lastInLine } from '../../src/http/last-in-line.ts';

test('it is over when everybody before it was accepted, also at the limit of connections', async () => {
  for (const limit of [Infinity, 5]) {
    const server = createServer((_request, response) => { response.end('ok'); });
    if (limit !== Infinity) server.maxConnections = limit;
    let taken = 0;
    server.on('connection', () => { taken += 1; });
    server.on('drop', () => { taken += 1; });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const clients = Array.from({ length: 40 }, () => connect(port, '127.0.0.1').on('error', () => {}));
    await lastInLine(server);
    expect(taken).toBeGreaterThanOrEqual(40);
    for (const client of clients) client.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => { server.close(resolve); });
    await lastInLine(server); // nobody listens any more: it does not hang
  }
});
