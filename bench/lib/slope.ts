// A straight line through points by least squares.

/** Slope per unit of x and its standard error; NaN for fewer than three points. */
export function slope(points: readonly (readonly [x: number, y: number])[]): { readonly perUnit: number; readonly error: number } {
  const n = points.length;
  if (n < 3) return { perUnit: NaN, error: NaN };
  const mean = (of: (point: readonly [number, number]) => number): number => points.reduce((sum, point) => sum + of(point), 0) / n;
  const [mx, my] = [mean(([x]) => x), mean(([, y]) => y)];
  const sxx = points.reduce((sum, [x]) => sum + (x - mx) ** 2, 0);
  const perUnit = points.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0) / sxx;
  const rest = points.reduce((sum, [x, y]) => sum + (y - my - perUnit * (x - mx)) ** 2, 0);
  return { perUnit, error: Math.sqrt(rest / (n - 2) / sxx) };
}
