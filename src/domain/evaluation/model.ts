// What an evaluation is about: test cases, agents, judges, run settings, verdicts. Types that every part of it shares.
import type { Step } from './steps.ts';

export interface ContextItem { readonly description: string; readonly value: string }
export interface ExpectedStep { readonly step?: number | undefined; readonly description: string; readonly requiredTools?: readonly string[] | undefined }
export interface Tool { readonly name: string; readonly description?: string | undefined; readonly parameters?: unknown }

/** What is asked and what is hoped for. */
export interface TestCase {
  readonly name: string;
  readonly description?: string | undefined;
  readonly labels?: readonly string[] | undefined;
  readonly initialPrompt: string;
  readonly context: readonly ContextItem[];
  readonly tools?: readonly Tool[] | undefined;
  readonly expectedOutcomes?: readonly string[] | undefined;
  readonly expectedTrajectory?: readonly ExpectedStep[] | undefined;
}

export interface CaseLimits {
  /** Whole run of the agent, ms. */
  readonly time?: number | undefined;
  readonly steps?: number | undefined;
  /** Tokens and cost as the agent reports them in RUN_FINISHED or CUSTOM usage events. */
  readonly tokens?: number | undefined;
  readonly cost?: number | undefined;
}

export interface RunConfig {
  readonly name: string;
  readonly description?: string | undefined;
  readonly agentKey: string;
  readonly modelId: string;
  readonly agentEndpoint?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly onRestart?: 'pause' | 'resume' | undefined;
  readonly width?: number | undefined;
  readonly repetitions?: number | undefined;
  readonly limits?: CaseLimits | undefined;
  /** 0..1: the run stops and fails once more of its cases than this ended without a score. */
  readonly maxErrorRate?: number | undefined;
  readonly baseline?: { readonly jobId: string; readonly tolerance?: number | undefined } | undefined;
}

/** Input of an `experiment` job. */
export interface ExperimentInput {
  readonly experimentId: string;
  readonly experimentName: string;
  readonly experimentRunId: string;
  readonly runConfig: RunConfig;
  readonly useCaseIds: readonly string[];
}

/** Input of an `evaluation` job: all that it needs, so that a later change of a case or an agent changes no run. */
export interface EvaluationInput {
  readonly experimentId: string | null;
  readonly experimentRunId: string | null;
  readonly useCaseId: string;
  readonly version: number;
  readonly repetition: number;
  readonly useCase: TestCase;
  readonly agent: AgentSettings;
  readonly modelId: string;
  readonly judge: JudgeSettings;
  readonly limits?: CaseLimits | undefined;
}

/** An agent as a job refers to it; its headers are looked up when it runs. */
export interface AgentSettings {
  readonly key: string;
  readonly endpoint: string;
  /** Runs of this agent at once. */
  readonly concurrency?: number | undefined;
  /** ms; see handlers/evaluation/agent.ts for what holds without them. */
  readonly timeouts?: { readonly first?: number | undefined; readonly silence?: number | undefined; readonly total?: number | undefined } | undefined;
}

/** A judge as a job refers to it; its key is looked up when it runs. */
export interface JudgeSettings {
  readonly modelId: string;
  readonly kind: 'rules' | 'openai';
  readonly baseUrl?: string | undefined;
  readonly model?: string | undefined;
  readonly timeout?: number | undefined;
  readonly maxAttempts?: number | undefined;
  readonly concurrency?: number | undefined;
  /** Per million tokens, in whatever currency the bill has. */
  readonly prices?: { readonly input: number; readonly output: number } | undefined;
}

/** Input of a `judge` job: what a report holds, or what was sent along. */
export interface JudgeInput {
  readonly reportId: string | null;
  readonly judge: JudgeSettings;
  readonly expectedOutcomes?: readonly string[] | undefined;
  readonly expectedTrajectory?: readonly ExpectedStep[] | undefined;
  readonly trajectory?: readonly Step[] | undefined;
  readonly logs?: readonly unknown[] | undefined;
}

export interface Improvement { readonly category: string; readonly issue: string; readonly recommendation: string; readonly priority: 'high' | 'medium' | 'low' }

export interface Usage { readonly inputTokens: number; readonly outputTokens: number; readonly cost: number | null }

export interface Verdict {
  readonly passFailStatus: 'passed' | 'failed';
  readonly metrics: { readonly accuracy: number };
  readonly llmJudgeReasoning: string;
  readonly improvementStrategies: readonly Improvement[];
  /** Who judged: rules@1, or a model with the version of the prompt. */
  readonly judge: { readonly kind: 'rules' | 'openai'; readonly modelId: string; readonly model: string | null; readonly prompt: string };
  readonly usage: Usage | null;
  /** ms. */
  readonly duration: number;
}

/** Built in: no model, no network. */
export const RULES_MODEL = 'rules';
export const DEMO_AGENT = 'demo';
export const DEMO_ENDPOINT = 'mock://demo';

/** Result of an `evaluation` job. Small: a run of a thousand cases reads all of them. */
export interface EvaluationResult {
  readonly useCaseId: string;
  readonly repetition: number;
  readonly reportId: string;
  readonly runId: string | null;
  readonly passFailStatus: 'passed' | 'failed' | null;
  readonly accuracy: number | null;
  /** A limit of the case that cut the agent short; what it had done by then is what was scored. */
  readonly limit: string | null;
  readonly tokens: number | null;
  readonly cost: number | null;
  /** Of the agent's run, ms. */
  readonly duration: number;
}

/** A report belongs to one evaluation job and is named after it: done again, it is the same report. */
export const reportIdOf = (jobId: string): string => jobId.replace(/^job_/, 'report_');
