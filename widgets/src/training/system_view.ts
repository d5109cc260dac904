// The machine's metrics: a few readouts, each with its recent past as a small line.

import { Chart } from '../chart/chart';
import { button, element, setHidden, setText, svg } from '../core/dom';
import { formatBytes, formatValue } from '../core/format';
import { type MetricSeries, type SeriesStore, SYSTEM_PREFIX } from '../series/series_store';

const MAX_READOUTS = 8;
const WIDTH_PX = 72;
const HEIGHT_PX = 18;
const SPARK_POINTS = 60;

interface Readout {
  node: HTMLElement;
  value: HTMLElement;
  path: SVGPathElement;
  /** Of the series, when it was drawn. */
  version: number;
}

/** How a system metric is written, by the unit at the end of its key. */
interface Unit {
  label: string;
  format(value: number): string;
  /** Of the numbers as they were logged. */
  symbol?: string;
  /** Top of the small line; the largest value when absent. */
  max?: number;
}

export class SystemView {
  readonly node = element('div', { class: 'jx-system', attrs: { role: 'group', 'aria-label': 'System' } });
  readonly #waiting = element('span', { class: 'jx-readout-label', text: 'Waiting for CPU and memory…' });
  readonly #list = element('div', { class: 'jx-readouts' }, this.#waiting);
  readonly #charts = element('div', { class: 'jx-system-charts' });
  readonly #toggle: HTMLButtonElement;
  readonly #requestDraw: () => void;
  readonly #signal: AbortSignal;
  readonly #readouts = new Map<MetricSeries, Readout>();
  #chart: Chart | null = null;

  /** @param requestDraw Asks to be drawn. */
  constructor(requestDraw: () => void, signal: AbortSignal) {
    this.#requestDraw = requestDraw;
    this.#signal = signal;
    this.#toggle = button(
      { class: 'jx-link', text: 'Charts', attrs: { 'aria-expanded': 'false' } },
      () => this.#open(this.#charts.hidden),
      signal
    );
    this.node.hidden = true;
    this.#charts.hidden = true;
    this.#toggle.hidden = true;
    this.node.append(element('div', { class: 'jx-system-row' }, this.#list, this.#toggle), this.#charts);
  }

  /**
   * @param origin Unix seconds of the run's start.
   * @param ended Nothing more will come: without readouts the row goes, which until then keeps its place.
   */
  draw(store: SeriesStore, origin: number, ended: boolean): void {
    const shown = readoutsOf(store.all);
    setHidden(this.node, ended && shown.length === 0);
    setHidden(this.#waiting, shown.length > 0);
    setHidden(this.#toggle, shown.length === 0);
    for (const [series, readout] of this.#readouts) {
      if (!shown.includes(series)) {
        readout.node.remove();
        this.#readouts.delete(series);
      }
    }
    const ranks = new Set(shown.map(series => series.rank));
    shown.forEach((series, i) => {
      const unit = unitOf(series.key);
      let readout = this.#readouts.get(series);
      if (!readout) {
        readout = make(ranks.size > 1 ? `${unit.label} (rank ${series.rank})` : unit.label);
        this.#readouts.set(series, readout);
      }
      if (this.#list.children[i] !== readout.node) {
        this.#list.insertBefore(readout.node, this.#list.children[i] ?? null);
      }
      if (readout.version !== series.version) {
        readout.version = series.version;
        setText(readout.value, series.last ? unit.format(series.last.value) : '');
        readout.path.setAttribute('d', sparkline(series, unit.max));
      }
    });
    if (!this.#charts.hidden) {
      this.#chart?.draw({ store, originOf: () => origin, marks: [], emptyText: '' });
    }
  }

  #open(open: boolean): void {
    setHidden(this.#charts, !open);
    this.#toggle.setAttribute('aria-expanded', String(open));
    setText(this.#toggle, open ? 'Hide charts' : 'Charts');
    if (open && !this.#chart) {
      this.#chart = new Chart({
        scope: 'system',
        requestDraw: this.#requestDraw,
        onZoom: () => undefined,
        onTheme: () => undefined,
        name: () => 'system',
        choose: chartsOf,
        titleOf,
        defaults: { x: 'time', size: 'small' },
        ids: () => [],
        signal: this.#signal,
      });
      this.#charts.append(this.#chart.node);
    }
    this.#requestDraw();
  }
}

/** CPU and memory first, GPUs next; of disks only what has moved, and room that is running out. */
const ORDER: readonly RegExp[] = [
  /^cpu/,
  /^(memory|rss|ram)/,
  /^gpu_percent/,
  /^gpu/,
  /^disk_(read|write)/,
  /./,
];
const MOVED_MIB = 1;
const LITTLE_ROOM_GIB = 10;

/** Return the series that a readout is worth, in their order. */
export function readoutsOf(all: readonly MetricSeries[]): MetricSeries[] {
  const isWorth = (series: MetricSeries) => {
    const value = series.last?.value ?? 0;
    return nameOf(series) === 'disk_free_gib'
      ? value < LITTLE_ROOM_GIB
      : !/^disk_(read|write)_mib$/.test(nameOf(series)) || value >= MOVED_MIB;
  };
  return chartsOf(all).filter(isWorth).slice(0, MAX_READOUTS);
}

/** Return all series of the machine, in their order. */
function chartsOf(all: readonly MetricSeries[]): MetricSeries[] {
  const placeOf = (series: MetricSeries) => ORDER.findIndex(pattern => pattern.test(nameOf(series)));
  return all
    .filter(series => series.isSystem && series.last !== null)
    .sort((a, b) => placeOf(a) - placeOf(b));
}

function nameOf(series: MetricSeries): string {
  return series.key.slice(SYSTEM_PREFIX.length);
}

function titleOf(key: string): string {
  const { label, symbol } = unitOf(key);
  return symbol ? `${label}, ${symbol}` : label;
}

function make(label: string): Readout {
  const value = element('span', { class: 'jx-readout-value' });
  const path = svg('path', {});
  const node = element(
    'div',
    { class: 'jx-readout' },
    element('span', { class: 'jx-readout-label', text: label }),
    value,
    svg('svg', { width: WIDTH_PX, height: HEIGHT_PX, 'aria-hidden': 'true' }, path)
  );
  return { node, value, path, version: -1 };
}

function sparkline(series: MetricSeries, max: number | undefined): string {
  const { x, y } = series.curve('time', 0);
  const from = Math.max(0, x.length - SPARK_POINTS);
  const finite = Array.from(y.subarray(from)).filter(Number.isFinite);
  const highest = Math.max(...finite);
  const top = Math.max(max === undefined ? highest * 1.15 : max, highest, Number.MIN_VALUE);
  const span = x[x.length - 1] - x[from] || 1;
  let path = '';
  for (let i = from; i < x.length; i++) {
    if (Number.isFinite(y[i])) {
      const px = ((x[i] - x[from]) / span) * (WIDTH_PX - 2) + 1;
      const py = HEIGHT_PX - 1.5 - Math.min(1, Math.max(0, y[i] / top)) * (HEIGHT_PX - 3);
      path += `${path ? 'L' : 'M'}${px.toFixed(1)} ${py.toFixed(1)}`;
    }
  }
  return path;
}

const SUFFIXES: readonly [RegExp, Omit<Unit, 'label'>][] = [
  [/[_/]?(percent|pct)$/, { format: value => `${Math.round(value)} %`, symbol: '%', max: 100 }],
  [/_(fraction|ratio)$/, { format: value => `${Math.round(100 * value)} %`, max: 1 }],
  [/_?bytes$/, { format: formatBytes, symbol: 'bytes' }],
  [/_kib$/, { format: value => formatBytes(value * 1024), symbol: 'KiB' }],
  [/_(mib|mb)$/, { format: value => formatBytes(value * 1024 ** 2), symbol: 'MiB' }],
  [/_(gib|gb)$/, { format: value => formatBytes(value * 1024 ** 3), symbol: 'GiB' }],
  [/_(celsius|c)$/, { format: value => `${Math.round(value)} °C`, symbol: '°C' }],
  [/_(watts|w)$/, { format: value => `${Math.round(value)} W`, symbol: 'W' }],
];

function unitOf(key: string): Unit {
  const name = key.slice(SYSTEM_PREFIX.length);
  const found = SUFFIXES.find(([pattern]) => pattern.test(name));
  const words = (found ? name.replace(found[0], '') : name).split(/[_/]+/).filter(Boolean);
  const label =
    words.map(word => (/^(cpu|gpu|ram|rss|io|vram)\d*$/.test(word) ? word.toUpperCase() : word)).join(' ') ||
    name;
  return { label: label[0].toUpperCase() + label.slice(1), ...(found ? found[1] : { format: formatValue }) };
}
