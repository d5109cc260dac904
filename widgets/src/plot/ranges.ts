// How far a plot's y axis goes, the same maths as `jupyter_ext/client/trainings/curves/ranges.py`; both are tested
// with widgets/tests/chart/chart_maths.json.

import type { Curve } from '../series/downsampler';
import type { Scale } from './scales';

/** The ends of a y axis, and how many seen points it leaves out. */
export interface Extent {
  low: number;
  high: number;
  numOutside: number;
}

/** A curve with what else of it is seen. */
interface Seen {
  curve: Curve;
  raw: Curve | null;
  band: { low: Float64Array; high: Float64Array } | null;
}

const PAD_SHARE = 0.06;
/** Quantiles of the values, and how many times their distance beyond them is still no outlier. */
const QUANTILES = [0.05, 0.95] as const;
const WHISKER = 1;

/** Return the range of what is seen, or `null` where there is nothing. */
export function visibleRange(
  lines: readonly Seen[],
  x: Scale,
  log: boolean,
  ignoreOutliers: boolean
): Extent | null {
  const seen: number[] = [];
  for (const { curve, raw, band } of lines) {
    collect(curve.x, curve.y, x, log, seen);
    if (raw) {
      collect(raw.x, raw.y, x, log, seen);
    }
    if (band) {
      collect(curve.x, band.low, x, log, seen);
      collect(curve.x, band.high, x, log, seen);
    }
  }
  return extentOf(seen, log, ignoreOutliers);
}

function collect(x: Float64Array, y: Float64Array, scale: Scale, log: boolean, into: number[]): void {
  for (let i = 0; i < x.length; i++) {
    const value = y[i];
    if (x[i] >= scale.low && x[i] <= scale.high && Number.isFinite(value) && (!log || value > 0)) {
      into.push(log ? Math.log10(value) : value);
    }
  }
}

/**
 * Return the range of values with some room; without outliers it ends one distance between the 5 % and 95 % quantiles
 * beyond these.
 *
 * @param values Finite; logarithms to base 10 on a log axis. The range is in data units.
 */
export function extentOf(values: readonly number[], log: boolean, ignoreOutliers: boolean): Extent | null {
  if (values.length === 0) {
    return null;
  }
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  let numOutside = 0;
  if (ignoreOutliers) {
    const sorted = Float64Array.from(values).sort();
    const [lower, upper] = QUANTILES.map(share => quantile(sorted, share));
    const reach = WHISKER * (upper - lower);
    low = Math.max(low, lower - reach);
    high = Math.min(high, upper + reach);
    numOutside = values.reduce((count, value) => count + (value < low || value > high ? 1 : 0), 0);
  }
  if (low === 0 && high === 0 && !log) {
    return { low: 0, high: 1, numOutside }; // what has done nothing stands on the ground
  }
  const pad = high > low ? PAD_SHARE * (high - low) : log ? 0.5 : Math.abs(low) * 0.2 || 1;
  const ends = [low - pad, high + pad];
  return log
    ? { low: 10 ** ends[0], high: 10 ** ends[1], numOutside }
    : { low: ends[0], high: ends[1], numOutside };
}

/** Return a quantile of sorted values, between two of them a straight line. */
function quantile(sorted: Float64Array, share: number): number {
  const at = share * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(sorted.length - 1, below + 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}
