// One value, drawn: of a tensor its numbers, how they are spread, and a small picture.

import { element, svg } from '../core/dom';
import { formatCount, formatValue } from '../core/format';
import { factsOf, shapeOf } from './labels';
import { bytesOfBase64, type Histogram, type Picture, type Summary } from './session_client';

/** A picture's longer side on the screen; pixels are shown as squares. */
const PICTURE_PX = 128;

/** Draw a value whole: what it is, its numbers, histogram and picture. */
export function valueView(summary: Summary): HTMLElement {
  const what = [
    summary.type,
    summary.dtype,
    shapeOf(summary.shape),
    summary.device === 'cpu' ? '' : summary.device,
  ]
    .filter(Boolean)
    .join(' · ');
  const node = element(
    'div',
    { class: 'jx-value' },
    element(
      'div',
      { class: 'jx-value-head' },
      element('code', { text: summary.name }),
      element('span', { text: what })
    )
  );
  const facts = factsOf(summary);
  if (facts.length > 0) {
    node.append(factsView(facts));
  }
  if (summary.shape === undefined) {
    node.append(element('pre', { class: 'jx-value-text', text: summary.text }));
  }
  const drawn = element('div', { class: 'jx-value-drawn' });
  if (summary.histogram) {
    drawn.append(histogramView(summary.histogram, 'jx-histogram', true));
  }
  if (summary.picture) {
    drawn.append(pictureView(summary.picture));
  }
  if (drawn.childElementCount > 0) {
    node.append(drawn);
  }
  return node;
}

/** Draw numbers by name. */
export function factsView(facts: ReturnType<typeof factsOf>): HTMLElement {
  return element(
    'div',
    { class: 'jx-value-facts' },
    ...facts.map(({ name, value, bad }) =>
      element(
        'span',
        {},
        element('span', { text: name }),
        element('span', { class: bad ? 'jx-bad' : '', text: value })
      )
    )
  );
}

/** Draw counts as bars; with `labels`, the range below them. */
export function histogramView({ counts, edges }: Histogram, className: string, labels = false): HTMLElement {
  const most = Math.max(1, ...counts);
  const bars = counts.map((count, i) => {
    // the square root keeps a few values beside a thousand others visible
    const height = count === 0 ? 0 : Math.max(2, 100 * Math.sqrt(count / most));
    const title = `${formatValue(edges[i])} … ${formatValue(edges[i + 1])}: ${formatCount(count)}`;
    return svg('rect', { x: i + 0.06, y: 100 - height, width: 0.88, height }, svg('title', {}, title));
  });
  const from = formatValue(edges[0]);
  const to = formatValue(edges[edges.length - 1]);
  const node = element('div', {
    class: className,
    attrs: { role: 'img', 'aria-label': `Histogram from ${from} to ${to}` },
  });
  node.append(svg('svg', { viewBox: `0 0 ${counts.length} 100`, preserveAspectRatio: 'none' }, ...bars));
  if (labels) {
    node.append(
      element(
        'div',
        { class: 'jx-histogram-range', title: 'Heights are the square roots of the counts' },
        element('span', { text: from }),
        element('span', { text: to })
      )
    );
  }
  return node;
}

function pictureView(picture: Picture): HTMLElement {
  const { width, height, channels } = picture;
  const canvas = element('canvas', {
    attrs: { role: 'img', 'aria-label': `Picture of ${picture.of || 'the tensor'}` },
  });
  canvas.width = width;
  canvas.height = height;
  const scale = Math.max(1, PICTURE_PX / Math.max(width, height));
  canvas.style.width = `${Math.round(width * scale)}px`;
  canvas.style.height = `${Math.round(height * scale)}px`;
  const bytes = bytesOfBase64(picture.pixels);
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) {
      image.data[4 * i + c] = bytes[channels === 3 ? 3 * i + c : i];
    }
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext('2d')?.putImageData(image, 0, 0);
  return element(
    'figure',
    { class: 'jx-picture' },
    canvas,
    element('figcaption', { text: picture.of || `${height} × ${width}` })
  );
}
