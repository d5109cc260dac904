// What a model gave back, drawn: text as text, sentences as small pictures of their vectors, tensors as
// numbers with a histogram.

import { loadPlotly, type PlotElement } from '../chart/plotly';
import { element, setText, svg } from '../core/dom';
import { messageOf } from '../core/errors';
import { formatCount, formatValue } from '../core/format';
import { readTheme, watchTheme } from '../core/theme';
import type { Transport } from '../transport/transport';
import { type Embeddings, type Histogram, type OutputSummary, shapeText } from './playground_calls';

const STRIP_WIDTH = 384;
const STRIP_HEIGHT = 30;
const HISTOGRAM_HEIGHT_PX = 130;
const MAX_SHOWN = 8;
const MAX_FIRST = 8;

export class OutputView {
  readonly node = element('div', { class: 'jx-play-out' });
  readonly #transport: Transport;
  readonly #signal: AbortSignal;
  readonly #text = element('pre', { class: 'jx-play-text' });
  readonly #written = element('span', { class: 'jx-play-written' });
  #histograms: { plot: HTMLElement; histogram: Histogram }[] = [];

  constructor(transport: Transport, signal: AbortSignal) {
    this.#transport = transport;
    this.#signal = signal;
    const redraw = () =>
      this.#histograms.forEach(({ plot, histogram }) => void this.#drawHistogram(plot, histogram));
    watchTheme(redraw, signal);
    const observer = new ResizeObserver(redraw);
    observer.observe(this.node);
    signal.addEventListener('abort', () => observer.disconnect());
  }

  /** Begin a text that comes bit by bit. */
  beginText(prompt: string): void {
    this.#histograms = [];
    this.#written.replaceChildren();
    this.#text.replaceChildren(element('span', { class: 'jx-play-prompt', text: prompt }), this.#written);
    this.node.replaceChildren(this.#text);
  }

  addText(text: string): void {
    this.#written.append(text);
  }

  /** @param texts What was given, where it was texts: each embedding stands below its own. */
  show(outputs: readonly OutputSummary[], texts: readonly string[]): void {
    this.#histograms = [];
    const shown = outputs.slice(0, MAX_SHOWN).map(output => this.#draw(output, texts));
    if (outputs.length > MAX_SHOWN) {
      shown.push(element('div', { class: 'jx-play-more', text: `and ${outputs.length - MAX_SHOWN} more` }));
    }
    this.node.replaceChildren(...shown);
  }

  #draw(output: OutputSummary, texts: readonly string[]): HTMLElement {
    if (output.kind !== 'tensor') {
      return element(
        'div',
        { class: 'jx-play-item' },
        heading(output.name, output.kind),
        element('pre', { class: 'jx-play-text', text: output.text ?? '' })
      );
    }
    const box = element('div', { class: 'jx-play-item' });
    if (output.embeddings) {
      box.append(...this.#embeddings(output, output.embeddings, texts));
      return box;
    }
    box.append(heading(output.name, `${shapeText(output.shape ?? [])} · ${output.dtype ?? ''}`));
    const numbers: [string, string][] = (['min', 'mean', 'max', 'std'] as const)
      .filter(key => output[key] != null)
      .map(key => [key, numberText(output[key])]);
    if (output.num_nonfinite) {
      numbers.push(['not finite', formatCount(output.num_nonfinite)]);
    }
    if (output.first?.length) {
      numbers.push(['first', firstText(output.first)]);
    }
    box.append(facts(numbers, output.num_nonfinite ? 'not finite' : null));
    if (output.histogram && output.histogram.counts.length > 1) {
      const plot = element('div', {
        class: 'jx-play-histogram',
        attrs: { role: 'img', 'aria-label': `Histogram of ${output.name}` },
      });
      box.append(plot);
      this.#histograms.push({ plot, histogram: output.histogram });
      void this.#drawHistogram(plot, output.histogram);
    }
    return box;
  }

  #embeddings(
    output: OutputSummary,
    { dimensions, norms, vectors, similarity }: Embeddings,
    texts: readonly string[]
  ): HTMLElement[] {
    const count = vectors.length;
    const made = [
      heading(
        output.name,
        `${formatCount(count)} × ${formatCount(dimensions)} dimensions · ${output.dtype ?? ''}`
      ),
    ];
    const largest = Math.max(...vectors.flat().map(Math.abs), Number.MIN_VALUE);
    vectors.forEach((vector, i) => {
      const alike = similarity[i]?.map(value => value.toFixed(2)) ?? [];
      made.push(
        element(
          'div',
          { class: 'jx-play-vector' },
          element('div', { class: 'jx-play-of', text: texts[i] ?? `vector ${i + 1}`, title: texts[i] }),
          strip(vector, largest),
          facts([
            ['norm', formatValue(norms[i])],
            ['first', firstText(vector)],
            ...(count > 1 ? [['similarity', alike.join('  ')] as [string, string]] : []),
          ])
        )
      );
    });
    return made;
  }

  async #drawHistogram(plot: HTMLElement, { from, to, counts }: Histogram): Promise<void> {
    try {
      const plotly = await loadPlotly(this.#transport);
      if (this.#signal.aborted || !plot.isConnected || plot.clientWidth === 0) {
        return;
      }
      const theme = readTheme(plot);
      const width = (to - from) / counts.length;
      const x = counts.map((_count, i) => from + (i + 0.5) * width);
      const axis = {
        zeroline: false,
        linecolor: theme.axis,
        tickfont: { size: 10.5, color: theme.muted },
        fixedrange: true,
      };
      await plotly.react(
        plot as PlotElement,
        [
          {
            type: 'bar',
            x,
            y: counts,
            width: counts.map(() => width),
            marker: { color: theme.palette[0], line: { width: 0 } },
            hovertemplate: '%{x:.4~g}: %{y:,}<extra></extra>',
          },
        ],
        {
          width: plot.clientWidth,
          height: HISTOGRAM_HEIGHT_PX,
          margin: { l: 44, r: 8, t: 6, b: 24 },
          paper_bgcolor: 'rgba(0,0,0,0)',
          plot_bgcolor: 'rgba(0,0,0,0)',
          font: { family: theme.font, size: 11, color: theme.muted },
          bargap: 0.06,
          showlegend: false,
          hoverlabel: {
            bgcolor: theme.surface,
            bordercolor: theme.axis,
            font: { color: theme.text, size: 11 },
          },
          xaxis: {
            ...axis,
            showline: true,
            showgrid: false,
            ticks: 'outside',
            ticklen: 3,
            tickcolor: theme.axis,
            tickangle: 0,
            nticks: Math.max(3, Math.floor(plot.clientWidth / 70)),
          },
          yaxis: { ...axis, gridcolor: theme.grid, nticks: 4, tickformat: '~s' },
        },
        { displayModeBar: false, responsive: false, showTips: false }
      );
    } catch (error) {
      setText(plot, `The histogram could not be drawn: ${messageOf(error)}`);
      plot.classList.add('jx-play-unplotted');
    }
  }
}

// One bar a value, up for positive and down for negative; with more values than pixels, the largest of each
// pixel.
function strip(vector: readonly number[], largest: number): Element {
  const num = Math.min(vector.length, STRIP_WIDTH);
  const width = STRIP_WIDTH / num;
  const middle = STRIP_HEIGHT / 2;
  const paths = { up: '', down: '' };
  for (let i = 0; i < num; i++) {
    const part = vector.slice(
      Math.floor((i * vector.length) / num),
      Math.floor(((i + 1) * vector.length) / num)
    );
    const value = part.reduce((most, each) => (Math.abs(each) > Math.abs(most) ? each : most), 0);
    const height = (Math.abs(value) / largest) * (middle - 1);
    const x = i * width;
    paths[value < 0 ? 'down' : 'up'] +=
      `M${x.toFixed(2)} ${middle}v${(value < 0 ? height : -height).toFixed(2)}h${(width * 0.85).toFixed(2)}V${middle}z`;
  }
  return svg(
    'svg',
    {
      viewBox: `0 0 ${STRIP_WIDTH} ${STRIP_HEIGHT}`,
      preserveAspectRatio: 'none',
      class: 'jx-play-strip',
      role: 'img',
      'aria-label': `${vector.length} values between ${formatValue(-largest)} and ${formatValue(largest)}`,
    },
    ...Object.entries(paths).map(([direction, d]) => svg('path', { d, class: `jx-play-${direction}` }))
  );
}

function heading(name: string, text: string): HTMLElement {
  return element(
    'div',
    { class: 'jx-play-name' },
    element('span', { text: name }),
    element('span', { text })
  );
}

function facts(pairs: readonly (readonly [string, string])[], bad: string | null = null): HTMLElement {
  return element(
    'div',
    { class: 'jx-play-facts' },
    ...pairs.map(([name, value]) =>
      element(
        'span',
        {},
        element('span', { text: name }),
        element('span', { class: name === bad ? 'jx-bad' : '', text: value })
      )
    )
  );
}

function firstText(values: readonly (number | string)[]): string {
  return `${values.slice(0, MAX_FIRST).map(numberText).join(', ')}${values.length > MAX_FIRST ? ', …' : ''}`;
}

function numberText(value: number | string | null | undefined): string {
  return typeof value === 'number' ? formatValue(value) : String(value ?? '');
}
