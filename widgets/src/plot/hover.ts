// What the pointer is near to: the point of each line at an x, and the line that is closest. Pure.

import type { Frame } from './painter';
import { pixelX, pixelY } from './painter';
import type { Line, PlotModel } from './plot_model';

/** The point of a line at the cursor. */
export interface HoverPoint {
  line: Line;
  x: number;
  y: number;
  /** What was logged there, where `y` is smoothed. */
  raw: number | null;
}

/** A line is near where the pointer is within so many pixels of its point. */
const NEAR_PX = 24;

/** Return the index of the point nearest to `x`, or -1 where there is none. */
export function nearestIndex(xs: Float64Array, x: number, ascending: boolean): number {
  if (xs.length === 0) {
    return -1;
  }
  if (!ascending) {
    let best = 0;
    for (let i = 1; i < xs.length; i++) {
      if (Math.abs(xs[i] - x) < Math.abs(xs[best] - x)) {
        best = i;
      }
    }
    return best;
  }
  let low = 0;
  let high = xs.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (xs[middle] < x) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low > 0 && x - xs[low - 1] <= xs[low] - x ? low - 1 : low;
}

/** Return the point of each line at an x, largest value first; lines that have ended before are left out. */
export function pointsAt(model: PlotModel, x: number): HoverPoint[] {
  const reach = 0.04 * (model.x.high - model.x.low);
  const points: HoverPoint[] = [];
  for (const line of model.lines) {
    const i = nearestIndex(line.curve.x, x, line.ascending);
    if (i < 0 || Math.abs(line.curve.x[i] - x) > Math.max(reach, gapAt(line.curve.x, i))) {
      continue;
    }
    const k = line.raw ? nearestIndex(line.raw.x, line.curve.x[i], line.ascending) : -1;
    points.push({
      line,
      x: line.curve.x[i],
      y: line.curve.y[i],
      raw: line.raw && k >= 0 ? line.raw.y[k] : null,
    });
  }
  return points.sort(
    (a, b) => (Number.isFinite(b.y) ? b.y : -Infinity) - (Number.isFinite(a.y) ? a.y : -Infinity)
  );
}

function gapAt(xs: Float64Array, i: number): number {
  return Math.max(i > 0 ? xs[i] - xs[i - 1] : 0, i < xs.length - 1 ? xs[i + 1] - xs[i] : 0) / 2;
}

/** Return the point that is closest to a pixel, if it is near. */
export function closest(
  points: readonly HoverPoint[],
  model: PlotModel,
  frame: Frame,
  px: number,
  py: number
): HoverPoint | null {
  const { x, y } = model;
  if (!y) {
    return null;
  }
  let found: HoverPoint | null = null;
  let least = NEAR_PX;
  for (const point of points) {
    const away = Math.hypot(pixelX(frame, x, point.x) - px, pixelY(frame, y, point.y) - py);
    if (away < least) {
      least = away;
      found = point;
    }
  }
  return found;
}
