// Secrets of a submission leave it before anything is stored or shown: the input keeps their names, the claim gets their values.

/** What stands where a secret was. */
export const MASK = '***';

export interface Parted {
  readonly input: unknown;
  /** JSON text of `{NAME: value}`; absent where there are none. */
  readonly secret?: string;
}

/** Every dialect that submits containers calls this on what it was sent. */
export function partSecrets(input: unknown): Parted {
  const secrets = typeof input === 'object' && input !== null ? (input as { secrets?: unknown }).secrets : undefined;
  if (typeof secrets !== 'object' || secrets === null || Array.isArray(secrets)) return { input };
  const names = Object.keys(secrets);
  if (names.length === 0) return { input };
  return { input: { ...(input as object), secrets: Object.fromEntries(names.map((name) => [name, MASK])) }, secret: JSON.stringify(secrets) };
}
