// The mean of several runs' curves and how far they scatter, the same maths as
// `jupyter_ext/client/trainings/curves/aggregate.py`; both are tested with widgets/tests/chart/chart_maths.json.

import type { Curve } from '../series/downsampler';

/** A mean curve and its band of one standard deviation (of the runs, n in the denominator). */
export interface MeanCurve {
  x: Float64Array;
  mean: Float64Array;
  low: Float64Array;
  high: Float64Array;
}

const MAX_POINTS = 400;

/**
 * Average curves over x: between its points each is a straight line, outside of them it has no say.
 *
 * @param curves Each ascending in x; points that are not finite are left out.
 */
export function meanCurve(curves: readonly Curve[]): MeanCurve {
  const clean = curves.map(finite).filter(curve => curve.x.length > 0);
  const x = gridOf(clean);
  const mean = new Float64Array(x.length);
  const low = new Float64Array(x.length);
  const high = new Float64Array(x.length);
  const cursors = clean.map(() => 0);
  for (let i = 0; i < x.length; i++) {
    let count = 0;
    let sum = 0;
    let squares = 0;
    clean.forEach((curve, k) => {
      const { value, cursor } = interpolate(curve, x[i], cursors[k]);
      cursors[k] = cursor;
      if (Number.isFinite(value)) {
        count += 1;
        const before = sum / Math.max(1, count - 1);
        sum += value;
        squares += count > 1 ? (value - before) * (value - sum / count) : 0;
      }
    });
    const spread = count > 0 ? Math.sqrt(squares / count) : NaN;
    mean[i] = count > 0 ? sum / count : NaN;
    low[i] = mean[i] - spread;
    high[i] = mean[i] + spread;
  }
  return { x, mean, low, high };
}

function finite({ x, y }: Curve): Curve {
  const kept = Array.from(x.keys()).filter(i => Number.isFinite(x[i]) && Number.isFinite(y[i]));
  return { x: Float64Array.from(kept, i => x[i]), y: Float64Array.from(kept, i => y[i]) };
}

// All x of all curves, thinned evenly where they are many, both ends kept.
function gridOf(curves: readonly Curve[]): Float64Array {
  const all = Float64Array.from(new Set(curves.flatMap(curve => Array.from(curve.x)))).sort();
  if (all.length <= MAX_POINTS) {
    return all;
  }
  const stride = (all.length - 1) / (MAX_POINTS - 1);
  return Float64Array.from({ length: MAX_POINTS }, (_, i) => all[Math.floor(i * stride + 0.5)]);
}

function interpolate({ x, y }: Curve, at: number, from: number): { value: number; cursor: number } {
  const last = x.length - 1;
  if (at < x[0] || at > x[last]) {
    return { value: NaN, cursor: from };
  }
  let i = from;
  while (i < last && x[i + 1] <= at) {
    i += 1;
  }
  if (i === last || x[i] === at) {
    return { value: y[i], cursor: i };
  }
  const share = (at - x[i]) / (x[i + 1] - x[i]);
  return { value: y[i] + share * (y[i + 1] - y[i]), cursor: i };
}
