// The smoothing of curves, the same maths as `jupyter_ext/client/trainings/curves/smoothing.py`; both are tested
// with widgets/tests/chart/chart_maths.json.

/** How a curve is smoothed: `ema` as TensorBoard does it, the other two look both ways. */
export type SmoothingKind = 'ema' | 'gaussian' | 'mean';

/** A smoothing and its strength: the weight of the past per sample in [0, 1), 0 for none. */
export interface Smoothing {
  kind: SmoothingKind;
  weight: number;
}

/** Smoothing is felt alike on a short and a long run: above this many samples its reach grows with the run. */
const SMOOTHING_SAMPLES = 1000;
/** A Gaussian is cut off after so many standard deviations. */
const GAUSSIAN_REACH = 3;

/**
 * Smooth values of which each stands for some samples.
 *
 * All kinds reach equally far: the exponential average forgets by 1/e, the Gaussian has its standard deviation, and
 * the running mean its half width at `-1 / ln(weight)` samples. A value that is not finite stays a gap and adds
 * nothing to its neighbours.
 *
 * @param values Means of the samples; NaN is a gap.
 * @param weights How many samples each stands for.
 */
export function smooth(
  values: ArrayLike<number>,
  weights: ArrayLike<number>,
  { kind, weight }: Smoothing
): Float64Array {
  let total = 0;
  for (let i = 0; i < weights.length; i++) {
    total += weights[i];
  }
  const scale = Math.min(1, SMOOTHING_SAMPLES / total);
  if (weight <= 0) {
    return Float64Array.from(values);
  }
  return kind === 'ema'
    ? ema(values, weights, weight, scale)
    : windowed(values, weights, weight, scale, kind);
}

function ema(
  values: ArrayLike<number>,
  weights: ArrayLike<number>,
  weight: number,
  scale: number
): Float64Array {
  const smoothed = new Float64Array(values.length);
  let average = 0;
  let bias = 1;
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i])) {
      smoothed[i] = NaN;
      continue;
    }
    const keep = weight ** (weights[i] * scale);
    average = average * keep + values[i] * (1 - keep);
    bias *= keep;
    smoothed[i] = bias < 1 ? average / (1 - bias) : average;
  }
  return smoothed;
}

function windowed(
  values: ArrayLike<number>,
  weights: ArrayLike<number>,
  weight: number,
  scale: number,
  kind: 'gaussian' | 'mean'
): Float64Array {
  const n = values.length;
  const reach = -1 / (Math.log(weight) * scale);
  const radius = kind === 'gaussian' ? GAUSSIAN_REACH * reach : reach;
  const at = new Float64Array(n);
  for (let i = 0, sum = 0; i < n; sum += weights[i], i++) {
    at[i] = sum + weights[i] / 2;
  }
  const smoothed = new Float64Array(n);
  for (let i = 0, from = 0; i < n; i++) {
    while (at[i] - at[from] > radius) {
      from += 1;
    }
    let sum = 0;
    let norm = 0;
    for (let k = from; k < n && at[k] - at[i] <= radius; k++) {
      if (Number.isFinite(values[k])) {
        const away = (at[k] - at[i]) / reach;
        const factor = weights[k] * (kind === 'gaussian' ? Math.exp(-0.5 * away * away) : 1);
        sum += factor * values[k];
        norm += factor;
      }
    }
    smoothed[i] = Number.isFinite(values[i]) && norm > 0 ? sum / norm : NaN;
  }
  return smoothed;
}
