// Shortening what came from outside, never between the halves of a surrogate pair.
import type { Step } from '../../domain/evaluation/steps.ts';

export const clipText = (text: string, max: number): string => (text.length <= max ? text : `${text.slice(0, max - 1)}…`).toWellFormed();

/** Longest text of one step, characters; the report says where more was cut. The raw events have it whole. */
const STEP_TEXT = 256 * 1_024;

export function clipStep(step: Step): Step {
  if (stepSize(step) <= STEP_TEXT) return step;
  const args = step.toolArgs === undefined ? '' : JSON.stringify(step.toolArgs);
  return {
    ...step, content: clipText(step.content, STEP_TEXT),
    ...(step.toolOutput === undefined ? {} : { toolOutput: clipText(step.toolOutput, STEP_TEXT) }),
    ...(step.toolArgs === undefined ? {} : { toolArgs: args.length <= STEP_TEXT ? step.toolArgs : { _raw: clipText(args, STEP_TEXT) } }),
  };
}

export const stepSize = ({ content, toolOutput, toolArgs }: Step): number =>
  content.length + (toolOutput?.length ?? 0) + (toolArgs === undefined ? 0 : JSON.stringify(toolArgs).length);
