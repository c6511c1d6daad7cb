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
  /** The table of all goals. */
  close(): void;
}

const shown = (value: number): string => (Math.abs(value) >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(2));

const reaches = (value: number, bound: number, better: Gate['better']): boolean => (better === 'more' ? value >= bound : value <= bound);

/** met: the stretch too (or there is none); gate: the gate, not the stretch; no: neither. */
export function verdict({ rounds, gate, stretch, better }: Gate): 'met' | 'gate' | 'no' {
  const value = median(rounds);
  if (!reaches(value, gate, better)) return 'no';
  return stretch === undefined || reaches(value, stretch, better) ? 'met' : 'gate';
}

export function report(out: (text: string) => void): Report {
  const gates: Gate[] = [];
  return {
    line: (text) => out(text),
    gate(gate) {
      gates.push(gate);
      out(`  → ${gate.what}: ${shown(median(gate.rounds))} (rounds ${gate.rounds.map(shown).join(' ')})`);
    },
    close() {
      if (gates.length === 0) return;
      out('\n| goal | what | median | lowest to highest round | gate | stretch | met / gate / no |\n| --- | --- | --- | --- | --- | --- | --- |');
      for (const gate of gates) {
        const sign = gate.better === 'more' ? '≥' : '≤';
        out(`| ${gate.goal} | ${gate.what} | ${shown(median(gate.rounds))} | ${shown(Math.min(...gate.rounds))} to ${shown(Math.max(...gate.rounds))} | ${sign} ${shown(gate.gate)} | ${gate.stretch === undefined ? '–' : `${sign} ${shown(gate.stretch)}`} | ${verdict(gate)} |`);
      }
    },
  };
}

export const rate = (count: number, ms: number): number => (count / ms) * 1_000;
export const perSecond = (value: number): string => `${Math.round(value).toLocaleString('en')}/s`;
