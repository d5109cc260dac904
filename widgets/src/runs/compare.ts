// Several runs side by side: their curves in one chart, and the inputs in which they differ.

import { Chart } from '../chart/chart';
import { button, element } from '../core/dom';
import { messageOf } from '../core/errors';
import { MediaView } from '../media/media_view';
import { type ChartMark, marksOf } from '../plot/marks';
import { DEFAULT_BUCKETS, type Range } from '../series/downsampler';
import { SeriesStore } from '../series/series_store';
import { isEnded } from '../training/labels';
import { TrainingClient } from '../training/training_client';
import type { Transport } from '../transport/transport';
import type { SeriesColumns, Training } from '../wire';
import { differingInputs, valueText } from './columns';
import { InputPlots } from './input_plots';
import { meansOf, runNames } from './run_names';

/** Buckets of a curve: of many runs each has fewer, as their plots are as small. */
const BUCKETS = 400;
const BUCKETS_OF_MANY = 150;
const MANY_RUNS = 12;
export const MAX_RUNS = 100;
/** Requests at once. */
const AT_ONCE = 6;
/** Of more runs the checkpoints are not marked: they would hide the curves. */
const MARKED_CHECKPOINTS = 4;
const ZOOM_DELAY_MS = 150;
/** With more runs the table of inputs is folded. */
const FOLDED_FROM = 9;

/** What a run has so far; of one that is over it stays. */
interface Fetched {
  columns: SeriesColumns[];
  isFinal: boolean;
}
/** What stands for a run: its first process, or the lines that it printed. */
const FIRST_RANKS: ReadonlySet<string> = new Set(['0', 'log']);

export class Compare {
  readonly node = element('section', { class: 'jx-compare', attrs: { 'aria-label': 'Comparison' } });
  readonly #transport: Transport;
  readonly #requestDraw: () => void;
  readonly #parent: AbortSignal;
  readonly #keys: ReadonlySet<string> | null;
  #fetched = new Map<string, Fetched>();
  #chart: Chart | null = null;
  #inputs: InputPlots | null = null;
  #media: MediaView | null = null;
  #store = new SeriesStore();
  #shown: readonly Training[] = [];
  #origins = new Map<string, number>();
  #ended = new AbortController();
  #note = 'Loading…';
  #asking = false;
  #marks: readonly ChartMark[] = [];
  #rangeOf: ((rank: string) => Range) | null = null;
  #zoomTimer: ReturnType<typeof setTimeout> | undefined;

  /** @param keys Only these metrics. */
  constructor(
    transport: Transport,
    requestDraw: () => void,
    signal: AbortSignal,
    keys: readonly string[] | null = null
  ) {
    this.#transport = transport;
    this.#requestDraw = requestDraw;
    this.#parent = signal;
    this.#keys = keys && new Set(keys);
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
    this.#fetched = new Map();
    this.#marks = marksOfRuns(this.#shown);
    this.#rangeOf = null;
    clearTimeout(this.#zoomTimer);
    this.#note = 'Loading…';
    this.#asking = false;
    this.node.hidden = this.#shown.length === 0;
    this.node.replaceChildren();
    if (this.node.hidden || this.#parent.aborted) {
      return;
    }
    this.#origins = new Map(
      this.#shown.map(({ id, started_at, created_at }) => [id, Date.parse(started_at ?? created_at) / 1000])
    );
    const names = runNames(this.#shown);
    const means = meansOf(this.#shown);
    const chart = new Chart({
      scope: 'compare',
      requestDraw: this.#requestDraw,
      onZoom: rangeOf => this.#zoom(rangeOf),
      onTheme: () => undefined,
      name: () => 'comparison',
      ids: () => this.#shown.map(({ id }) => id),
      runs: names,
      means: means.size > 0 ? means : undefined,
      signal: this.#ended.signal,
    });
    this.#chart = chart;
    this.#inputs = new InputPlots(this.#shown, { names, signal: this.#ended.signal });
    this.#media = new MediaView(
      this.#shown.map(({ id }) => ({ id, name: names.get(id) ?? id })),
      this.#transport,
      this.#requestDraw,
      this.#ended.signal
    );
    const more =
      trainings.length > MAX_RUNS ? `The first ${MAX_RUNS} of ${trainings.length} are compared.` : '';
    this.node.append(
      ...(more ? [element('div', { class: 'jx-runs-note', text: more })] : []),
      element(
        'div',
        { class: 'jx-metrics' },
        element('div', { class: 'jx-compare-head' }, chart.legend?.node ?? '', chart.toolbar.node),
        chart.node
      ),
      this.#media.node,
      this.#inputs.node,
      inputDiff(this.#shown, names, this.#ended.signal)
    );
    this.refresh();
  }

  /**
   * Fetch the curves of what still runs anew.
   *
   * @param known How the trainings stand by now.
   */
  refresh(known: readonly Training[] = []): void {
    const now = new Map(known.map(training => [training.id, training]));
    this.#shown = this.#shown.map(training => now.get(training.id) ?? training);
    this.#marks = marksOfRuns(this.#shown);
    const { signal } = this.#ended;
    if (this.#asking || !this.isOpen) {
      return;
    }
    const wanted = this.#shown.filter(({ id }) => !this.#fetched.get(id)?.isFinal);
    if (wanted.length === 0) {
      return;
    }
    this.#asking = true;
    inTurns(wanted, AT_ONCE, training => this.#fetch(training, signal)).then(
      () => this.#settle(signal, 'None of them logged a metric.'),
      (error: unknown) => this.#settle(signal, `The curves could not be loaded: ${messageOf(error)}`)
    );
  }

  draw(): void {
    if (this.isOpen) {
      this.#chart?.draw({
        store: this.#store,
        originOf: rank => this.#origins.get(rank) ?? 0,
        marks: this.#marks,
        emptyText: this.#note,
      });
      this.#inputs?.draw();
      this.#media?.draw(this.#shown.map(training => training.num_media ?? 0));
    }
  }

  #settle(signal: AbortSignal, note: string): void {
    if (!signal.aborted) {
      this.#asking = false;
      this.#note = note;
      this.#requestDraw();
    }
  }

  // Each run is a "rank" of one chart, and is drawn as soon as it is here.
  async #fetch(training: Training, signal: AbortSignal): Promise<void> {
    if (signal.aborted) {
      return;
    }
    const client = new TrainingClient(this.#transport, training.id);
    const buckets = this.#shown.length > MANY_RUNS ? BUCKETS_OF_MANY : BUCKETS;
    const isFinal = isEnded(training.status);
    const { series } = await client.metrics(buckets);
    if (signal.aborted) {
      return;
    }
    const columns = this.#columnsOf(training, series);
    this.#fetched.set(training.id, { columns, isFinal });
    this.#store.put(columns);
    if (this.#rangeOf !== null && !isFinal) {
      await this.#fetchDetail(training, this.#rangeOf, signal);
    }
    this.#requestDraw();
  }

  #columnsOf(training: Training, series: SeriesColumns[]): SeriesColumns[] {
    return series
      .filter(({ info }) => FIRST_RANKS.has(info.rank) && (this.#keys?.has(info.key) ?? true))
      .map(item => ({ ...item, info: { ...item.info, rank: training.id } }));
  }

  // The exact points of what is seen, of each run.
  #zoom(rangeOf: ((rank: string) => Range) | null): void {
    clearTimeout(this.#zoomTimer);
    this.#rangeOf = rangeOf;
    this.#store.clearDetail();
    if (rangeOf === null) {
      return;
    }
    const { signal } = this.#ended;
    this.#zoomTimer = setTimeout(() => {
      inTurns(this.#shown, AT_ONCE, training => this.#fetchDetail(training, rangeOf, signal)).then(
        () => undefined,
        (error: unknown) =>
          console.warn('jupyter-ext: the exact points of the zoomed range could not be fetched', error)
      );
    }, ZOOM_DELAY_MS);
  }

  async #fetchDetail(
    training: Training,
    rangeOf: (rank: string) => Range,
    signal: AbortSignal
  ): Promise<void> {
    if (signal.aborted || this.#rangeOf !== rangeOf) {
      return;
    }
    const range = rangeOf(training.id);
    const client = new TrainingClient(this.#transport, training.id);
    const found = await client.metrics(DEFAULT_BUCKETS, range);
    if (!signal.aborted && this.#rangeOf === rangeOf) {
      const series = this.#columnsOf(training, found.series);
      this.#store.showDetail(range.axis, { ...found, series });
      this.#requestDraw();
    }
  }
}

/** Return what is marked in the plots of compared runs: resumes and alerts of all, checkpoints of few. */
export function marksOfRuns(trainings: readonly Training[]): ChartMark[] {
  const few = trainings.length <= MARKED_CHECKPOINTS;
  return trainings.flatMap(training =>
    marksOf(training, [])
      .filter(({ kind }) => few || kind !== 'checkpoint')
      .map(mark => ({ ...mark, rank: training.id }))
  );
}

/** Do work of which so much goes on at once. */
async function inTurns<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<void>
): Promise<void> {
  const waiting = [...items];
  const next = async (): Promise<void> => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) {
      await work(item);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, next));
}

function inputDiff(
  trainings: readonly Training[],
  names: ReadonlyMap<string, string>,
  signal: AbortSignal
): HTMLElement {
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
  const table = element(
    'table',
    { class: 'jx-diff', attrs: { 'aria-label': 'Inputs that differ' } },
    element('thead', {}, head),
    element('tbody', {}, ...rows)
  );
  const box = element('div', { class: 'jx-diff-box' }, table);
  if (trainings.length < FOLDED_FROM) {
    return box;
  }
  box.hidden = true;
  const text = () => (box.hidden ? `Show the ${inputs.length} inputs that differ` : 'Hide the inputs');
  const toggle = button(
    { class: 'jx-link', text: text() },
    () => {
      box.hidden = !box.hidden;
      toggle.textContent = text();
    },
    signal
  );
  return element('div', {}, element('div', { class: 'jx-runs-note' }, toggle), box);
}
