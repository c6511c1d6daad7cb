// The scripted participant: "not yet" a given number of times for each job id, then its end, the same for ever after.
import { z } from 'zod';
import { parseData } from '../json-body.ts';

/** Job ids remembered; the oldest is forgotten and would start again, long after its job has ended. */
const MAX_JOBS = 10_000;

const whole = (max: number, what: string) => z.string()
  .refine((text) => /^\d{1,6}$/.test(text) && Number(text) <= max, `must be a whole number from 0 to ${max}`)
  .transform(Number).meta({ type: 'integer', minimum: 0, maximum: max, description: what });

export const SCRIPT_QUERY = z.strictObject({
  pending: whole(100_000, 'How often it answers PENDING').optional(),
  delay: whole(86_400, 'Seconds after which it wants to be asked again').optional(),
  end: z.enum(['complete', 'fail']).optional().describe('How it ends'),
  data: z.string().max(65_536).optional().describe('What it ends with: JSON, or text'),
  message: z.string().max(1_000).optional(),
});
export type Script = z.output<typeof SCRIPT_QUERY>;

export class Participants {
  readonly #asked = new Map<string, number>();

  answer(job: string, script: Script): { job_id: string; delay: number; message: string; state: string; data: unknown } {
    const data = script.data === undefined ? undefined : parseData(script.data, 'data');
    const pending = script.pending ?? 0;
    const asked = Math.min((this.#asked.get(job) ?? 0) + 1, pending + 1); // stands still at the end
    this.#asked.delete(job);
    this.#asked.set(job, asked);
    if (this.#asked.size > MAX_JOBS) this.#asked.delete(this.#asked.keys().next().value ?? '');
    if (asked <= pending) return { job_id: job, delay: script.delay ?? 0, message: script.message ?? `not yet (${asked} of ${pending})`, state: 'PENDING', data: '' };
    const fails = script.end === 'fail';
    return { job_id: job, delay: 0, message: script.message ?? (fails ? 'it did not work' : 'done'), state: fails ? 'FAIL' : 'COMPLETE', data: data ?? { job, asked } };
  }
}
