// What the HTTP side is handed. The composition root fills it; nothing here reaches for anything else.
import type { FastifyInstance } from 'fastify';
import type { Clock } from '../domain/clock.ts';
import type { Policies } from '../domain/policy.ts';
import type { Artifacts } from '../orchestrator/artifacts.ts';
import type { Capacity } from '../orchestrator/capacity.ts';
import type { Jobs } from '../orchestrator/jobs.ts';
import type { Schedules } from '../orchestrator/schedules.ts';
import type { Waiters } from '../orchestrator/wait.ts';
import type { Store } from '../store/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Problem } from './problem.ts';
import type { Inputs } from './native/schemas.ts';
import type { HttpLimits } from './server.ts';
import type { OtherSubmit, TypeWords } from './words.ts';

export type Phase = 'starting' | 'ready' | 'stopping';

/** How a dialect says no. It covers every refusal under its prefix that has a path: also those before and without a route. */
export interface Envelope {
  readonly prefix: string;
  readonly headers: Readonly<Record<string, string>>;
  render(problem: Problem): { readonly status: number; readonly contentType: string; readonly text: string };
}

export interface HttpDeps {
  readonly store: Store;
  readonly jobs: Jobs;
  readonly schedules: Schedules;
  readonly waiters: Waiters;
  readonly artifacts: Artifacts;
  readonly capacity: Capacity;
  readonly policies: Policies;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Input schema of every type that can be submitted: handlers/inputs.ts INPUTS. */
  readonly inputs: Inputs;
  /** Why a URL of a submission may not be called, or null. */
  readonly refuseUrl: (url: string) => string | null;
  readonly phase: () => Phase;
  /** What is away though the server is ready: some jobs wait for it, the rest goes on. */
  readonly degraded?: () => readonly { readonly code: string; readonly message: string }[];
  readonly version: string;
  /** /api/debug/* is served. */
  readonly debug: boolean;
  /** null = any. */
  readonly allowedHosts: readonly string[] | null;
  readonly maxConnections: number;
  /** Only what differs from HTTP_LIMITS. */
  readonly limits?: Partial<HttpLimits>;
  /** Dialects that refuse in words of their own, by the prefix of their paths. */
  readonly envelopes?: readonly Envelope[];
  /** Job types that are shown in the words of a dialect. */
  readonly words?: Readonly<Record<string, TypeWords>>;
  /** What POST /api/jobs takes besides native bodies. */
  readonly otherSubmit?: OtherSubmit;
  /** Routes that are built elsewhere: the streams, dialects. Called before the server is ready. */
  readonly routes?: readonly ((app: FastifyInstance) => void)[];
}
