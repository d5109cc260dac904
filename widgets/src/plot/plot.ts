// One plot: its head, a canvas with the curves, and one over it with what follows the pointer.
// The rule: the lower canvas is painted only when what it shows has changed; the pointer only ever paints the upper
// one.

import { element } from '../core/dom';
import { formatClock, formatCount, formatValue } from '../core/format';
import type { Cell } from './cell';
import { closest, type HoverPoint, pointsAt } from './hover';
import {
  type Brush,
  dot,
  type Frame,
  frameOf,
  paintAxes,
  paintCurve,
  paintPlot,
  pixelX,
  pixelY,
} from './painter';
import { HEAD_PX, PlotHead, type PlotHeadEvents } from './plot_head';
import { type PlotInput, type PlotModel, plotModel, type Zoom } from './plot_model';
import { valueAt } from './scales';
import type { PaintContext } from './svg_context';

/** Where the pointer is, for all plots of a chart. */
export interface Hover {
  /** In units of x; `null` where only a run is pointed at. */
  x: number | null;
  /** The run whose line is nearest, to be told from the others. */
  rank: string | null;
}

/** What a plot tells its chart. */
export interface PlotEvents extends PlotHeadEvents {
  hover(plot: Plot, hover: Hover | null): void;
  zoom(range: Zoom | null): void;
  /** Something was clicked, at an x. */
  pick(x: number): void;
}

/** What is drawn of one series, for those who look at the page by program. */
export interface DrawnCurve {
  group: string;
  name: string;
  mode: string;
  x: number[];
  y: number[];
}

/** The element of a plot; tests and benchmarks ask it what is drawn. */
export interface PlotElement extends HTMLElement {
  jupyterExtPlot?: Plot;
}

/** Shorter drags are clicks. */
const MIN_DRAG_PX = 5;
/** How the lines of other runs look while one is pointed at. */
const FADED = '0.28';

export class Plot {
  readonly node = element('div', { class: 'jx-cell' });
  readonly #head: PlotHead;
  readonly #events: PlotEvents;
  readonly #area: PlotElement;
  readonly #lower = element('canvas');
  readonly #upper = element('canvas');
  #model: PlotModel | null = null;
  #input: PlotInput | null = null;
  #width = 0;
  #height = 0;
  #key = '';
  #dragFrom: number | null = null;
  #dragTo = 0;
  #draws = 0;

  constructor(cell: Cell, events: PlotEvents, signal: AbortSignal) {
    this.#events = events;
    this.#head = new PlotHead(cell, events, this.node, signal);
    this.#area = element(
      'div',
      { class: 'jx-plot', attrs: { role: 'img', tabindex: '0' } },
      this.#lower,
      this.#upper
    );
    this.#area.jupyterExtPlot = this;
    this.#area.dataset.group = cell.group;
    this.node.append(this.#head.node, this.#area);
    this.#listen(signal);
  }

  get model(): PlotModel | null {
    return this.#model;
  }

  get group(): string {
    return this.#input?.cell.group ?? '';
  }

  /** How often its curves were painted. */
  get draws(): number {
    return this.#draws;
  }

  /** The visible range of x. */
  get xRange(): [number, number] {
    return this.#model ? [this.#model.x.low, this.#model.x.high] : [NaN, NaN];
  }

  /** Return what is drawn. */
  curves(): DrawnCurve[] {
    return (this.#model?.lines ?? []).map(({ label, curve, dots }) => ({
      group: this.group,
      name: label,
      mode: dots ? 'lines+markers' : 'lines',
      x: Array.from(curve.x),
      y: Array.from(curve.y),
    }));
  }

  /** Return where an x is on the page. */
  pagePosition(x: number): [number, number] {
    const box = this.#area.getBoundingClientRect();
    const frame = this.#frame();
    const at = this.#model ? pixelX(frame, this.#model.x, x) : NaN;
    return [box.left + at, box.top + frame.top + frame.height / 2];
  }

  /**
   * Draw the plot, if it is not as it is already.
   *
   * @param key Equal for inputs that look the same.
   * @param width Of the plot in pixels, as `height` with its head.
   */
  draw(input: Omit<PlotInput, 'width' | 'height'>, key: string, width: number, height: number): void {
    const { cell, theme, hidden, options } = input;
    this.#head.draw(cell, theme, hidden, options.pinned.includes(cell.group));
    this.#head.drawWatch(input.watched);
    const sized = `${key}|${width}|${height}|${devicePixelRatio}`;
    if (sized === this.#key) {
      return;
    }
    this.#key = sized;
    this.#resize(width, height - HEAD_PX);
    const frame = this.#frame();
    this.#input = { ...input, width: frame.width, height: frame.height };
    this.redraw();
    if (this.#model) {
      this.#area.dataset.lines = String(this.#model.lines.length);
      this.#area.setAttribute('aria-label', this.#summary(this.#model));
    }
  }

  /** Paint the curves again, although nothing has changed. */
  redraw(): void {
    const brush = this.#brush(this.#lower);
    if (brush && this.#input) {
      this.#model = plotModel(this.#input);
      paintPlot(brush, this.#model);
      this.#draws += 1;
    }
  }

  /** Draw what follows the pointer, and return the points under it. */
  drawHover(hover: Hover | null): HoverPoint[] {
    const { theme } = this.#input ?? {};
    const model = this.#model;
    const brush = theme && this.#brush(this.#upper);
    if (!brush || !model || !theme) {
      return [];
    }
    const { context, frame } = brush;
    const fades = hover?.rank != null && this.#distinguishes(model);
    this.#lower.style.opacity = fades ? FADED : '';
    if (this.#dragFrom !== null) {
      context.fillStyle = theme.grid;
      context.fillRect(this.#dragFrom, frame.top, this.#dragTo - this.#dragFrom, frame.height);
    }
    if (hover === null || !model.y) {
      return [];
    }
    const { x, y } = model;
    if (fades) {
      paintAxes(brush, model);
      context.save();
      context.beginPath();
      context.rect(frame.left, frame.top - 2, frame.width + 1, frame.height + 3);
      context.clip();
      for (const line of model.lines.filter(({ rank }) => rank === hover.rank)) {
        paintCurve(brush, line.curve, line, x, y, { width: line.width + 0.8, alpha: 1 });
      }
      context.restore();
    }
    const at = hover.x === null ? NaN : pixelX(frame, x, hover.x);
    if (!(at >= frame.left && at <= frame.left + frame.width)) {
      return [];
    }
    context.strokeStyle = theme.axis;
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(Math.round(at) + 0.5, frame.top);
    context.lineTo(Math.round(at) + 0.5, frame.top + frame.height);
    context.stroke();
    const points = pointsAt(model, hover.x ?? 0);
    for (const point of points) {
      if (points.length <= 12 || point.line.rank === hover.rank) {
        const [px, py] = [pixelX(frame, x, point.x), pixelY(frame, y, point.y)];
        dot(context, px, py, 4, theme.surface);
        dot(context, px, py, 3, point.line.color);
      }
    }
    return points;
  }

  /** Return what is near a place of the page: for the box that names it. */
  near(points: readonly HoverPoint[], clientX: number, clientY: number): HoverPoint | null {
    const box = this.#area.getBoundingClientRect();
    return this.#model
      ? closest(points, this.#model, this.#frame(), clientX - box.left, clientY - box.top)
      : null;
  }

  /** Say an x of this plot in words. */
  xText(x: number): string {
    const choice = this.#input?.options.x ?? 'step';
    switch (choice) {
      case 'step':
        return `step ${formatCount(x)}`;
      case 'time':
        return `after ${formatClock(x)}`;
      case 'clock':
        return new Date(1000 * x).toLocaleString();
      default:
        return `${choice.slice('metric:'.length)} ${formatValue(x)}`;
    }
  }

  /** Paint the plot, with a title and a background, into another canvas. */
  paintInto(context: PaintContext, left: number, top: number): void {
    const { theme, cell } = this.#input ?? {};
    if (!theme || !cell || !this.#model) {
      return;
    }
    context.save();
    context.translate(left, top);
    context.fillStyle = theme.text;
    context.font = `600 12px ${theme.font}`;
    context.textBaseline = 'middle';
    context.textAlign = 'left';
    context.fillText(cell.group, 2, HEAD_PX / 2);
    context.translate(0, HEAD_PX);
    paintPlot({ context, theme, frame: this.#frame(), pixel: null }, this.#model);
    context.restore();
  }

  get size(): { width: number; height: number } {
    return { width: this.#width, height: this.#height + HEAD_PX };
  }

  #distinguishes(model: PlotModel): boolean {
    return new Set(model.lines.map(({ rank }) => rank)).size > 1;
  }

  #summary({ lines }: PlotModel): string {
    const last = lines.slice(0, 6).map(({ label, curve }) => {
      const value = curve.y[curve.y.length - 1];
      return `${label} ${value === undefined ? '' : formatValue(value)}`;
    });
    return `Plot of ${this.group}, ${lines.length === 1 ? '1 curve' : `${lines.length} curves`}. Latest: ${last.join(', ')}`;
  }

  #frame(): Frame {
    return frameOf(this.#width, this.#height);
  }

  #resize(width: number, height: number): void {
    this.#width = width;
    this.#height = height;
    this.#area.style.height = `${height}px`;
    for (const canvas of [this.#lower, this.#upper]) {
      const [pixels, lines] = [Math.round(width * devicePixelRatio), Math.round(height * devicePixelRatio)];
      if (canvas.width !== pixels || canvas.height !== lines) {
        canvas.width = pixels;
        canvas.height = lines;
        canvas.style.width = `${width}px`;
        canvas.style.height = `${height}px`;
      }
    }
  }

  #brush(canvas: HTMLCanvasElement): Brush | null {
    const context = canvas.getContext('2d');
    if (!context || !this.#input) {
      return null;
    }
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    context.clearRect(0, 0, this.#width, this.#height);
    return { context, theme: this.#input.theme, frame: this.#frame(), pixel: 1 / devicePixelRatio };
  }

  #listen(signal: AbortSignal): void {
    const area = this.#area;
    const on = <K extends keyof HTMLElementEventMap>(
      name: K,
      callback: (event: HTMLElementEventMap[K]) => void
    ) => area.addEventListener(name, callback, { signal });
    on('pointermove', event => this.#pointAt(event));
    on('pointerleave', () => this.#dragFrom === null && this.#events.hover(this, null));
    on('pointerdown', event => {
      if (event.button === 0 && this.#model) {
        this.#dragFrom = this.#dragTo = this.#inside(event);
        area.setPointerCapture(event.pointerId);
      }
    });
    on('pointerup', event => this.#finishDrag(this.#inside(event)));
    on('pointercancel', () => {
      this.#dragFrom = null;
      this.#events.hover(this, null);
    });
    on('dblclick', () => this.#events.zoom(null));
    on('keydown', event => this.#press(event));
    on('blur', () => this.#events.hover(this, null));
  }

  #inside(event: PointerEvent): number {
    const frame = this.#frame();
    const at = event.clientX - this.#area.getBoundingClientRect().left;
    return Math.max(frame.left, Math.min(frame.left + frame.width, at));
  }

  #pointAt(event: PointerEvent): void {
    const model = this.#model;
    if (!model) {
      return;
    }
    const at = this.#inside(event);
    if (this.#dragFrom !== null) {
      this.#dragTo = at;
    }
    const frame = this.#frame();
    const x = valueAt(model.x, (at - frame.left) / frame.width);
    const found = this.near(pointsAt(model, x), event.clientX, event.clientY);
    this.#events.hover(this, { x, rank: found?.line.rank ?? null });
  }

  #finishDrag(to: number): void {
    const from = this.#dragFrom;
    this.#dragFrom = null;
    if (from === null || !this.#model) {
      return;
    }
    const frame = this.#frame();
    const { x } = this.#model;
    if (Math.abs(to - from) < MIN_DRAG_PX) {
      this.#events.pick(valueAt(x, (to - frame.left) / frame.width));
      return;
    }
    const ends = [from, to].sort((a, b) => a - b).map(at => valueAt(x, (at - frame.left) / frame.width));
    this.#events.hover(this, null);
    this.#events.zoom({ from: ends[0], to: ends[1] });
  }

  #cursor = -1;

  #press(event: KeyboardEvent): void {
    const line = this.#model?.lines.find(({ ascending }) => ascending);
    const by = event.key === 'ArrowLeft' ? -1 : event.key === 'ArrowRight' ? 1 : 0;
    if (event.key === 'Escape') {
      this.#events.zoom(null);
      this.#events.hover(this, null);
    } else if (by !== 0 && line) {
      const stride = Math.max(1, Math.round(line.curve.x.length / 100));
      const last = line.curve.x.length - 1;
      this.#cursor = Math.max(0, Math.min(last, (this.#cursor < 0 ? last : this.#cursor) + by * stride));
      this.#events.hover(this, { x: line.curve.x[this.#cursor], rank: line.rank });
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }
}
