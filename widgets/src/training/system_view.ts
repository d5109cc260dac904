// The machine's metrics: a few readouts, each with its recent past as a small line.

import { element, setHidden, setText } from '../core/dom';
import { formatBytes, formatValue } from '../core/format';
import { type MetricSeries, SYSTEM_PREFIX } from '../series/series_store';

const MAX_READOUTS = 8;
const WIDTH_PX = 72;
const HEIGHT_PX = 18;
const SPARK_POINTS = 60;
const SVG = 'http://www.w3.org/2000/svg';

interface Readout {
  node: HTMLElement;
  value: HTMLElement;
  path: SVGPathElement;
}

/** How a system metric is written, by the unit at the end of its key. */
interface Unit {
  label: string;
  format(value: number): string;
  /** Top of the small line; the largest value when absent. */
  max?: number;
}

export class SystemView {
  readonly node = element('div', { class: 'jx-system', attrs: { role: 'group', 'aria-label': 'System' } });
  readonly #waiting = element('span', { class: 'jx-readout-label', text: 'Waiting for CPU and memory…' });
  readonly #readouts = new Map<MetricSeries, Readout>();

  constructor() {
    this.node.hidden = true;
    this.node.append(this.#waiting);
  }

  /** @param ended Nothing more will come: without readouts the row goes, which until then keeps its place. */
  draw(all: readonly MetricSeries[], ended: boolean): void {
    const shown = all.filter(series => series.isSystem && series.last !== null).slice(0, MAX_READOUTS);
    setHidden(this.node, ended && shown.length === 0);
    setHidden(this.#waiting, shown.length > 0);
    for (const [series, readout] of this.#readouts) {
      if (!shown.includes(series)) {
        readout.node.remove();
        this.#readouts.delete(series);
      }
    }
    const ranks = new Set(shown.map(series => series.rank));
    for (const series of shown) {
      const unit = unitOf(series.key);
      let readout = this.#readouts.get(series);
      if (!readout) {
        readout = make(ranks.size > 1 ? `${unit.label} (rank ${series.rank})` : unit.label);
        this.#readouts.set(series, readout);
        this.node.append(readout.node);
      }
      setText(readout.value, series.last ? unit.format(series.last.value) : '');
      readout.path.setAttribute('d', sparkline(series, unit.max));
    }
  }
}

function make(label: string): Readout {
  const value = element('span', { class: 'jx-readout-value' });
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('width', String(WIDTH_PX));
  svg.setAttribute('height', String(HEIGHT_PX));
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(SVG, 'path');
  svg.append(path);
  const node = element(
    'div',
    { class: 'jx-readout' },
    element('span', { class: 'jx-readout-label', text: label }),
    value,
    svg
  );
  return { node, value, path };
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
  [/[_/]?(percent|pct)$/, { format: value => `${Math.round(value)} %`, max: 100 }],
  [/_(fraction|ratio)$/, { format: value => `${Math.round(100 * value)} %`, max: 1 }],
  [/_?bytes$/, { format: formatBytes }],
  [/_kib$/, { format: value => formatBytes(value * 1024) }],
  [/_(mib|mb)$/, { format: value => formatBytes(value * 1024 ** 2) }],
  [/_(gib|gb)$/, { format: value => formatBytes(value * 1024 ** 3) }],
  [/_(celsius|c)$/, { format: value => `${Math.round(value)} °C` }],
  [/_(watts|w)$/, { format: value => `${Math.round(value)} W` }],
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
