// What was reached: requests by operation and status. A fuzzer that never gets in, or never meets a refusal, shows nothing.
import type { Document, Operation } from './document.ts';

/** Statuses that need not be met here, each with its reason. */
const NOT_HERE: readonly { readonly status: string; readonly when: (operation: Operation) => boolean; readonly why: string }[] = [
  { status: '408', when: () => true, why: 'takes ten seconds of silence; test/http/hostile.test.ts waits for it' },
  { status: '500', when: () => true, why: 'a defect, wherever it is met' },
  { status: '503', when: () => true, why: 'needs an overload; the load here is bounded so that none comes' },
  { status: '501', when: () => true, why: 'what the server lacks without a setting; here it has them, test/http/operations is without' },
  { status: '200', when: ({ id }) => id === 'downloadArtifact' || id === 'readArtifact', why: 'only a container leaves files; test/e2e/operations.test.ts downloads them' },
  { status: '414', when: ({ path }) => !path.includes('{'), why: 'only a long part of a path is too long, and this path has no part that can change' },
];

export class Coverage {
  readonly #document: Document;
  readonly #met = new Map<string, number>();
  requests = 0;
  unrouted = 0;
  left = 0;

  constructor(document: Document) {
    this.#document = document;
  }

  count(operation: Operation | null, status: number): void {
    this.requests += 1;
    if (operation === null) { this.unrouted += 1; return; }
    const key = `${operation.id} ${status}`;
    this.#met.set(key, (this.#met.get(key) ?? 0) + 1);
  }

  of(operation: string, status: number): number { return this.#met.get(`${operation} ${status}`) ?? 0; }

  /** What was never met and should have been. */
  missing(): string[] { return this.#document.operations.flatMap((operation) => this.#missingOf(operation)); }

  isMissing(operation: Operation): boolean { return this.#missingOf(operation).length > 0; }

  #missingOf(operation: Operation): string[] {
    const statuses = Object.keys(operation.answers);
    const isIn = statuses.some((status) => status.startsWith('2') && (this.of(operation.id, Number(status)) > 0 || NOT_HERE.some((row) => row.status === status && row.when(operation))));
    const unmet = statuses.filter((status) => this.of(operation.id, Number(status)) === 0 && !NOT_HERE.some((row) => row.status === status && row.when(operation)));
    return [...(isIn ? [] : [`${operation.id} never answered 2xx`]), ...unmet.map((status) => `${operation.id} never answered ${status}`)];
  }

  table(): string {
    const statuses = [...new Set([...this.#met.keys()].map((key) => key.split(' ')[1]!))].sort();
    const width = Math.max(...this.#document.operations.map(({ id }) => id.length));
    const row = (name: string, cells: readonly string[]): string => `  ${name.padEnd(width)} ${cells.map((cell) => cell.padStart(6)).join(' ')}`;
    return [row('', statuses), ...this.#document.operations.map(({ id }) => row(id, statuses.map((status) => String(this.of(id, Number(status)) || '.')))),
      `  ${this.unrouted} led to no operation, ${this.left} long polls were left`].join('\n');
  }
}
