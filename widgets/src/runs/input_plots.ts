// Draws what inputs have to do with a metric: parallel coordinates over all of them, and a scatter for each.

import { runColors } from '../chart/run_colors';
import { button, element, setHidden, svg } from '../core/dom';
import { formatValue } from '../core/format';
import { NUM_COLORS, readTheme, type Theme } from '../core/theme';
import { directionOf } from '../plot/directions';
import { styleOf } from '../plot/plot_model';
import type { Training } from '../wire';
import { defaultMetric, metricKeys } from './columns';
import { type InputEffect, inputEffects, metricOf, placeIn } from './input_effects';

const WIDTH = 900;
const LINES_HEIGHT = 170;
const TOP = 22;
const BOTTOM = 18;
const SIDE = 60;
const SCATTER_WIDTH = 210;
const SCATTER_HEIGHT = 130;
const MAX_SCATTERS = 8;
const MAX_AXES = 8;

/** What the plots ask of their comparison. */
export interface InputPlotsContext {
  names: ReadonlyMap<string, string>;
  signal: AbortSignal;
}

export class InputPlots {
  readonly node = element('div', { class: 'jx-inputs' });
  readonly #trainings: readonly Training[];
  readonly #context: InputPlotsContext;
  readonly #colors: ReadonlyMap<string, number>;
  #theme: Theme | null = null;
  readonly #box = element('div', { class: 'jx-inputs-box' });
  readonly #metric = element('select', { attrs: { 'aria-label': 'Metric of the inputs' } });

  constructor(trainings: readonly Training[], context: InputPlotsContext) {
    this.#trainings = trainings;
    this.#context = context;
    this.#colors = runColors([...context.names.keys()], NUM_COLORS);
    const keys = metricKeys(trainings).filter(key => !key.startsWith('system/'));
    this.#metric.append(...keys.map(key => element('option', { text: key, attrs: { value: key } })));
    this.#metric.value = defaultMetric(keys) ?? '';
    this.#box.hidden = true;
    this.#metric.hidden = true;
    const toggle = button(
      { class: 'jx-link', text: 'Inputs and results', attrs: { 'aria-expanded': 'false' } },
      () => {
        const open = this.#box.hidden;
        setHidden(this.#box, !open);
        setHidden(this.#metric, !open);
        toggle.setAttribute('aria-expanded', String(open));
        this.#draw();
      },
      context.signal
    );
    this.#metric.addEventListener('change', () => this.#draw(), { signal: context.signal });
    this.node.append(element('div', { class: 'jx-runs-note' }, toggle, ' ', this.#metric), this.#box);
    setHidden(this.node, keys.length === 0);
  }

  /** Draw them in the page's colours, if they are open. */
  draw(): void {
    if (!this.#box.hidden && this.#theme?.dark !== readTheme(this.node).dark) {
      this.#draw();
    }
  }

  #draw(): void {
    if (this.#box.hidden) {
      return;
    }
    this.#theme = readTheme(this.node);
    const key = this.#metric.value;
    const edge = directionOf(key);
    const effects = inputEffects(this.#trainings, training => metricOf(training, key, edge));
    const values = this.#trainings.map(training => metricOf(training, key, edge)).filter(Number.isFinite);
    const range: readonly [number, number] = [Math.min(...values), Math.max(...values)];
    const what = edge ? `best ${key}` : `last ${key}`;
    if (values.length === 0 || effects.length === 0) {
      this.#box.replaceChildren(
        element('div', {
          class: 'jx-runs-note',
          text: effects.length === 0 ? 'Their inputs are the same.' : 'None of them has this metric yet.',
        })
      );
      return;
    }
    this.#box.replaceChildren(
      this.#parallel(effects.slice(0, MAX_AXES), range, what),
      element(
        'div',
        { class: 'jx-inputs-grid' },
        ...effects.slice(0, MAX_SCATTERS).map(effect => this.#scatter(effect, range))
      )
    );
  }

  #parallel(effects: readonly InputEffect[], range: readonly [number, number], what: string): SVGElement {
    const drawing = svg('svg', {
      viewBox: `0 0 ${WIDTH} ${LINES_HEIGHT}`,
      role: 'img',
      'aria-label': `Inputs of ${this.#trainings.length} runs beside their ${what}`,
    });
    const shown = [...effects].reverse(); // what matters most stands beside the metric
    const at = (i: number) => SIDE + (i * (WIDTH - 2 * SIDE)) / shown.length;
    const y = (place: number) => TOP + (1 - place) * (LINES_HEIGHT - TOP - BOTTOM);
    for (const { id } of this.#trainings) {
      const points = shown.flatMap(({ points: all }, i) => {
        const point = all.find(other => other.id === id);
        return point ? [`${at(i)},${y(point.place)}`] : [];
      });
      const metric = shown[0]?.points.find(other => other.id === id)?.metric ?? NaN;
      if (Number.isFinite(metric)) {
        points.push(`${WIDTH - SIDE},${y(placeIn(range, metric))}`);
      }
      drawing.append(this.#mark('polyline', id, { points: points.join(' '), fill: 'none' }));
    }
    // Over the lines, so that they can be read.
    shown.forEach(({ name, ends }, i) => {
      drawing.append(...axis(at(i), name, ends));
    });
    drawing.append(...axis(WIDTH - SIDE, what, [formatValue(range[0]), formatValue(range[1])]));
    return drawing;
  }

  #scatter(effect: InputEffect, range: readonly [number, number]): HTMLElement {
    const { name, points, correlation, log, ends } = effect;
    const drawing = svg('svg', { viewBox: `0 0 ${SCATTER_WIDTH} ${SCATTER_HEIGHT}`, role: 'img' });
    const [left, top, right, bottom] = [44, 6, SCATTER_WIDTH - 8, SCATTER_HEIGHT - 18];
    drawing.setAttribute('aria-label', `${name} and the metric, ${correlationText(correlation)}`);
    drawing.append(
      svg('path', { d: `M${left} ${top}V${bottom}H${right}`, class: 'jx-inputs-axis', fill: 'none' }),
      text(left - 4, top + 4, formatValue(range[1]), 'end'),
      text(left - 4, bottom, formatValue(range[0]), 'end'),
      text(left, bottom + 13, ends[0], 'start'),
      text(right, bottom + 13, ends[1], 'end')
    );
    for (const { id, place, text: value, metric } of points) {
      if (Number.isFinite(metric)) {
        const dot = this.#mark('circle', id, {
          cx: left + 6 + place * (right - left - 12),
          cy: bottom - 5 - placeIn(range, metric) * (bottom - top - 10),
          r: 3.2,
        });
        dot.append(
          svg('title', {}, `${this.#context.names.get(id) ?? id}: ${name} ${value}, ${formatValue(metric)}`)
        );
        drawing.append(dot);
      }
    }
    return element(
      'figure',
      {},
      element(
        'figcaption',
        {},
        element('strong', { text: log ? `${name} (log)` : name }),
        element('span', { text: correlationText(correlation) })
      ),
      drawing
    );
  }

  #mark(kind: 'polyline' | 'circle', id: string, attributes: Record<string, string | number>): SVGElement {
    const color = this.#theme ? styleOf(this.#colors.get(id) ?? 0, this.#theme).color : '';
    const mark = svg(kind, {
      ...attributes,
      class: `jx-inputs-${kind}`,
      [kind === 'circle' ? 'fill' : 'stroke']: color,
    });
    if (kind === 'polyline') {
      mark.append(svg('title', {}, this.#context.names.get(id) ?? id));
    }
    return mark;
  }
}

function correlationText(correlation: number | null): string {
  return correlation === null ? '' : `ρ = ${correlation.toFixed(2).replace('-', '−')}`;
}

function axis(x: number, name: string, [low, high]: readonly [string, string]): SVGElement[] {
  return [
    svg('path', { d: `M${x} ${TOP}V${LINES_HEIGHT - BOTTOM}`, class: 'jx-inputs-axis' }),
    text(x, 10, name, 'middle', 'jx-inputs-name'),
    text(x + 4, TOP + 4, high, 'start'),
    text(x + 4, LINES_HEIGHT - BOTTOM + 11, low, 'start'),
  ];
}

function text(
  x: number,
  y: number,
  content: string,
  anchor: string,
  className = 'jx-inputs-text'
): SVGElement {
  const shown = content.length > 16 ? `${content.slice(0, 15)}…` : content;
  return svg('text', { x, y, 'text-anchor': anchor, class: className }, shown);
}
