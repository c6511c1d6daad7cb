// Where the engine is: DOCKER_HOST as every Docker client reads it, but for what would hand the machine to the network.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EngineAddress } from './engine.ts';

const DEFAULT_SOCKET = '/var/run/docker.sock';
const TLS_PORT = 2_376;

export interface EngineSetting {
  /** unix:///path or tcp://host:port; null = the default socket. */
  readonly host: string | null;
  /** Folder with ca.pem, cert.pem and key.pem. */
  readonly certPath: string | null;
}

const TCP = /^tcp:\/\/([A-Za-z0-9.-]{1,253}|\[[0-9a-fA-F:]+\])(?::(\d{1,5}))?\/?$/;

/** What is wrong with it, or null. */
export function refuseSetting({ host, certPath }: EngineSetting): string | null {
  if (host === null || /^unix:\/\/\/./.test(host)) return null;
  if (!TCP.test(host)) return 'must be unix:///path/of/the/socket, or tcp://host:port with DOCKER_CERT_PATH';
  return certPath === null ? 'is an address without TLS: whoever reaches it is root on that machine. Set DOCKER_CERT_PATH to the folder of ca.pem, cert.pem and key.pem, or use the socket' : null;
}

/** @throws what reading the certificates does */
export function readAddress({ host, certPath }: EngineSetting): EngineAddress {
  const tcp = host === null ? null : TCP.exec(host);
  if (tcp === null) return { socketPath: host === null ? DEFAULT_SOCKET : host.slice('unix://'.length) };
  const file = (name: string): Buffer => readFileSync(join(certPath ?? '', name));
  return { host: tcp[1] ?? '', port: Number(tcp[2] ?? TLS_PORT), ca: file('ca.pem'), cert: file('cert.pem'), key: file('key.pem') };
}
