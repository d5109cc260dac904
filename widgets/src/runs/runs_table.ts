// The table of runs: a page of the engine's list. What changes in it comes by the page's one list stream; the page is asked
// for again when the list has other trainings, or the order may be another.
// The rule: no run has a stream of its own here, and tables that ask the same ask once.

import { CHART_STYLES } from '../chart/styles';
import { button, element, setHidden, setText } from '../core/dom';
import { DrawScheduler } from '../core/draw_scheduler';
import { messageOf } from '../core/errors';
import { addStyles } from '../core/styles';
import { MEDIA_STYLES } from '../media/styles';
import { isEnded, isResumable } from '../training/labels';
import { mountTraining } from '../training/training_view';
import type { Transport } from '../transport/transport';
import type { Status, Training } from '../wire';
import { ActionBar } from './action_bar';
import { columnsOf } from './columns';
import { Compare } from './compare';
import { FilterBar } from './filter_bar';
import { Grid } from './grid';
import { ListClient, type ListQuery } from './list_client';
import { LivePage } from './live_page';
import { RerunForm } from './rerun_form';
import { RUNS_STYLES } from './styles';

/** What a host provides. */
export interface RunsTableOptions {
  element: HTMLElement;
  /** The way to the engine; without one only the snapshot is drawn. */
  transport: Transport;
  /** The list as it was when the notebook was saved. */
  snapshot: readonly Training[];
  /** What is searched for at first. */
  text?: string;
  /** Only these at first; empty for all. */
  statuses: readonly Status[];
  pageSize: number;
  /** Ends the table and all it holds. */
  signal: AbortSignal;
}

const TICK_MS = 1_000;

/** Draw a table until `options.signal` aborts. */
export function mountRunsTable(options: RunsTableOptions): void {
  new RunsTable(options);
}

class RunsTable {
  readonly #options: RunsTableOptions;
  readonly #client: ListClient;
  readonly #live: LivePage;
  readonly #root: HTMLElement;
  readonly #scheduler: DrawScheduler;
  readonly #grid: Grid;
  readonly #actions: ActionBar;
  readonly #compare: Compare;
  readonly #rerun: RerunForm;
  readonly #filters: FilterBar;
  readonly #note = element('div', { class: 'jx-runs-note', attrs: { role: 'status' } });
  readonly #panelHost = element('div');
  readonly #panel = element('div', { class: 'jx-runs-panel' });
  #opened = new AbortController();
  #openedId: string | null = null;
  #known = new Map<string, Training>();

  constructor(options: RunsTableOptions) {
    const { signal } = options;
    this.#options = options;
    this.#client = new ListClient(options.transport);
    this.#live = new LivePage(
      options.transport,
      {
        statuses: options.statuses,
        text: options.text ?? '',
        sort: '-created_at',
        limit: options.pageSize,
        offset: 0,
      },
      options.snapshot,
      {
        onChange: soon => (soon ? this.#scheduler.hurry() : this.#scheduler?.request()),
        onHeard: trainings => {
          for (const training of trainings) {
            this.#known.set(training.id, training);
          }
          this.#refreshComparison();
        },
      },
      signal
    );
    this.#grid = new Grid(
      {
        sort: column =>
          this.#ask({
            sort:
              this.#live.query.sort === column
                ? `-${column}`
                : this.#live.query.sort === `-${column}`
                  ? column
                  : firstOrder(column),
            offset: 0,
          }),
        open: training => this.#open(training),
        selected: () => this.#scheduler.request(),
        label: (training, labels) => void this.#do(() => this.#client.label(training.id, labels)),
      },
      signal
    );
    this.#compare = new Compare(options.transport, () => this.#scheduler.request(), signal);
    this.#actions = new ActionBar(
      {
        compare: () => this.#compare.show(this.#compare.isOpen ? [] : this.#selected()),
        rerun: () => {
          const selected = this.#selected();
          if (selected.length === 1) {
            this.#rerun.show(this.#rerun.isOpen ? null : selected[0]);
          } else {
            void this.#each(training => this.#client.rerun(training.id));
          }
        },
        resume: () =>
          void this.#each(
            async training => this.#started(await this.#client.resume(training.id)),
            isResumable
          ),
        cancel: () =>
          void this.#each(
            training => this.#client.cancel(training.id),
            training => !isEnded(training.status)
          ),
        remove: () =>
          void this.#each(
            training => this.#client.remove(training.id),
            training => isEnded(training.status)
          ),
        clear: () => {
          this.#grid.selection.clear();
          this.#compare.show([]);
          this.#rerun.show(null);
          this.#draw();
        },
      },
      signal
    );
    this.#rerun = new RerunForm(
      {
        schema: training => this.#client.schema(training),
        start: (training, changes) => this.#client.rerun(training.id, changes),
        started: training => this.#started(training),
      },
      signal
    );
    this.#filters = new FilterBar(
      options.pageSize,
      {
        ask: change => this.#ask(change),
        offset: () => this.#live.query.offset,
        redraw: () => this.#scheduler.request(),
      },
      signal
    );
    const close = button(
      { class: 'jx-link', text: 'Close', attrs: { 'aria-label': 'Close the training' } },
      () => this.#close(),
      signal
    );
    this.#panel.append(element('div', { class: 'jx-runs-panel-head' }, close), this.#panelHost);
    this.#root = element(
      'section',
      { class: 'jx-panel jx-runs', attrs: { role: 'region', 'aria-label': 'Trainings' } },
      this.#filters.node,
      this.#actions.node,
      this.#rerun.node,
      this.#note,
      this.#grid.node,
      this.#compare.node,
      this.#panel
    );
    options.element.replaceChildren(this.#root);
    addStyles(this.#root, CHART_STYLES, MEDIA_STYLES, RUNS_STYLES);
    this.#scheduler = new DrawScheduler(
      this.#root,
      () => this.#draw(),
      inSight => this.#live.look(inSight),
      signal
    );
    this.#listen(signal);
    this.#draw();
  }

  #listen(signal: AbortSignal): void {
    const ticker = setInterval(() => {
      if (this.#scheduler.inSight) {
        this.#live.tick();
        this.#scheduler.request(); // ages and durations grow
      }
    }, TICK_MS);
    signal.addEventListener('abort', () => {
      clearInterval(ticker);
      this.#opened.abort();
      this.#root.remove();
    });
  }

  #ask(change: Partial<ListQuery>): void {
    this.#live.ask(change);
    this.#scheduler.request();
  }

  #refreshComparison(): void {
    if (this.#compare.isOpen && this.#selected().some(training => !isEnded(training.status))) {
      this.#compare.refresh(this.#selected());
    }
  }

  #selected(): Training[] {
    return [...this.#grid.selection].flatMap(id => this.#known.get(id) ?? []);
  }

  async #each(
    work: (training: Training) => Promise<unknown>,
    which: (training: Training) => boolean = () => true
  ): Promise<void> {
    await this.#do(async () => {
      for (const training of this.#selected().filter(which)) {
        await work(training);
      }
    });
  }

  async #do(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
      this.#actions.say('');
    } catch (error) {
      this.#actions.say(messageOf(error));
    }
    this.#ask({});
  }

  #started(training: Training): void {
    this.#openedId = null;
    this.#open(training);
    this.#ask({});
  }

  #close(): void {
    this.#opened.abort();
    this.#openedId = null;
    this.#scheduler.request();
  }

  #open(training: Training): void {
    this.#opened.abort();
    this.#opened = new AbortController();
    this.#openedId = this.#openedId === training.id ? null : training.id;
    if (this.#openedId !== null) {
      mountTraining({
        element: this.#panelHost,
        trainingId: training.id,
        transport: this.#options.transport,
        snapshot: training,
        signal: this.#opened.signal,
        onResumed: next => this.#started(next),
      });
    }
    this.#scheduler.request();
  }

  #say(text: string, tone = 'info'): void {
    setText(this.#note, text);
    this.#note.dataset.tone = tone;
  }

  #draw(): void {
    const { problem } = this.#live;
    this.#say(problem && `Not live: ${problem}`, problem ? 'error' : 'info');
    const { trainings } = this.#live.page;
    for (const id of this.#grid.selection) {
      if (this.#live.isLive && !trainings.some(training => training.id === id)) {
        this.#grid.selection.delete(id); // what is not seen is not acted upon
      }
    }
    this.#filters.draw(this.#live.page, this.#live.query, this.#live.isLive);
    const columns = columnsOf(trainings, this.#filters.metric, this.#filters.best);
    this.#grid.draw(trainings, columns, this.#live.query.sort, Date.now(), this.#live.isLive, this.#openedId);
    this.#actions.draw(this.#selected(), this.#compare.isOpen);
    setHidden(this.#panel, this.#openedId === null);
    this.#compare.draw();
  }
}

function firstOrder(column: string): string {
  return ['name', 'id', 'status'].includes(column) || /^(min|last|input):/.test(column)
    ? column
    : `-${column}`;
}
