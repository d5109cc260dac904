// Small drawings in SVG: a histogram, distributions over steps, a precision-recall curve. Colours come from the styles.

import { element, svg } from '../core/dom';
import { formatCount, formatValue } from '../core/format';
import type { Shot } from './by_step';

const WIDTH = 320;
const HEIGHT = 120;
const BAND_HEIGHT = 90;
const MAX_COLUMNS = 80;
const SHADES = 6;

export interface Counted {
  counts: number[];
  edges: number[];
}

export interface PrecisionRecall {
  precision: number[];
  recall: number[];
}

function drawing(width: number, height: number, label: string): SVGSVGElement {
  return svg('svg', {
    viewBox: `0 0 ${width} ${height}`,
    preserveAspectRatio: 'none',
    role: 'img',
    'aria-label': label,
    class: 'jx-media-drawing',
  });
}

function axis(low: string, high: string, middle = ''): HTMLElement {
  return element(
    'div',
    { class: 'jx-media-axis' },
    element('span', { text: low }),
    element('span', { text: middle }),
    element('span', { text: high })
  );
}

/** Bars of one histogram; areas are proportional to counts also where bins differ in width. */
export function histogram({ counts, edges }: Counted, range?: [number, number]): HTMLElement {
  const [low, high] = range ?? [edges[0], edges[edges.length - 1]];
  const span = high - low || 1;
  const density = counts.map((count, i) => count / (edges[i + 1] - edges[i] || 1));
  const top = Math.max(...density, Number.MIN_VALUE);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const drawn = drawing(WIDTH, HEIGHT, `Histogram of ${formatCount(total)} values`);
  let path = '';
  density.forEach((value, i) => {
    const left = ((edges[i] - low) / span) * WIDTH;
    const right = ((edges[i + 1] - low) / span) * WIDTH;
    const y = HEIGHT - (value / top) * (HEIGHT - 4);
    path += `M${left.toFixed(1)} ${HEIGHT}V${y.toFixed(1)}H${Math.max(right, left + 0.5).toFixed(1)}V${HEIGHT}Z`;
  });
  drawn.append(svg('path', { d: path, class: 'jx-media-fill' }));
  return element('div', {}, drawn, axis(formatValue(low), formatValue(high), `${formatCount(total)} values`));
}

/** A column for each step, the denser the darker, with a line at the step that is shown. */
export function distributions(
  shots: readonly Shot[],
  found: ReadonlyMap<Shot, Counted>,
  shown: Shot | null
): HTMLElement {
  const stride = Math.max(1, Math.ceil(shots.length / MAX_COLUMNS));
  const columns = shots.filter((_, i) => i % stride === 0 || i === shots.length - 1);
  const [low, high] = rangeOf(found);
  const span = high - low || 1;
  const width = WIDTH / Math.max(1, columns.length);
  const drawn = drawing(WIDTH, BAND_HEIGHT, `Distributions over ${shots.length} steps`);
  const shades = Array.from({ length: SHADES }, () => '');
  columns.forEach((shot, i) => {
    const counted = found.get(shot);
    if (!counted) {
      return;
    }
    const density = counted.counts.map((n, j) => n / (counted.edges[j + 1] - counted.edges[j] || 1));
    const top = Math.max(...density, Number.MIN_VALUE);
    density.forEach((value, j) => {
      if (value > 0) {
        const bottom = BAND_HEIGHT - ((counted.edges[j] - low) / span) * BAND_HEIGHT;
        const upper = BAND_HEIGHT - ((counted.edges[j + 1] - low) / span) * BAND_HEIGHT;
        const shade = Math.min(SHADES - 1, Math.floor(Math.sqrt(value / top) * SHADES));
        const [x, y] = [(i * width).toFixed(1), upper.toFixed(1)];
        shades[shade] +=
          `M${x} ${y}h${width.toFixed(1)}v${Math.max(0.5, bottom - upper).toFixed(1)}h-${width.toFixed(1)}Z`;
      }
    });
  });
  shades.forEach((path, shade) => {
    drawn.append(
      svg('path', { d: path, class: 'jx-media-fill', opacity: ((shade + 1) / SHADES).toFixed(2) })
    );
  });
  if (shown && columns.length > 1) {
    const first = shots[0].step;
    const x =
      ((shown.step - first) / (shots[shots.length - 1].step - first || 1)) * (WIDTH - width) + width / 2;
    drawn.append(svg('path', { d: `M${x.toFixed(1)} 0V${BAND_HEIGHT}`, class: 'jx-media-now' }));
  }
  const steps = axis(`step ${formatCount(shots[0].step)}`, formatCount(shots[shots.length - 1].step));
  steps.title = `Values from ${formatValue(low)} to ${formatValue(high)}`;
  return element('div', { class: 'jx-media-band' }, drawn, steps);
}

/** The values that all histograms reach over. */
export function rangeOf(found: ReadonlyMap<Shot, Counted>): [number, number] {
  const all = [...found.values()];
  return [
    Math.min(...all.map(({ edges }) => edges[0])),
    Math.max(...all.map(({ edges }) => edges[edges.length - 1])),
  ];
}

export function curve({ precision, recall }: PrecisionRecall): HTMLElement {
  const drawn = drawing(WIDTH, HEIGHT, 'Precision over recall');
  const points = recall.map(
    (x, i) => `${(x * WIDTH).toFixed(1)} ${(HEIGHT - 2 - precision[i] * (HEIGHT - 4)).toFixed(1)}`
  );
  drawn.append(svg('path', { d: `M${points.join('L')}`, class: 'jx-media-line' }));
  return element('div', {}, drawn, axis('recall 0', '1', 'precision 0 to 1'));
}
