// A store for each test of the contract, opened before it and closed after it.
import { afterEach, beforeEach } from 'vitest';
import { FakeClock } from '../../support/clock.ts';
import { POLICIES } from '../../support/make.ts';
import { Bench } from '../../support/store.ts';
import type { OpenStore } from '../contract.ts';

/** Call inside a describe; the bench is a new one in every test. */
export function eachTest(open: OpenStore): { readonly b: Bench } {
  const holder: { b: Bench } = { b: undefined as never };
  beforeEach(async () => {
    const clock = new FakeClock();
    holder.b = new Bench(await open(clock, POLICIES), clock);
  });
  afterEach(() => holder.b.store.close());
  return holder;
}
