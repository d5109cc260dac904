// Scales of a plot's axes, their ticks and how a tick is written. Pure; knows no page.

import { formatValue } from '../core/format';

/** What an axis shows, in data units; on a log axis both ends are positive. */
export interface Scale {
  low: number;
  high: number;
  log: boolean;
}

export interface Tick {
  value: number;
  text: string;
}

/** How x is written: steps and metrics as numbers, `elapsed` as seconds of a run, `clock` as a time of day. */
export type XKind = 'number' | 'elapsed' | 'clock';

const NICE = [1, 2, 5, 10];
/** Below this all ticks are written as `5e-4`. */
const SMALL = 2e-3;
const DAY_S = 86_400;
const CLOCK_STEPS_S = [
  ...[1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600],
  ...[7_200, 10_800, 21_600, 43_200, DAY_S, 2 * DAY_S, 7 * DAY_S, 14 * DAY_S, 28 * DAY_S],
];
const SI: readonly [number, string][] = [
  [1e12, 'T'],
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
];

/** Return where a value is on its axis: 0 at the low end, 1 at the high end, NaN where a log axis has no place. */
export function fractionOf(scale: Scale, value: number): number {
  if (!scale.log) {
    return (value - scale.low) / (scale.high - scale.low);
  }
  return value > 0 ? Math.log(value / scale.low) / Math.log(scale.high / scale.low) : NaN;
}

/** Return the value at a fraction of an axis. */
export function valueAt(scale: Scale, fraction: number): number {
  return scale.log
    ? scale.low * (scale.high / scale.low) ** fraction
    : scale.low + fraction * (scale.high - scale.low);
}

/** Return the distance of about `count` ticks over a span: 1, 2 or 5 times a power of ten. */
export function niceStep(span: number, count: number): number {
  const rough = span / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * (NICE.find(step => step * power >= rough * 0.999) ?? 10);
}

/** Return ticks of numbers; `whole` puts none between whole numbers. */
export function numberTicks(scale: Scale, count: number, whole = false): Tick[] {
  return scale.log ? logTicks(scale, count) : linearTicks(scale, count, whole);
}

function linearTicks({ low, high }: Scale, count: number, whole: boolean): Tick[] {
  const span = high - low;
  if (!(span > 0) || !Number.isFinite(span)) {
    return [];
  }
  const nice = niceStep(span, count);
  const step = whole ? Math.max(1, Number.isInteger(nice) ? nice : Math.ceil(nice)) : nice;
  const values = multiples(low, high, step);
  const largest = Math.max(Math.abs(low), Math.abs(high));
  return values.map(value => ({ value, text: tickText(value, step, largest) }));
}

function multiples(low: number, high: number, step: number): number[] {
  const values: number[] = [];
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  for (let i = first; i <= last && values.length < 100; i++) {
    values.push(i === 0 ? 0 : i * step);
  }
  return values;
}

function logTicks(scale: Scale, count: number): Tick[] {
  const from = Math.log10(scale.low);
  const to = Math.log10(scale.high);
  const decades = to - from;
  const stride = Math.max(1, Math.ceil(decades / Math.max(1, count)));
  const parts = decades < 1.2 ? [1, 2, 3, 4, 5, 7] : decades < 3 ? [1, 2, 5] : [1];
  const ticks: Tick[] = [];
  for (let power = Math.floor(from); power <= Math.ceil(to); power++) {
    if (stride > 1 && power % stride !== 0) {
      continue;
    }
    for (const part of parts) {
      const value = Number(`${part}e${power}`);
      if (value >= scale.low * 0.999 && value <= scale.high * 1.001) {
        ticks.push({ value, text: formatValue(value) });
      }
    }
  }
  return ticks.length >= 2 ? ticks : linearTicks(scale, count, false);
}

/** Write a tick so that its neighbours, `step` away, differ from it. */
export function tickText(value: number, step: number, largest: number): string {
  if (value === 0) {
    return '0';
  }
  if (largest >= 10_000) {
    const found = SI.find(([size]) => largest >= size);
    if (found && largest < 1e15) {
      return `${trimmed(value / found[0], step / found[0])}${found[1]}`;
    }
    return exponential(value);
  }
  return largest < SMALL ? exponential(value) : trimmed(value, step);
}

function exponential(value: number): string {
  const [digits, power] = value.toExponential(2).split('e');
  return `${Number(digits)}e${Number(power)}`;
}

function trimmed(value: number, step: number): string {
  const decimals = Math.min(12, Math.max(0, Math.ceil(-Math.log10(step) - 1e-9)));
  return String(Number(value.toFixed(decimals)));
}

/** The unit in which seconds of a run are written, by how many there are. */
export function elapsedUnit(span_s: number): { seconds: number; suffix: string } {
  if (span_s < 180) {
    return { seconds: 1, suffix: ' s' };
  }
  if (span_s < 3 * 3600) {
    return { seconds: 60, suffix: ' min' };
  }
  return span_s < 4 * DAY_S ? { seconds: 3600, suffix: ' h' } : { seconds: DAY_S, suffix: ' d' };
}

/** Return the ticks of an x axis. */
export function xTicks(scale: Scale, kind: XKind, count: number, whole: boolean): Tick[] {
  if (kind === 'number' || scale.log) {
    return numberTicks(scale, count, whole);
  }
  if (kind === 'clock') {
    return clockTicks(scale, count);
  }
  const { seconds, suffix } = elapsedUnit(Math.max(Math.abs(scale.low), Math.abs(scale.high)));
  const inUnit = { low: scale.low / seconds, high: scale.high / seconds, log: false };
  const ticks = linearTicks(inUnit, count, false);
  return ticks.map(({ value, text }, i) => ({
    value: value * seconds,
    text: i === ticks.length - 1 ? text + suffix : text,
  }));
}

function clockTicks({ low, high }: Scale, count: number): Tick[] {
  const step = CLOCK_STEPS_S.find(size => (high - low) / size <= count) ?? niceStep(high - low, count);
  // Midnight of this place, so that days and hours are whole here.
  const zone_s = new Date(1000 * low).getTimezoneOffset() * 60;
  return multiples(low - zone_s, high - zone_s, step).map(local => {
    const value = local + zone_s;
    return { value, text: clockText(value, step) };
  });
}

function clockText(at_s: number, step_s: number): string {
  const date = new Date(1000 * at_s);
  const two = (part: number) => String(part).padStart(2, '0');
  const day = date.toLocaleDateString('en-US', { month: 'short', day: 'numeric' });
  if (step_s >= DAY_S || (date.getHours() === 0 && date.getMinutes() === 0 && date.getSeconds() === 0)) {
    return day;
  }
  const minutes = `${two(date.getHours())}:${two(date.getMinutes())}`;
  return step_s >= 60 ? minutes : `${minutes}:${two(date.getSeconds())}`;
}
