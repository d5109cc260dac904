// Several runs side by side: their curves in one chart, and the inputs in which they differ.

import { Chart } from '../chart/chart';
import { element } from '../core/dom';
import { messageOf } from '../core/errors';
import { readTheme } from '../core/theme';
import { MediaView } from '../media/media_view';
import { SeriesStore } from '../series/series_store';
import { TrainingClient } from '../training/training_client';
import type { Transport } from '../transport/transport';
import type { SeriesColumns, Training } from '../wire';
import { differingInputs, valueText } from './columns';

const BUCKETS = 400;
/** One colour each, see `core/theme.ts`. */
const MAX_RUNS = 7;

export class Compare {
  readonly node = element('section', { class: 'jx-compare', attrs: { 'aria-label': 'Comparison' } });
  readonly #transport: Transport;
  readonly #requestDraw: () => void;
  readonly #parent: AbortSignal;
  #chart: Chart | null = null;
  #media: MediaView | null = null;
  #swatches: HTMLElement[] = [];
  #store = new SeriesStore();
  #shown: readonly Training[] = [];
  #ended = new AbortController();
  #note = 'Loading…';
  #asking = false;

  constructor(transport: Transport, requestDraw: () => void, signal: AbortSignal) {
    this.#transport = transport;
    this.#requestDraw = requestDraw;
    this.#parent = signal;
    this.node.hidden = true;
    signal.addEventListener('abort', () => this.#ended.abort());
  }

  get isOpen(): boolean {
    return !this.node.hidden;
  }

  /** Show these runs; none closes. */
  show(trainings: readonly Training[]): void {
    this.#ended.abort();
    this.#ended = new AbortController();
    this.#shown = trainings.slice(0, MAX_RUNS);
    this.#store = new SeriesStore();
    this.#note = 'Loading…';
    this.#asking = false;
    this.node.hidden = this.#shown.length === 0;
    this.node.replaceChildren();
    if (this.node.hidden || this.#parent.aborted) {
      return;
    }
    const names = namesOf(this.#shown);
    this.#chart = new Chart({
      transport: this.#transport,
      requestDraw: this.#requestDraw,
      onZoom: () => undefined,
      onTheme: () => undefined,
      isOver: () => false,
      runs: names,
      signal: this.#ended.signal,
    });
    this.#media = new MediaView(
      this.#shown.map(({ id }) => ({ id, name: names.get(id) ?? id })),
      this.#transport,
      this.#requestDraw,
      this.#ended.signal
    );
    const more =
      trainings.length > MAX_RUNS ? `The first ${MAX_RUNS} of ${trainings.length} are compared.` : '';
    this.node.append(
      element('div', { class: 'jx-runs-note', text: more }),
      element(
        'div',
        { class: 'jx-metrics' },
        element('div', { class: 'jx-compare-head' }, this.#runNames(names), this.#chart.toolbar.node),
        this.#chart.node
      ),
      this.#media.node,
      inputDiff(this.#shown, names)
    );
    this.refresh();
  }

  /** Fetch the curves anew. */
  refresh(): void {
    const { signal } = this.#ended;
    if (this.#asking || !this.isOpen) {
      return;
    }
    this.#asking = true;
    Promise.all(this.#shown.map(training => this.#curves(training))).then(
      found => {
        if (!signal.aborted) {
          this.#asking = false;
          this.#note = 'None of them logged a metric.';
          this.#store.load({
            seq: 0,
            series: found.flat().map((series, index) => ({ ...series, info: { ...series.info, index } })),
          });
          this.#requestDraw();
        }
      },
      (error: unknown) => {
        if (!signal.aborted) {
          this.#asking = false;
          this.#note = `The curves could not be loaded: ${messageOf(error)}`;
          this.#requestDraw();
        }
      }
    );
  }

  draw(): void {
    if (this.isOpen) {
      this.#chart?.draw(this.#store, 0, this.#note);
      this.#media?.draw(this.#shown.map(training => training.num_media ?? 0));
      const { palette } = readTheme(this.node);
      this.#swatches.forEach((swatch, i) => {
        swatch.style.backgroundColor = palette[i % palette.length];
      });
    }
  }

  #runNames(names: ReadonlyMap<string, string>): HTMLElement {
    this.#swatches = [...names].map(() => element('span', { class: 'jx-swatch' }));
    const runs = [...names].map(([id, name], i) => element('li', { title: id }, this.#swatches[i], name));
    return element('ul', { class: 'jx-run-names', attrs: { 'aria-label': 'Runs by colour' } }, ...runs);
  }

  // Each run is a "rank" of one chart, and begins at the same zero.
  async #curves(training: Training): Promise<SeriesColumns[]> {
    const { series } = await new TrainingClient(this.#transport, training.id).metrics(BUCKETS);
    const began = Date.parse(training.started_at ?? training.created_at) / 1000;
    return series
      .filter(({ info }) => info.rank === '0')
      .map(item => ({
        ...item,
        info: { ...item.info, rank: training.id },
        times: item.times.map(time => time - began),
      }));
  }
}

// The name alone where it tells them apart.
function namesOf(trainings: readonly Training[]): Map<string, string> {
  const all = trainings.map(training => training.name);
  return new Map(
    trainings.map(({ id, name }) => [
      id,
      all.indexOf(name) === all.lastIndexOf(name) ? name : `${name} …${id.slice(-4)}`,
    ])
  );
}

function inputDiff(trainings: readonly Training[], names: ReadonlyMap<string, string>): HTMLElement {
  const inputs = differingInputs(trainings);
  if (inputs.length === 0) {
    return element('div', { class: 'jx-runs-note', text: 'Their inputs are the same.' });
  }
  const head = element(
    'tr',
    {},
    element('th', { text: 'input', attrs: { scope: 'col' } }),
    ...trainings.map(training =>
      element('th', { text: names.get(training.id), title: training.id, attrs: { scope: 'col' } })
    )
  );
  const rows = inputs.map(name =>
    element(
      'tr',
      {},
      element('th', { text: name, attrs: { scope: 'row' } }),
      ...trainings.map(training => element('td', { text: valueText(training.input?.[name]) }))
    )
  );
  return element(
    'table',
    { class: 'jx-diff', attrs: { 'aria-label': 'Inputs that differ' } },
    element('thead', {}, head),
    element('tbody', {}, ...rows)
  );
}
