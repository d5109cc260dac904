// Where a chart's x is in time, so that a click tells the other views of the run its second, and a second that they tell is marked.

import type { MetricSeries } from '../series/series_store';

/** The time at which a run was at an x of its chart, or `null` where that cannot be told. */
export function timeAt(all: readonly MetricSeries[], kind: string, x: number, origin: number): number | null {
  if (kind === 'clock' || kind === 'time') {
    return kind === 'time' ? x + origin : x;
  }
  return kind === 'step' ? between(all, x, 'step') : null;
}

/** Where a run was on its chart's x at a time, or `null`. */
export function xAt(all: readonly MetricSeries[], kind: string, time: number, origin: number): number | null {
  if (kind === 'clock' || kind === 'time') {
    return kind === 'time' ? time - origin : time;
  }
  return kind === 'step' ? between(all, time, 'time') : null;
}

// Of the series that has most points, as they have the least between them.
function between(all: readonly MetricSeries[], at: number, from: 'step' | 'time'): number | null {
  let best: readonly [Float64Array, Float64Array] | null = null;
  for (const series of all) {
    const pairs = series.stepsAndTimes();
    if (!series.isSystem && pairs[0].length > (best?.[0].length ?? 0)) {
      best = pairs;
    }
  }
  return best && interpolated(best[from === 'step' ? 0 : 1], best[from === 'step' ? 1 : 0], at);
}

/** The `y` at an `x`, between the two points around it; before the first and after the last, theirs. */
export function interpolated(xs: Float64Array, ys: Float64Array, x: number): number | null {
  if (xs.length === 0 || !Number.isFinite(x)) {
    return null;
  }
  let i = 0;
  while (i < xs.length - 1 && xs[i + 1] < x) {
    i += 1;
  }
  if (x <= xs[i] || i === xs.length - 1) {
    return ys[x <= xs[0] ? 0 : i];
  }
  const share = (x - xs[i]) / (xs[i + 1] - xs[i]);
  return ys[i] + share * (ys[i + 1] - ys[i]);
}
