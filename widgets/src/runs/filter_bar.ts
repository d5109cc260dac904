// The bar over the table: which runs, by which metric they are compared, which page of them.

import { button, element, setHidden, setText } from '../core/dom';
import { formatCount } from '../core/format';
import type { Status } from '../wire';
import { type Best, defaultMetric, metricKeys } from './columns';
import type { ListPage, ListQuery } from './list_client';

const TYPING_MS = 200;
const STATUSES: readonly Status[] = ['starting', 'processing', 'succeeded', 'failed', 'canceled'];

/** What the bar needs of its table. */
export interface FilterActions {
  /** Ask the engine for other runs. */
  ask: (change: Partial<ListQuery>) => void;
  /** Where the page that is asked for begins. */
  offset: () => number;
  /** Draw the same runs anew. */
  redraw: () => void;
}

/** Search, filters, the metric, and the pages. */
export class FilterBar {
  readonly node: HTMLElement;
  readonly #search = element('input', {
    attrs: { type: 'search', placeholder: 'name, id or tag', 'aria-label': 'Filter by name, id or tag' },
  });
  readonly #status = element('select', { attrs: { 'aria-label': 'Filter by status' } });
  readonly #metric = element('select', { attrs: { 'aria-label': 'Metric' } });
  readonly #best = element('select', { attrs: { 'aria-label': 'Best is' } });
  readonly #count = element('span');
  readonly #previous: HTMLButtonElement;
  readonly #next: HTMLButtonElement;
  #metricChosen: string | null = null;

  constructor(pageSize: number, actions: FilterActions, signal: AbortSignal) {
    const move = (by: number) => actions.ask({ offset: Math.max(0, actions.offset() + by * pageSize) });
    this.#previous = pager('‹', 'Previous page', () => move(-1), signal);
    this.#next = pager('›', 'Next page', () => move(1), signal);
    for (const value of ['auto', 'min', 'max']) {
      this.#best.append(element('option', { text: value, attrs: { value } }));
    }
    this.node = element(
      'div',
      { class: 'jx-runs-bar' },
      this.#search,
      this.#status,
      element('label', {}, 'metric', this.#metric),
      element('label', {}, 'best', this.#best),
      element('span', { class: 'jx-spacer' }),
      this.#count,
      this.#previous,
      this.#next
    );
    this.#listen(actions, signal);
  }

  /** The metric that runs are compared by, once there is one. */
  get metric(): string | null {
    return this.#metricChosen;
  }

  /** Which of its values is the best. */
  get best(): Best {
    return this.#best.value as Best;
  }

  /** Draw what there is to choose from. */
  draw({ trainings, total, counts, offset }: ListPage, query: ListQuery, isLive: boolean): void {
    const keys = metricKeys(trainings);
    if (this.#metricChosen === null || !keys.includes(this.#metricChosen)) {
      this.#metricChosen = defaultMetric(keys);
    }
    fill(
      this.#metric,
      keys.map(key => [key, key]),
      this.#metricChosen ?? ''
    );
    const all = Object.values(counts).reduce((sum, count) => sum + count, 0);
    fill(
      this.#status,
      [
        ['', `all (${formatCount(all)})`],
        ...STATUSES.map(status => [status, `${status} (${formatCount(counts[status] ?? 0)})`]),
      ],
      query.statuses.join(',')
    );
    setText(
      this.#count,
      total === 0
        ? 'no trainings'
        : `${formatCount(offset + 1)}–${formatCount(offset + trainings.length)} of ${formatCount(total)}`
    );
    this.#previous.disabled = !isLive || query.offset === 0;
    this.#next.disabled = !isLive || offset + trainings.length >= total;
    for (const each of [this.#previous, this.#next]) {
      setHidden(each, query.offset === 0 && trainings.length >= total);
    }
  }

  #listen(actions: FilterActions, signal: AbortSignal): void {
    let typing: ReturnType<typeof setTimeout> | undefined;
    const type = () => {
      clearTimeout(typing);
      typing = setTimeout(() => actions.ask({ text: this.#search.value.trim(), offset: 0 }), TYPING_MS);
    };
    const filter = () =>
      actions.ask({
        statuses: this.#status.value ? (this.#status.value.split(',') as Status[]) : [],
        offset: 0,
      });
    const choose = () => {
      this.#metricChosen = this.#metric.value;
      actions.redraw();
    };
    this.#search.addEventListener('keydown', event => event.stopPropagation(), { signal });
    this.#search.addEventListener('input', type, { signal });
    this.#status.addEventListener('change', filter, { signal });
    this.#metric.addEventListener('change', choose, { signal });
    this.#best.addEventListener('change', actions.redraw, { signal });
    signal.addEventListener('abort', () => clearTimeout(typing));
  }
}

function pager(text: string, title: string, run: () => void, signal: AbortSignal): HTMLButtonElement {
  return button({ class: 'jx-button', text, title, attrs: { 'aria-label': title } }, run, signal);
}

function fill(select: HTMLSelectElement, options: string[][], value: string): void {
  const wanted = JSON.stringify(options);
  if (select.dataset.options !== wanted && document.activeElement !== select) {
    select.dataset.options = wanted;
    select.replaceChildren(
      ...options.map(([key, text]) => element('option', { text, attrs: { value: key } }))
    );
  }
  if (document.activeElement !== select || select.value === '') {
    select.value = value;
  }
}
