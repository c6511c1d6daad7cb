// What /metrics says. Labels come from closed sets only (route patterns, methods, statuses, job types).
// The HTTP figures are kept in plain arrays and rendered at the scrape: prom-client's own observe costs a microsecond
// and a sorted label string each, three times a request.
import { collectDefaultMetrics, type Metric, Registry } from 'prom-client';

export interface Sample {
  readonly labels?: Readonly<Record<string, string | number>>;
  readonly value: number;
  /** Series of a histogram: name_bucket, name_sum, name_count. */
  readonly metricName?: string;
}
type Kind = 'counter' | 'gauge' | 'histogram';

/** Figures of one route pattern and method. */
export interface RouteMeter {
  observe(status: number, seconds: number, bytes: number): void;
}

export interface Metrics {
  readonly contentType: string;
  /** Adds a metric whose samples are made when it is scraped. */
  add(kind: Kind, name: string, help: string, collect: () => readonly Sample[] | Promise<readonly Sample[]>): void;
  route(method: string, pattern: string): RouteMeter;
  text(): Promise<string>;
}

/** CONTRACT 2.12; the dashboards' quantiles are made for these. */
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;
/** From a small answer to the largest list. */
const BYTES = [256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 8_388_608] as const;

export class Buckets {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  observe(value: number): void {
    let i = 0;
    while (i < this.#bounds.length && value > (this.#bounds[i] as number)) i++;
    this.#counts[i] = (this.#counts[i] as number) + 1;
    this.#sum += value;
  }

  samples(name: string, labels: Readonly<Record<string, string>>): Sample[] {
    let count = 0;
    const samples: Sample[] = this.#counts.map((n, i) => {
      count += n;
      return { metricName: `${name}_bucket`, labels: { le: this.#bounds[i] ?? '+Inf', ...labels }, value: count };
    });
    samples.push({ metricName: `${name}_sum`, labels, value: this.#sum }, { metricName: `${name}_count`, labels, value: count });
    return samples;
  }
}

interface Route {
  readonly labels: { readonly method: string; readonly endpoint: string };
  readonly seconds: Buckets;
  readonly bytes: Buckets;
  /** By status code. */
  readonly totals: Map<number, number>;
}

export function createMetrics(options: { readonly process?: boolean } = {}): Metrics {
  const registry = new Registry();
  if (options.process !== false) collectDefaultMetrics({ register: registry });
  const routes: Route[] = [];
  const asked = (): Route[] => routes.filter((route) => route.totals.size > 0);

  const add: Metrics['add'] = (kind, name, help, collect) => {
    const metric = { name, help, type: kind, aggregator: 'sum', get: async () => ({ name, help, type: kind, aggregator: 'sum', values: await collect() }) };
    registry.registerMetric(metric as unknown as Metric);
  };
  add('counter', 'http_requests_total', 'Requests answered', () => routes.flatMap((route) =>
    [...route.totals].map(([status, value]) => ({ labels: { ...route.labels, status }, value }))));
  add('histogram', 'http_request_duration_seconds', 'From the first byte of a request to the last of its answer', () =>
    asked().flatMap((route) => route.seconds.samples('http_request_duration_seconds', route.labels)));
  add('histogram', 'http_response_size_bytes', 'Bodies of answers whose length is known beforehand', () =>
    asked().flatMap((route) => route.bytes.samples('http_response_size_bytes', route.labels)));

  return {
    contentType: registry.contentType,
    add,
    route(method, pattern) {
      const route: Route = { labels: { method, endpoint: pattern }, seconds: new Buckets(SECONDS), bytes: new Buckets(BYTES), totals: new Map() };
      routes.push(route);
      return {
        observe(status, seconds, bytes) {
          route.totals.set(status, (route.totals.get(status) ?? 0) + 1);
          route.seconds.observe(seconds);
          if (bytes >= 0) route.bytes.observe(bytes);
        },
      };
    },
    text: () => registry.metrics(),
  };
}
