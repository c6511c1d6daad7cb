// The runs of this process, by type, and what is heard of their leases: also of those whose claims are still under way.
import type { Claim, LeaseRef } from '../domain/commands.ts';
import type { Running } from './running.ts';

export interface Slot {
  limit: number;
  /** Places that claims under way may fill. */
  asked: number;
  claims: number;
  /** Something was committed while a claim was under way, which may not have seen it. */
  again: boolean;
  readonly running: Map<string, Running>;
}

const nameOf = (jobId: string, epoch: number): string => `${jobId} ${epoch}`;

export class Slots extends Map<string, Slot> {
  /** Leases taken away while claims are under way: theirs may be among the answers, when a claim shared a commit with a cancel. */
  readonly #gone = new Set<string>();
  /** The same for jobs that were asked to end. */
  readonly #asked = new Set<string>();

  isClaiming(): boolean {
    for (const slot of this.values()) if (slot.claims > 0) return true;
    return false;
  }

  revoke(leases: readonly LeaseRef[]): void {
    this.#each(leases, this.#gone, (run) => {
      run.revoked = true;
      run.abort('The lease is gone: cancelled, timed out or taken back.');
    });
  }

  ask(leases: readonly LeaseRef[]): void {
    this.#each(leases, this.#asked, (run) => run.ask());
  }

  #each(leases: readonly LeaseRef[], later: Set<string>, tell: (run: Running) => void): void {
    const claiming = this.isClaiming();
    for (const { jobId, epoch } of leases) {
      const run = [...this.values()].map((slot) => slot.running.get(jobId)).find((one) => one?.claim.epoch === epoch);
      if (run !== undefined) tell(run);
      else if (claiming) later.add(nameOf(jobId, epoch));
    }
  }

  /** Was its lease taken away before its claim was answered? */
  isGone({ id, epoch }: Claim): boolean { return this.#gone.delete(nameOf(id, epoch)); }
  wasAsked({ id, epoch }: Claim): boolean { return this.#asked.delete(nameOf(id, epoch)); }

  /** A claim was answered: nothing is heard too early once none is under way. */
  answered(): void {
    if (this.isClaiming()) return;
    this.#gone.clear();
    this.#asked.clear();
  }
}
