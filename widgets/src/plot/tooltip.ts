// The box beside the cursor: the values of all lines at one x.

import { element, setHidden } from '../core/dom';
import { formatValue } from '../core/format';
import type { HoverPoint } from './hover';

/** With more lines, only those around the nearest are listed. */
const MAX_ROWS = 12;
const GAP_PX = 14;

/** What the box says. */
export interface TooltipContent {
  title: string;
  /** By value, the largest first. */
  points: readonly HoverPoint[];
  nearest: HoverPoint | null;
  /** The rank that the others are compared with. */
  baseline: string | null;
  /** What happened there, in words. */
  marks: readonly string[];
}

export class Tooltip {
  readonly node = element('div', { class: 'jx-popup jx-tooltip', attrs: { role: 'status' } });

  constructor() {
    this.node.hidden = true;
  }

  hide(): void {
    setHidden(this.node, true);
  }

  /**
   * Show the box beside a point.
   *
   * @param x Pixels within the chart, as `y`.
   * @param width Of the chart, which the box stays in.
   */
  show(content: TooltipContent, x: number, y: number, width: number): void {
    const { points, nearest } = content;
    const rows = around(points, nearest);
    this.node.replaceChildren(
      element('div', { class: 'jx-tooltip-title', text: content.title }),
      ...rows.map(point => this.#row(point, content)),
      ...(rows.length < points.length
        ? [element('div', { class: 'jx-tooltip-more', text: `and ${points.length - rows.length} more` })]
        : []),
      ...content.marks.map(mark => element('div', { class: 'jx-tooltip-mark', text: mark }))
    );
    setHidden(this.node, false);
    const box = this.node.offsetWidth;
    const right = x + GAP_PX + box <= width;
    this.node.style.left = `${Math.max(0, right ? x + GAP_PX : x - GAP_PX - box)}px`;
    this.node.style.top = `${Math.max(0, y - this.node.offsetHeight / 2)}px`;
  }

  #row(point: HoverPoint, { points, nearest, baseline }: TooltipContent): HTMLElement {
    const { line } = point;
    const swatch = element('span', { class: 'jx-swatch' });
    swatch.style.backgroundColor = line.color;
    const base = points.find(other => other.line.rank === baseline);
    const more = base && base !== point ? point.y - base.y : NaN;
    const row = element(
      'div',
      { class: point === nearest ? 'jx-tooltip-row jx-near' : 'jx-tooltip-row' },
      swatch,
      element('span', { class: 'jx-tooltip-name', text: line.label }),
      element('span', { class: 'jx-tooltip-value', text: formatValue(point.y) })
    );
    if (point.raw !== null) {
      row.append(element('span', { class: 'jx-tooltip-raw', text: formatValue(point.raw) }));
    }
    if (Number.isFinite(more)) {
      row.append(
        element('span', { class: 'jx-tooltip-raw', text: `${more > 0 ? '+' : ''}${formatValue(more)}` })
      );
    }
    return row;
  }
}

function around(points: readonly HoverPoint[], nearest: HoverPoint | null): readonly HoverPoint[] {
  if (points.length <= MAX_ROWS) {
    return points;
  }
  const at = Math.max(0, nearest ? points.indexOf(nearest) : 0);
  const from = Math.max(0, Math.min(points.length - MAX_ROWS, at - MAX_ROWS / 2));
  return points.slice(from, from + MAX_ROWS);
}
