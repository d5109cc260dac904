// Draws a plot model on a canvas: grid, axes, bands, lines, marks. Knows no page beyond the canvas.

import type { Theme } from '../core/theme';
import type { Curve } from '../series/downsampler';
import type { Line, OddPoint, PlacedMark, PlotModel } from './plot_model';
import { fractionOf, type Scale } from './scales';
import type { PaintContext } from './svg_context';

/** The inside of a plot, in pixels of its canvas. */
export interface Frame {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** What is drawn with. */
export interface Brush {
  context: PaintContext;
  theme: Theme;
  frame: Frame;
  /** The size of a pixel of the screen; `null` where there is none, and every line is drawn as a line. */
  pixel: number | null;
}

export const LEFT_PX = 46;
export const RIGHT_PX = 10;
export const TOP_PX = 8;
export const BOTTOM_PX = 20;
const TICK_PX = 3;
const FONT_PX = 10.5;
const LAST_DOT_PX = 2.4;
const BEST_RING_PX = 3.6;
/** From so many points a pixel on, and so many pixels up and down for each across, a line is dense. */
const DENSE_POINTS = 0.5;
const DENSE_INK = 4;
/** Dashes of a dense line could not be told from its noise. */
const DENSE_DASH_ALPHA = 0.6;

/** Return the inside of a plot of this size. */
export function frameOf(width: number, height: number): Frame {
  return {
    left: LEFT_PX,
    top: TOP_PX,
    width: Math.max(1, width - LEFT_PX - RIGHT_PX),
    height: Math.max(1, height - TOP_PX - BOTTOM_PX),
  };
}

export function pixelX(frame: Frame, scale: Scale, value: number): number {
  return frame.left + fractionOf(scale, value) * frame.width;
}

export function pixelY(frame: Frame, scale: Scale, value: number): number {
  return frame.top + (1 - fractionOf(scale, value)) * frame.height;
}

/** Draw all but what follows the pointer. */
export function paintPlot(brush: Brush, model: PlotModel): void {
  const { context, frame } = brush;
  paintAxes(brush, model);
  context.save();
  context.beginPath();
  context.rect(frame.left, frame.top - 2, frame.width + 1, frame.height + 3);
  context.clip();
  paintMarkLines(brush, model.marks, model.x);
  const { y } = model;
  if (y) {
    for (const line of model.lines) {
      paintBand(brush, line, model.x, y);
    }
    for (const line of model.lines) {
      if (line.raw) {
        paintCurve(brush, line.raw, line, model.x, y, { width: 1, alpha: brush.theme.dark ? 0.3 : 0.25 });
      }
    }
    const alpha = model.lines.length > 12 ? 0.75 : 1;
    for (const line of model.lines) {
      paintCurve(brush, line.curve, line, model.x, y, { width: line.width, alpha });
    }
    if (model.lines.length <= 12) {
      for (const line of model.lines) {
        paintEnds(brush, line, model.x, y);
      }
    }
  }
  context.restore();
  paintOdd(brush, model.odd, model.x);
  paintMarkHeads(brush, model.marks, model.x);
  paintNote(brush, model);
}

/** Draw the grid, the axes and their ticks. */
export function paintAxes({ context, theme, frame }: Brush, { x, y, xTicks, yTicks }: PlotModel): void {
  context.font = `${FONT_PX}px ${theme.font}`;
  context.fillStyle = theme.muted;
  context.lineWidth = 1;
  const bottom = Math.round(frame.top + frame.height) + 0.5;
  const right = frame.left + frame.width;
  if (y) {
    context.strokeStyle = theme.grid;
    context.textAlign = 'right';
    context.textBaseline = 'middle';
    context.beginPath();
    for (const { value, text } of yTicks) {
      const at = Math.round(pixelY(frame, y, value)) + 0.5;
      context.moveTo(frame.left, at);
      context.lineTo(right, at);
      context.fillText(text, frame.left - 6, at, frame.left - 8);
    }
    context.stroke();
  }
  context.strokeStyle = theme.axis;
  context.textAlign = 'center';
  context.textBaseline = 'top';
  context.beginPath();
  context.moveTo(frame.left, bottom);
  context.lineTo(right, bottom);
  for (const { value, text } of xTicks) {
    const at = Math.round(pixelX(frame, x, value)) + 0.5;
    context.moveTo(at, bottom);
    context.lineTo(at, bottom + TICK_PX);
    const half = context.measureText(text).width / 2;
    context.fillText(text, Math.min(at, right + RIGHT_PX - half - 1), bottom + TICK_PX + 3);
  }
  context.stroke();
}

function paintBand({ context, frame }: Brush, line: Line, x: Scale, y: Scale): void {
  if (!line.band) {
    return;
  }
  const { low, high } = line.band;
  const at = line.curve.x;
  context.beginPath();
  for (let i = 0; i < at.length; i++) {
    context.lineTo(pixelX(frame, x, at[i]), pixelY(frame, y, high[i]));
  }
  for (let i = at.length - 1; i >= 0; i--) {
    context.lineTo(pixelX(frame, x, at[i]), pixelY(frame, y, low[i]));
  }
  context.globalAlpha = 0.16;
  context.fillStyle = line.color;
  context.fill();
  context.globalAlpha = 1;
}

/** Draw one curve of a line. */
export function paintCurve(
  brush: Brush,
  curve: Curve,
  line: Line,
  x: Scale,
  y: Scale,
  pen: { width: number; alpha: number }
): void {
  const { context } = brush;
  context.globalAlpha = pen.alpha;
  const points = pixelsOf(brush, curve, x, y);
  if (brush.pixel !== null && line.ascending && isDense(points, brush.frame)) {
    context.globalAlpha = pen.alpha * (line.dash.length > 0 ? DENSE_DASH_ALPHA : 1);
    strokeThin(context, points, line, brush.pixel);
  } else {
    strokePoints(context, points, line, pen.width);
  }
  if (line.dots) {
    paintDots(brush, curve, line, x, y);
  }
  context.globalAlpha = 1;
}

interface Pixels {
  x: Float64Array;
  y: Float64Array;
}

function pixelsOf({ frame }: Brush, curve: Curve, x: Scale, y: Scale): Pixels {
  const points = { x: new Float64Array(curve.x.length), y: new Float64Array(curve.x.length) };
  for (let i = 0; i < points.x.length; i++) {
    points.x[i] = pixelX(frame, x, curve.x[i]);
    points.y[i] = pixelY(frame, y, curve.y[i]);
  }
  return points;
}

function isDense({ x, y }: Pixels, frame: Frame): boolean {
  if (x.length < DENSE_POINTS * frame.width) {
    return false;
  }
  let ink = 0;
  for (let i = 1; i < y.length; i++) {
    const height = Math.abs(y[i] - y[i - 1]);
    ink += Number.isFinite(height) ? Math.min(height, frame.height) : 0;
  }
  return ink > DENSE_INK * frame.width;
}

function strokePoints(context: PaintContext, points: Pixels, line: Line, width: number): void {
  context.strokeStyle = line.color;
  context.lineWidth = width;
  context.lineJoin = 'round';
  context.setLineDash(line.dash as number[]);
  tracePath(context, points, 0);
  context.setLineDash([]);
}

// Lines as thin as a pixel of the screen: a browser draws one that fills its plot with noise forty times quicker than
// a thicker one, and it looks the same. Where pixels are small, two of them side by side.
function strokeThin(context: PaintContext, points: Pixels, line: Line, pixel: number): void {
  context.strokeStyle = line.color;
  context.lineWidth = pixel;
  context.lineJoin = 'bevel';
  tracePath(context, points, 0);
  if (pixel < 0.75) {
    tracePath(context, points, pixel);
  }
}

function tracePath(context: PaintContext, { x, y }: Pixels, right: number): void {
  context.beginPath();
  let pen = false;
  for (let i = 0; i < x.length; i++) {
    if (!Number.isFinite(x[i]) || !Number.isFinite(y[i])) {
      pen = false;
    } else if (pen) {
      context.lineTo(x[i] + right, y[i]);
    } else {
      context.moveTo(x[i] + right, y[i]);
      pen = true;
    }
  }
  context.stroke();
}

function paintDots({ context, frame }: Brush, curve: Curve, line: Line, x: Scale, y: Scale): void {
  context.fillStyle = line.color;
  context.beginPath();
  for (let i = 0; i < curve.x.length; i++) {
    const px = pixelX(frame, x, curve.x[i]);
    const py = pixelY(frame, y, curve.y[i]);
    if (Number.isFinite(px) && Number.isFinite(py)) {
      context.moveTo(px + 2, py);
      context.arc(px, py, 2, 0, 2 * Math.PI);
    }
  }
  context.fill();
}

function paintEnds({ context, theme, frame }: Brush, line: Line, x: Scale, y: Scale): void {
  const { curve, best } = line;
  const last = curve.x.length - 1;
  if (last >= 0 && Number.isFinite(curve.y[last]) && !line.dots) {
    dot(context, pixelX(frame, x, curve.x[last]), pixelY(frame, y, curve.y[last]), LAST_DOT_PX, line.color);
  }
  if (best && curve.x.length > 1 && !line.band) {
    const [px, py] = [pixelX(frame, x, best.x), pixelY(frame, y, best.y)];
    context.beginPath();
    context.arc(px, py, BEST_RING_PX, 0, 2 * Math.PI);
    context.fillStyle = theme.surface;
    context.fill();
    context.lineWidth = 1.6;
    context.strokeStyle = line.color;
    context.stroke();
  }
}

/** Draw a filled circle. */
export function dot(context: PaintContext, x: number, y: number, radius: number, color: string): void {
  if (Number.isFinite(x) && Number.isFinite(y)) {
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fillStyle = color;
    context.fill();
  }
}

// Values that have no place on the axis stand on the edge they went over: ▲, ▼, and × where they are no number.
function paintOdd({ context, frame }: Brush, odd: readonly OddPoint[], x: Scale): void {
  for (const { x: value, kind, color } of odd) {
    const at = pixelX(frame, x, value);
    if (at < frame.left || at > frame.left + frame.width) {
      continue;
    }
    const y = kind === 'high' ? frame.top + 1 : frame.top + frame.height - 1;
    context.strokeStyle = color;
    context.fillStyle = color;
    context.beginPath();
    if (kind === 'nan') {
      context.lineWidth = 1.5;
      context.moveTo(at - 3, y - 6);
      context.lineTo(at + 3, y);
      context.moveTo(at + 3, y - 6);
      context.lineTo(at - 3, y);
      context.stroke();
    } else {
      const away = kind === 'high' ? 6 : -6;
      context.moveTo(at, y);
      context.lineTo(at - 3.5, y + away);
      context.lineTo(at + 3.5, y + away);
      context.fill();
    }
  }
}

function paintMarkLines({ context, theme, frame }: Brush, marks: readonly PlacedMark[], x: Scale): void {
  for (const { x: value, mark } of marks) {
    const at = Math.round(pixelX(frame, x, value)) + 0.5;
    context.strokeStyle = markColor(mark.kind, mark.level, theme);
    context.lineWidth = 1;
    context.globalAlpha = mark.kind === 'checkpoint' ? 0.25 : 0.7;
    context.setLineDash([2, 3]);
    context.beginPath();
    context.moveTo(at, frame.top);
    context.lineTo(at, frame.top + frame.height);
    context.stroke();
  }
  context.setLineDash([]);
  context.globalAlpha = 1;
}

// A checkpoint is a small square below its line, a resume a triangle that points on, an alert a triangle that stands.
function paintMarkHeads({ context, theme, frame }: Brush, marks: readonly PlacedMark[], x: Scale): void {
  for (const { x: value, mark } of marks) {
    const at = pixelX(frame, x, value);
    if (at < frame.left - 1 || at > frame.left + frame.width + 1) {
      continue;
    }
    const y = frame.top + frame.height;
    context.fillStyle = markColor(mark.kind, mark.level, theme);
    context.beginPath();
    if (mark.kind === 'checkpoint') {
      context.rect(at - 2.5, y - 2.5, 5, 5);
    } else if (mark.kind === 'resume') {
      context.moveTo(at - 3, y - 5);
      context.lineTo(at + 4, y - 0.5);
      context.lineTo(at - 3, y + 4);
    } else {
      context.moveTo(at, frame.top - 2);
      context.lineTo(at + 4.5, frame.top + 6);
      context.lineTo(at - 4.5, frame.top + 6);
    }
    context.fill();
  }
}

/** Return the colour of a mark. */
export function markColor(kind: string, level: string | null, theme: Theme): string {
  if (level === 'error' || level === 'critical') {
    return theme.error;
  }
  return kind === 'alert' && level !== 'info' ? theme.warning : theme.muted;
}

function paintNote({ context, theme, frame }: Brush, { numOdd, numOutside, y }: PlotModel): void {
  const parts = [
    numOdd > 0 ? `${numOdd.toLocaleString('en-US')} not finite` : '',
    numOutside > 0 ? `${numOutside.toLocaleString('en-US')} out of range` : '',
  ].filter(Boolean);
  if (parts.length === 0 && y) {
    return;
  }
  context.font = `${FONT_PX}px ${theme.font}`;
  context.fillStyle = numOdd > 0 ? theme.error : theme.muted;
  context.textAlign = 'right';
  context.textBaseline = 'top';
  context.fillText(
    parts.join(' · ') || (y ? '' : 'nothing to draw here'),
    frame.left + frame.width - 2,
    frame.top + 1
  );
}
