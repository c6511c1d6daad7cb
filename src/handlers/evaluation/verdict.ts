// A judge model's answer → a verdict. The score comes from the fields of the model's own answer, checked against their
// schema, and from nowhere else: what cannot be read so is no verdict.
import { z } from 'zod';
import type { Verdict } from '../../domain/evaluation/model.ts';
import { passes } from '../../domain/evaluation/scoring.ts';

const REASONING_MAX = 20_000;

const status = z.string().transform((word) => word.toLowerCase()).pipe(z.enum(['passed', 'failed'])).default('failed');
const accuracy = z.number().min(0).max(100);
const improvement = z.object({ category: z.string().max(500), issue: z.string().max(5_000), recommendation: z.string().max(5_000), priority: z.enum(['high', 'medium', 'low']).catch('medium') });
const answer = z.object({
  pass_fail_status: status, accuracy: accuracy.optional(), metrics: z.object({ accuracy: accuracy.optional() }).optional(),
  reasoning: z.string().max(REASONING_MAX).default(''), improvement_strategies: z.array(improvement).max(50).default([]),
}).refine((value) => value.accuracy !== undefined || value.metrics?.accuracy !== undefined, 'names no accuracy');

export type Judged = { readonly ok: true; readonly verdict: Omit<Verdict, 'judge' | 'usage' | 'duration'> } | { readonly ok: false; readonly message: string };

export function readVerdict(text: string): Judged {
  const parsed = parseAnswer(text);
  if (parsed === null) return { ok: false, message: 'The judge did not answer with one JSON object.' };
  const checked = answer.safeParse(parsed.value);
  if (!checked.success) {
    const [issue] = checked.error.issues;
    return { ok: false, message: `The judge's answer is not a verdict: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`.trim() };
  }
  const { pass_fail_status: said, reasoning, improvement_strategies: improvementStrategies } = checked.data;
  const score = Math.round(checked.data.accuracy ?? checked.data.metrics?.accuracy ?? 0);
  return { ok: true, verdict: { passFailStatus: passes(score, said), metrics: { accuracy: score }, llmJudgeReasoning: reasoning, improvementStrategies } };
}

/** The whole answer, or its one fenced block, or from its first brace to its last. Two blocks could be a quoted verdict and a real one: neither counts. */
function parseAnswer(text: string): { readonly value: unknown } | null {
  const blocks = [...text.matchAll(/```(?:json)?\s*\n([\s\S]*?)\n\s*```/g)].map((match) => match[1] ?? '');
  if (blocks.length > 1) return null;
  for (const candidate of [text, ...blocks, text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1)]) {
    try {
      const value: unknown = JSON.parse(candidate);
      if (typeof value === 'object' && value !== null) return { value };
    } catch {
      // the next form
    }
  }
  return null;
}
