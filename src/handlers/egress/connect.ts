// Connecting, with the address judged at the last moment: the one that is connected to, at every connection.
// A name's addresses are looked up once, all judged, and only they are tried; a literal never sees a lookup, so it is
// judged before; and what the socket says it reached is judged again.
import { lookup as dnsLookup } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import { buildConnector } from 'undici';
import { checkAddress, type EgressPolicy, hostOf } from './guard.ts';

export const EGRESS_REFUSED = 'MUSTER_EGRESS_REFUSED';

export interface Resolved {
  readonly address: string;
  readonly family: number;
}
/** Name to addresses; throws if there are none. */
export type Resolve = (name: string) => Promise<readonly Resolved[]>;

/** The system's resolver, so that /etc/hosts and container names hold. Order as answered. */
export const resolveBySystem: Resolve = (name) => dnsLookup(name, { all: true, order: 'verbatim' });

const refusedError = (message: string): Error => Object.assign(new Error(message), { code: EGRESS_REFUSED });

/** All addresses of a name, or an error if even one of them is closed: the choice would be the other side's. */
async function vet(name: string, policy: EgressPolicy, resolve: Resolve): Promise<readonly Resolved[]> {
  const found = await resolve(name);
  if (found.length === 0) throw Object.assign(new Error(`${name} has no addresses`), { code: 'ENOTFOUND' });
  for (const { address } of found) {
    const refusal = checkAddress(address, policy);
    if (refusal !== null) throw refusedError(`${name} leads to ${address}. ${refusal.message}`);
  }
  return found;
}

/** @param timeout ms for name lookup, TCP and TLS together */
export function guardedConnector(policy: EgressPolicy, timeout: number, resolve: Resolve): buildConnector.connector {
  const lookup: LookupFunction = (name, options, callback) => {
    vet(name, policy, resolve).then(
      (found) => {
        const [first] = found;
        if (options.all === true || first === undefined) callback(null, found.map(({ address, family }) => ({ address, family })));
        else callback(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, []),
    );
  };
  const connect = buildConnector({ allowH2: false, timeout, lookup, autoSelectFamily: true });
  return (options, callback) => {
    const host = hostOf(options.hostname);
    const refusal = isIP(host) === 0 ? null : checkAddress(host, policy);
    if (refusal !== null) return callback(refusedError(refusal.message), null);
    connect(options, (...[error, socket]) => {
      if (error !== null || socket === null) return callback(error ?? new Error('no socket'), null);
      const reached = socket.remoteAddress === undefined ? null : checkAddress(socket.remoteAddress, policy);
      if (reached === null) return callback(null, socket);
      socket.destroy();
      callback(refusedError(`${host} led to ${socket.remoteAddress}. ${reached.message}`), null);
    });
  };
}
