// How a dialect takes part in the native paths. Some of a foreign contract's paths are ours (/api/jobs and what is below):
// there the job's type decides whose words are spoken, and a dialect brings them along instead of a second set of routes.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import type { JobRecord } from '../store/store.ts';
import type { StreamDialect } from './stream.ts';

/** The words of one job type. */
export interface TypeWords {
  /** What its job adds to (or says otherwise than) the native one, and its events; for the document. */
  readonly name: string;
  readonly jobSchema: z.ZodType;
  readonly eventSchema: z.ZodType;
  /** JSON text of a job, from the native one. */
  job(record: JobRecord, native: string): Promise<string>;
  readonly stream: StreamDialect;
}

/** A body of POST /api/jobs that is not native: known by one property, taken before the native schema sees it. */
export interface OtherSubmit {
  /** The property that no native body has. */
  readonly mark: string;
  readonly schema: z.ZodType;
  take(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply>;
}
