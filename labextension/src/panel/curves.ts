// The small curves of the panel: each is fetched once, when its row is first seen, and then grows with what
// the list stream says of the training.

import { TrainingClient } from '../../../widgets/src/training/training_client';
import type { Transport } from '../../../widgets/src/transport/transport';
import { type Training, toNumber } from '../../../widgets/src/wire';

/** Points that a small curve has at most; every second one is dropped beyond. */
const MAX_POINTS = 120;
const BUCKETS = 30;
/** Requests at a time: a long panel must not hold up what a person asks for. */
const MAX_REQUESTS = 2;

interface Curve {
  points: [step: number, value: number][];
}

export class Curves {
  readonly #transport: Transport;
  readonly #onChange: () => void;
  readonly #curves = new Map<string, Curve>();
  readonly #queue: [training: Training, metric: string][] = [];
  #asking = 0;

  constructor(transport: Transport, onChange: () => void) {
    this.#transport = transport;
    this.#onChange = onChange;
  }

  /** Return the points of a training's curve as far as they are here, and see to the rest. */
  points(training: Training, metric: string): Curve['points'] {
    const key = `${training.id} ${metric}`;
    const curve = this.#curves.get(key);
    if (!curve) {
      this.#curves.set(key, { points: [] });
      this.#queue.push([training, metric]);
      this.#next();
      return [];
    }
    grow(curve, training, metric);
    return curve.points;
  }

  #next(): void {
    while (this.#asking < MAX_REQUESTS) {
      const [training, metric] = this.#queue.shift() ?? [];
      if (!training || metric === undefined) {
        return;
      }
      this.#asking += 1;
      void this.#fetch(training, metric).finally(() => {
        this.#asking -= 1;
        this.#next();
      });
    }
  }

  async #fetch(training: Training, metric: string): Promise<void> {
    try {
      const { series } = await new TrainingClient(this.#transport, training.id).metrics(BUCKETS, undefined, [
        metric,
      ]);
      const found = series.find(({ info }) => info.key === metric && info.rank === '0');
      const curve = this.#curves.get(`${training.id} ${metric}`);
      if (found && curve) {
        const fetched = [...found.steps].map((step, i): [number, number] => [step, found.values[i]]);
        const newest = fetched.at(-1)?.[0] ?? -Infinity;
        curve.points = [...fetched, ...curve.points.filter(([step]) => step > newest)];
        this.#onChange();
      }
    } catch {
      // It begins with what the stream says from now on.
    }
  }
}

function grow(curve: Curve, training: Training, metric: string): void {
  const last = training.last[metric];
  if (!last || last.step <= (curve.points.at(-1)?.[0] ?? -Infinity)) {
    return;
  }
  curve.points.push([last.step, toNumber(last.value)]);
  if (curve.points.length > MAX_POINTS) {
    curve.points = curve.points.filter((_point, i) => i % 2 === 0 || i === curve.points.length - 1);
  }
}

/**
 * Return the path of a curve in a box; what is not finite is left out as a gap.
 *
 * @param width Of the box, px.
 * @param height Of the box, px.
 */
export function pathOf(points: readonly [number, number][], width: number, height: number): string {
  const finite = points.filter(([, value]) => Number.isFinite(value));
  if (finite.length < 2) {
    return '';
  }
  const steps = finite.map(([step]) => step);
  const values = finite.map(([, value]) => value);
  const [left, right] = [Math.min(...steps), Math.max(...steps)];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const x = (step: number) => ((step - left) / (right - left || 1)) * (width - 2) + 1;
  const y = (value: number) =>
    high === low ? height / 2 : height - 1.5 - ((value - low) / (high - low)) * (height - 3);
  let path = '';
  let isPen = false;
  for (const [step, value] of points) {
    if (Number.isFinite(value)) {
      path += `${isPen ? 'L' : 'M'}${x(step).toFixed(1)} ${y(value).toFixed(1)}`;
    }
    isPen = Number.isFinite(value);
  }
  return path;
}
