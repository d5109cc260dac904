// A bounded picture of a series that only grows at its end: buckets that keep their smallest and largest
// sample.
// The rule: every drawn point is a real sample, and the first and the last are always among them.

import { type Smoothing, smooth } from './smoothing';

/** Buckets kept; a screen-sized curve needs about one pair of points per two pixels. */
export const DEFAULT_BUCKETS = 800;

/** Points to draw, in order of arrival. A NaN in `y` is a gap. */
export interface Curve {
  x: Float64Array;
  y: Float64Array;
}

export type Axis = 'step' | 'time';

/** A range of an axis, both ends included; Unix seconds on the time axis. */
export interface Range {
  axis: Axis;
  from: number;
  to: number;
}

/** One sample. `time` is Unix seconds. */
export interface Sample {
  step: number;
  value: number;
  time: number;
}

/** Parallel columns, one row per bucket; `at` fields are the sample's number in order of arrival. */
interface Extreme {
  value: Float64Array;
  step: Float64Array;
  time: Float64Array;
  at: Float64Array;
}

export class Downsampler {
  readonly #cap: number;
  readonly #min: Extreme;
  readonly #max: Extreme;
  /** The last sample of each bucket: where its mean is drawn. */
  readonly #end: { step: Float64Array; time: Float64Array };
  readonly #sum: Float64Array;
  /** Weight of the finite samples; 0 makes the bucket a gap. */
  readonly #finite: Float64Array;
  readonly #weight: Float64Array;
  #buckets = 0;
  #target = 1;
  #count = 0;
  #total = 0;
  #first: Sample | null = null;
  #last: Sample | null = null;

  constructor(cap: number = DEFAULT_BUCKETS) {
    this.#cap = cap;
    const column = () => new Float64Array(cap + 1);
    const extreme = (): Extreme => ({ value: column(), step: column(), time: column(), at: column() });
    this.#min = extreme();
    this.#max = extreme();
    this.#end = { step: column(), time: column() };
    this.#sum = column();
    this.#finite = column();
    this.#weight = column();
  }

  /** Samples that were pushed, weighted. */
  get total(): number {
    return this.#total;
  }

  get first(): Sample | null {
    return this.#first;
  }

  get last(): Sample | null {
    return this.#last;
  }

  /** Add a sample that stands for `weight` samples (more than 1 when it comes from decimated columns). */
  push(step: number, value: number, time: number, weight = 1): void {
    const sample = { step, value, time };
    this.#first ??= sample;
    this.#last = sample;
    this.#count += 1;
    this.#total += weight;
    let i = this.#buckets - 1;
    if (i < 0 || this.#weight[i] + weight > this.#target) {
      i = this.#open();
    }
    this.#weight[i] += weight;
    this.#end.step[i] = step;
    this.#end.time[i] = time;
    if (Number.isFinite(value)) {
      if (this.#finite[i] === 0 || value < this.#min.value[i]) {
        this.#set(this.#min, i, sample);
      }
      if (this.#finite[i] === 0 || value > this.#max.value[i]) {
        this.#set(this.#max, i, sample);
      }
      this.#finite[i] += weight;
      this.#sum[i] += value * weight;
    }
  }

  /**
   * Return the points to draw.
   *
   * @param axis What x is.
   * @param origin Subtracted from x.
   */
  curve(axis: Axis, origin = 0): Curve {
    const x = new Float64Array(2 * this.#buckets + 2);
    const y = new Float64Array(2 * this.#buckets + 2);
    let n = 0;
    const add = (px: number, py: number) => {
      x[n] = px - origin;
      y[n] = Number.isFinite(py) ? py : NaN;
      n += 1;
    };
    const addRow = (from: Extreme, i: number) => add(from[axis][i], from.value[i]);
    const lastAt = this.#count;
    const isEnd = (at: number) => at === 1 || at === lastAt;
    if (this.#first) {
      add(this.#first[axis], this.#first.value);
    }
    for (let i = 0; i < this.#buckets; i++) {
      if (this.#finite[i] === 0) {
        add(this.#end[axis][i], NaN);
        continue;
      }
      const minAt = this.#min.at[i];
      const maxAt = this.#max.at[i];
      const [early, late] = minAt <= maxAt ? [this.#min, this.#max] : [this.#max, this.#min];
      if (!isEnd(early.at[i])) {
        addRow(early, i);
      }
      if (minAt !== maxAt && !isEnd(late.at[i])) {
        addRow(late, i);
      }
    }
    if (this.#last && this.#count > 1) {
      add(this.#last[axis], this.#last.value);
    }
    return { x: x.subarray(0, n), y: y.subarray(0, n) };
  }

  /** Return the smoothed bucket means, each at the end of its bucket. */
  smoothed(axis: Axis, smoothing: Smoothing, origin = 0): Curve {
    const x = new Float64Array(this.#buckets);
    const means = new Float64Array(this.#buckets);
    for (let i = 0; i < this.#buckets; i++) {
      x[i] = this.#end[axis][i] - origin;
      means[i] = this.#finite[i] > 0 ? this.#sum[i] / this.#finite[i] : NaN;
    }
    return { x, y: smooth(means, this.#weight.subarray(0, this.#buckets), smoothing) };
  }

  #set(extreme: Extreme, i: number, sample: Sample): void {
    extreme.value[i] = sample.value;
    extreme.step[i] = sample.step;
    extreme.time[i] = sample.time;
    extreme.at[i] = this.#count;
  }

  #open(): number {
    while (this.#buckets >= this.#cap) {
      this.#target *= 2;
      this.#merge();
    }
    const i = this.#buckets;
    this.#buckets += 1;
    this.#sum[i] = 0;
    this.#finite[i] = 0;
    this.#weight[i] = 0;
    return i;
  }

  // Join neighbours whose weights together fit the target.
  #merge(): void {
    let to = 0;
    for (let i = 1; i < this.#buckets; i++) {
      if (this.#weight[to] + this.#weight[i] <= this.#target) {
        this.#join(to, i);
      } else {
        to += 1;
        this.#move(to, i);
      }
    }
    this.#buckets = to + 1;
  }

  #join(to: number, from: number): void {
    if (this.#finite[from] > 0) {
      if (this.#finite[to] === 0 || this.#min.value[from] < this.#min.value[to]) {
        moveExtreme(this.#min, to, from);
      }
      if (this.#finite[to] === 0 || this.#max.value[from] > this.#max.value[to]) {
        moveExtreme(this.#max, to, from);
      }
    }
    this.#end.step[to] = this.#end.step[from];
    this.#end.time[to] = this.#end.time[from];
    this.#sum[to] += this.#sum[from];
    this.#finite[to] += this.#finite[from];
    this.#weight[to] += this.#weight[from];
  }

  #move(to: number, from: number): void {
    moveExtreme(this.#min, to, from);
    moveExtreme(this.#max, to, from);
    for (const column of [this.#end.step, this.#end.time, this.#sum, this.#finite, this.#weight]) {
      column[to] = column[from];
    }
  }
}

function moveExtreme(extreme: Extreme, to: number, from: number): void {
  for (const column of [extreme.value, extreme.step, extreme.time, extreme.at]) {
    column[to] = column[from];
  }
}
