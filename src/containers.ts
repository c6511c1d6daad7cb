// The composition root's part for containers: engine, tools of the handler, and whoever looks after what is left.
import type { Config } from './config.ts';
import { ConfigError } from './config.ts';
import { readAddress } from './docker/address.ts';
import { createEngine } from './docker/engine.ts';
import type { Clock } from './domain/clock.ts';
import { isFinal } from './domain/job.ts';
import type { ContainerTools } from './handlers/container.ts';
import { ContainerKeeper } from './handlers/container-keeper.ts';
import type { Artifacts } from './orchestrator/artifacts.ts';
import type { Store } from './store/store.ts';
import type { Logger } from './telemetry/logger.ts';

export interface Containers {
  readonly tools: ContainerTools;
  readonly keeper: () => ContainerKeeper | null;
  /** Once the store is open, before anything is claimed. */
  attach(store: Store): Promise<void>;
  degraded(): { code: string; message: string }[];
  start(): void;
  stop(): Promise<void>;
}

export function createContainers({ config, clock, artifacts, log }: { config: Config; clock: Clock; artifacts: Artifacts; log: Logger }): Containers {
  const { containers } = config;
  const address = (() => {
    try {
      return readAddress(containers.engine);
    } catch (error) {
      throw new ConfigError([`DOCKER_CERT_PATH: ${error instanceof Error ? error.message : String(error)}`]);
    }
  })();
  const docker = createEngine(address, clock);
  let owner = '';
  let keeper: ContainerKeeper | null = null;
  return {
    tools: {
      docker, clock, artifacts, images: containers.images, runtime: containers.runtime, rawMax: containers.output,
      get owner() { return owner; },
      onEngine: (error) => keeper?.heard(error),
      onLeft: () => keeper?.look(),
    },
    keeper: () => keeper,
    async attach(store) {
      owner = await store.instance();
      keeper = new ContainerKeeper({
        docker, clock, owner, report: log,
        isLive: async (jobId, attempt) => {
          const record = await store.job(jobId);
          return record !== null && !isFinal(record.job.status) && record.job.attempt === attempt && record.job.attemptStartedAt !== null;
        },
        sweep: () => artifacts.sweep(async (jobId) => (await store.job(jobId)) !== null),
      });
    },
    degraded: () => (keeper === null || keeper.away === null ? [] : [{ code: 'engine_unavailable', message: `Containers wait: ${keeper.away}` }]),
    start() { keeper?.start(); },
    async stop() {
      await keeper?.stop();
      docker.close();
    },
  };
}
