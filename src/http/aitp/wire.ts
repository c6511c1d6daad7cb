// Words that all of this dialect shares: times, numbers in queries, the task that a job of type `task` carries.
import { z } from 'zod';
import type { JobTemplate } from '../../domain/schedule.ts';
import { readJson } from '../../domain/read-json.ts';

/** With a zone, which the original leaves out: a client in another zone would read it as its own. */
export const isoOf = (at: number | null): string | null => (at === null ? null : new Date(at).toISOString());

export const number = (min: number, max: number, otherwise: number, what: string) => z.string()
  .refine((text) => /^\d{1,9}$/.test(text) && Number(text) >= min && Number(text) <= max, `must be a whole number from ${min} to ${max}`)
  .transform(Number).optional().default(otherwise).meta({ type: 'integer', minimum: min, maximum: max, description: what });
export const word = (max: number, what: string) => z.string().min(1).max(max).refine((text) => !text.includes('\0') && text.isWellFormed(), 'has characters that no name has').describe(what);
export const priority = z.int().min(1).max(10);
export const dataObject = z.record(z.string(), z.unknown());

/** The task as its job keeps it: what it is, and who is able to do it. */
export interface Task {
  readonly taskType: string;
  readonly capability: string;
  readonly clientId: string;
  readonly data: unknown;
}
export const TASK_TYPE = 'task';

export const taskTemplate = (task: Task, at: number): JobTemplate => ({ type: TASK_TYPE, input: JSON.stringify(task), spec: {}, priority: at });

/** A job of any other type is shown as a task of that type, for which nobody's capability is asked. */
export function taskOf(template: JobTemplate | null): { task_type: string; capability_required: string | null; input_data: unknown } {
  if (template === null) return { task_type: 'unknown', capability_required: null, input_data: null };
  const input = readJson(template.input);
  if (template.type !== TASK_TYPE) return { task_type: template.type, capability_required: null, input_data: input };
  const task = input as Partial<Task>;
  return { task_type: task.taskType ?? TASK_TYPE, capability_required: task.capability ?? null, input_data: task.data ?? null };
}

/** Names as the seed's own documents run them together, beside those that its code takes. */
const RUN_TOGETHER: Readonly<Record<string, string>> = {
  clientid: 'client_id', tasktype: 'task_type', capabilityrequired: 'capability_required', inputdata: 'input_data', cronexpression: 'cron_expression',
};
export const spelledOut = (body: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(body).map(([name, value]) => [Object.hasOwn(RUN_TOGETHER, name) ? RUN_TOGETHER[name] : name, value]));
