// The addresses that a submission names, judged before anything is stored: a job that may not call is refused at the door.
import { type FieldError, Refusal } from '../problem.ts';
import type { Submit } from './schemas.ts';

/** @throws Refusal invalid, naming every place */
export function checkUrls(jobs: readonly Submit[], base: string, refuseUrl: (url: string) => string | null): void {
  const errors: FieldError[] = [];
  for (const [i, job] of jobs.entries()) visit(job, jobs.length === 1 && base !== '#/jobs' ? base : `${base}/${i}`, refuseUrl, errors);
  const first = errors[0];
  if (first === undefined) return;
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : '';
  throw new Refusal('invalid', `${first.pointer} may not be called: ${first.detail}${more}`, {
    hint: 'Each entry of errors says what is wrong with its address and what would be taken.', errors: errors.slice(0, 20),
  });
}

function visit(job: Submit, at: string, refuseUrl: (url: string) => string | null, errors: FieldError[]): void {
  const check = (url: unknown, pointer: string): void => {
    if (typeof url !== 'string') return;
    const refused = url.indexOf('$ARENA$', 1) > 0 ? 'The URL holds $ARENA$ in its middle; it stands for the whole base URL of this server, so only at the start.' : refuseUrl(url);
    if (refused !== null) errors.push({ pointer, detail: refused });
  };
  const input = job.input as { url?: unknown; participants?: unknown } | undefined;
  check(job.callback, `${at}/callback`);
  check(input?.url, `${at}/input/url`);
  if (Array.isArray(input?.participants)) {
    input.participants.forEach((participant: { url?: unknown }, i) => check(participant.url, `${at}/input/participants/${i}/url`));
  }
  job.children?.forEach((child, i) => visit(child, `${at}/children/${i}`, refuseUrl, errors));
}
