// The series of one training as a view holds them: bounded, whatever the length of the run.

import type { BatchBlock, Columns, SeriesInfo } from '../wire';
import { type Axis, type Curve, Downsampler, type Sample } from './downsampler';
import type { Smoothing } from './smoothing';

export type { Axis, Curve, Sample } from './downsampler';

/** Series of the machine, not of the model, begin with this. */
export const SYSTEM_PREFIX = 'system/';

/** Exact points of a zoomed range, drawn instead of the summary there. */
interface Detail {
  axis: Axis;
  x: Float64Array;
  y: Float64Array;
}

/** So many of a series are kept by themselves; their number is always right. */
const MAX_ODD = 100;

/** One series of one rank. */
export class MetricSeries {
  #points = new Downsampler();
  #detail: Detail | null = null;
  #numNonfinite = 0;
  #firstNonfiniteStep: number | null = null;
  #trailingSince: number | null = null;
  #odd: Sample[] = [];
  #best: { min: Sample | null; max: Sample | null } = { min: null, max: null };
  #version = 0;

  constructor(
    readonly key: string,
    readonly rank: string
  ) {}

  get isSystem(): boolean {
    return this.key.startsWith(SYSTEM_PREFIX);
  }

  get first(): Sample | null {
    return this.#points.first;
  }

  get last(): Sample | null {
    return this.#points.last;
  }

  /** Grows with each change of what is drawn. */
  get version(): number {
    return this.#version;
  }

  /** Samples that are not finite and when they were, the first hundred. */
  get odd(): readonly Sample[] {
    return this.#odd;
  }

  /** How many samples are not finite. */
  get numNonfinite(): number {
    return this.#numNonfinite;
  }

  /** The smallest or the largest finite sample so far. */
  best(edge: 'min' | 'max'): Sample | null {
    return this.#best[edge];
  }

  /** One line about values that cannot be drawn, or `null`. */
  get warning(): string | null {
    const last = this.#points.last;
    if (this.#numNonfinite === 0 || last === null) {
      return null;
    }
    const first = this.#firstNonfiniteStep ?? last.step;
    if (this.#trailingSince !== null) {
      const word = Number.isNaN(last.value) ? 'NaN' : last.value > 0 ? 'infinite' : 'negative infinite';
      return `${this.key} is ${word} since step ${this.#trailingSince}`;
    }
    const values = this.#numNonfinite === 1 ? '1 value' : `${this.#numNonfinite} values`;
    return `${this.key} had ${values} that ${this.#numNonfinite === 1 ? 'is' : 'are'} not finite, the first at step ${first}`;
  }

  load(columns: Columns['series'][number]): void {
    const { info, steps, values, times } = columns;
    this.#points = new Downsampler();
    this.#detail = null;
    this.#odd = [];
    this.#best = { min: null, max: null };
    this.#version += 1;
    const weight = info.n > 0 ? Math.max(1, info.count / info.n) : 1;
    let lastFiniteStep = -Infinity;
    for (let i = 0; i < steps.length; i++) {
      this.#points.push(steps[i], values[i], times[i], weight);
      this.#note(steps[i], values[i], times[i]);
      if (Number.isFinite(values[i])) {
        lastFiniteStep = steps[i];
      }
    }
    this.#numNonfinite = info.num_nonfinite;
    this.#firstNonfiniteStep = info.first_nonfinite_step;
    const last = this.#points.last;
    this.#trailingSince = null;
    if (last && !Number.isFinite(last.value)) {
      const first = info.first_nonfinite_step ?? last.step;
      this.#trailingSince = first > lastFiniteStep ? first : last.step;
    }
  }

  append(block: BatchBlock): void {
    const { steps, values, times } = block;
    this.#version += 1;
    for (let i = 0; i < steps.length; i++) {
      this.#points.push(steps[i], values[i], times[i]);
      this.#note(steps[i], values[i], times[i]);
      if (Number.isFinite(values[i])) {
        this.#trailingSince = null;
      } else {
        this.#numNonfinite += 1;
        this.#firstNonfiniteStep ??= steps[i];
        this.#trailingSince ??= steps[i];
      }
    }
  }

  /** Draw these exact points instead of the summary where they are. */
  showDetail(axis: Axis, columns: Columns['series'][number]): void {
    const x = axis === 'step' ? columns.steps : columns.times;
    this.#detail = { axis, x, y: columns.values };
    this.#version += 1;
  }

  clearDetail(): void {
    if (this.#detail) {
      this.#detail = null;
      this.#version += 1;
    }
  }

  #note(step: number, value: number, time: number): void {
    if (!Number.isFinite(value)) {
      if (this.#odd.length < MAX_ODD) {
        this.#odd.push({ step, value, time });
      }
      return;
    }
    const { min, max } = this.#best;
    if (min === null || value < min.value) {
      this.#best.min = { step, value, time };
    }
    if (max === null || value > max.value) {
      this.#best.max = { step, value, time };
    }
  }

  /** The steps and the times of the points that stand for all of them. */
  stepsAndTimes(): readonly [Float64Array, Float64Array] {
    return [this.#points.curve('step').x, this.#points.curve('time').x];
  }

  curve(axis: Axis, origin: number): Curve {
    const summary = this.#points.curve(axis, origin);
    const detail = this.#detail;
    if (detail === null || detail.axis !== axis || detail.x.length === 0) {
      return summary;
    }
    const from = detail.x[0] - origin;
    const to = detail.x[detail.x.length - 1] - origin;
    const x: number[] = [];
    const y: number[] = [];
    const keep = (test: (value: number) => boolean) => {
      for (let i = 0; i < summary.x.length; i++) {
        if (test(summary.x[i])) {
          x.push(summary.x[i]);
          y.push(summary.y[i]);
        }
      }
    };
    keep(value => value < from);
    for (let i = 0; i < detail.x.length; i++) {
      x.push(detail.x[i] - origin);
      y.push(Number.isFinite(detail.y[i]) ? detail.y[i] : NaN);
    }
    keep(value => value > to);
    return { x: Float64Array.from(x), y: Float64Array.from(y) };
  }

  smoothed(axis: Axis, smoothing: Smoothing, origin: number): Curve {
    return this.#points.smoothed(axis, smoothing, origin);
  }
}

/** All series of one training, in order of their first appearance. */
export class SeriesStore {
  readonly #series = new Map<string, MetricSeries>();
  #byIndex = new Map<number, MetricSeries>();
  #checkpoints: readonly (readonly [step: number, time: number])[] = [];
  #version = 0;

  /** Grows with each change. */
  get version(): number {
    return this.#version;
  }

  /** Whether there is no point of the model yet. */
  get isEmpty(): boolean {
    return this.all.every(series => series.isSystem || series.last === null);
  }

  /** Step and Unix seconds of the checkpoints that had been saved when the columns were loaded. */
  get checkpoints(): readonly (readonly [step: number, time: number])[] {
    return this.#checkpoints;
  }

  get all(): MetricSeries[] {
    return [...this.#series.values()];
  }

  /** Return the series of a key and rank. */
  find(key: string, rank: string): MetricSeries | null {
    return this.#series.get(nameOf({ key, rank })) ?? null;
  }

  /** Indexes are of one connection; forget those of the last. */
  beginConnection(): void {
    this.#byIndex = new Map();
  }

  announce(infos: readonly SeriesInfo[]): void {
    for (const info of infos) {
      this.#byIndex.set(info.index, this.#get(info));
    }
    this.#version += 1;
  }

  /** Replace everything by columns. */
  load(columns: Columns): void {
    this.#series.clear();
    this.#byIndex.clear();
    this.#checkpoints = columns.checkpoints ?? [];
    for (const series of columns.series) {
      const target = this.#get(series.info);
      this.#byIndex.set(series.info.index, target);
      target.load(series);
    }
    this.#version += 1;
  }

  /** Replace these series and keep the others. */
  put(all: Columns['series']): void {
    for (const series of all) {
      this.#get(series.info).load(series);
    }
    this.#version += 1;
  }

  /**
   * Add the points of a batch block.
   *
   * @returns False when its index was never announced.
   */
  append(block: BatchBlock): boolean {
    const series = this.#byIndex.get(block.index);
    series?.append(block);
    this.#version += 1;
    return series !== undefined;
  }

  showDetail(axis: Axis, columns: Columns): void {
    for (const series of columns.series) {
      this.#series.get(nameOf(series.info))?.showDetail(axis, series);
    }
    this.#version += 1;
  }

  clearDetail(): void {
    for (const series of this.#series.values()) {
      series.clearDetail();
    }
    this.#version += 1;
  }

  #get(info: SeriesInfo): MetricSeries {
    const name = nameOf(info);
    let series = this.#series.get(name);
    if (!series) {
      series = new MetricSeries(info.key, info.rank);
      this.#series.set(name, series);
    }
    return series;
  }
}

function nameOf({ key, rank }: Pick<SeriesInfo, 'key' | 'rank'>): string {
  return `${rank}\n${key}`;
}
