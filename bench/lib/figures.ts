// Medians and the one way a figure is printed. A gate is judged on the median of per-round ratios: single absolute
// times move by a quarter on a shared machine, ratios of neighbours much less.

export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

export interface Gate {
  readonly goal: string;
  readonly what: string;
  /** One ratio (or rate) of each round. */
  readonly rounds: readonly number[];
  /** What must be reached. */
  readonly gate: number;
  readonly stretch?: number;
  /** Is more better (a rate) or less (a cost)? */
  readonly better: 'more' | 'less';
}

export interface Report {
  line(text: string): void;
  gate(gate: Gate): void;
  /** The table of all gates; false if one was missed. */
  close(): boolean;
}

const shown = (value: number): string => (Math.abs(value) >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(2));

export function report(out: (text: string) => void): Report {
  const gates: Gate[] = [];
  const met = ({ rounds, gate, better }: Gate): boolean => (better === 'more' ? median(rounds) >= gate : median(rounds) <= gate);
  return {
    line: (text) => out(text),
    gate(gate) {
      gates.push(gate);
      out(`  → ${gate.what}: ${shown(median(gate.rounds))} (rounds ${gate.rounds.map(shown).join(' ')})`);
    },
    close() {
      out('\n| goal | what | median | lowest to highest round | gate | stretch | |\n| --- | --- | --- | --- | --- | --- | --- |');
      for (const gate of gates) {
        const sign = gate.better === 'more' ? '≥' : '≤';
        out(`| ${gate.goal} | ${gate.what} | ${shown(median(gate.rounds))} | ${shown(Math.min(...gate.rounds))} to ${shown(Math.max(...gate.rounds))} | ${sign} ${shown(gate.gate)} | ${gate.stretch === undefined ? '–' : `${sign} ${shown(gate.stretch)}`} | ${met(gate) ? 'met' : 'MISSED'} |`);
      }
      return gates.every(met);
    },
  };
}

export const rate = (count: number, ms: number): number => (count / ms) * 1_000;
export const perSecond = (value: number): string => `${Math.round(value).toLocaleString('en')}/s`;
