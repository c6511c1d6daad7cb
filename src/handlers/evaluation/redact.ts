// Whoever is given a key may send it back: in an error, in an event, in a verdict. Nothing of it is kept.

/** Shorter ones would cut ordinary words out of ordinary texts; no key is that short. */
const SHORTEST = 6;

export type Redact = (text: string) => string;

/** @param secrets header values and keys; of "Bearer x" also the x */
export function redactor(secrets: readonly string[]): Redact {
  const all = secrets.flatMap((secret) => [secret, ...secret.split(/\s+/).slice(1)]).filter((secret) => secret.length >= SHORTEST);
  const forms = [...new Set(all.flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret), Buffer.from(secret).toString('base64').replace(/={1,2}$/, '')]))].sort((a, b) => b.length - a.length);
  if (forms.length === 0) return (text) => text;
  return (text) => forms.reduce((clean, form) => (clean.includes(form) ? clean.replaceAll(form, '[secret]') : clean), text);
}

/** The same for a JSON value: through its text. */
export const redactJson = <T>(redact: Redact, value: T): T => {
  const text = JSON.stringify(value);
  const clean = redact(text);
  return clean === text ? value : (JSON.parse(clean) as T);
};
