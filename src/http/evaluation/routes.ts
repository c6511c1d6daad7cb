// The evaluation dialect, as the composition root adds it: its own paths, and its part in POST /api/jobs.
import type { FastifyInstance } from 'fastify';
import type { Evaluations } from '../../orchestrator/evaluations.ts';
import { registerLibrary, type Refuse } from './library-routes.ts';
import { registerRuns } from './run-routes.ts';

export { experimentSubmitOf } from './run-routes.ts';

export function registerEvaluation(app: FastifyInstance, evaluations: Evaluations, refuse: Refuse): void {
  registerLibrary(app, evaluations.library, refuse);
  registerRuns(app, evaluations);
}
