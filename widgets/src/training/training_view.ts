// The live panel of one training. Hosts give it an element, a transport and perhaps the last known training.

import { Chart } from '../chart/chart';
import { CHART_STYLES } from '../chart/styles';
import { button, element, setHidden, setText } from '../core/dom';
import { DrawScheduler } from '../core/draw_scheduler';
import { ERROR_STYLES } from '../core/error_styles';
import { messageOf } from '../core/errors';
import { addStyles } from '../core/styles';
import { LogView } from '../log/log_view';
import { LOG_STYLES } from '../log/styles';
import { MediaView } from '../media/media_view';
import { MEDIA_STYLES } from '../media/styles';
import type { Cell } from '../plot/cell';
import { marksOf } from '../plot/marks';
import { DEFAULT_BUCKETS, type Range } from '../series/downsampler';
import { SeriesStore } from '../series/series_store';
import type { Transport } from '../transport/transport';
import type { Training } from '../wire';
import { DetailsView } from './details_view';
import { goOnFromEarlier } from './earlier_media';
import { ErrorView } from './error_view';
import { Header } from './header';
import { isEnded } from './labels';
import { LastValues } from './last_values';
import { blankTextOf, emptyTextOf, linesOf } from './lines';
import { loadEarlier } from './load_earlier_log';
import { Messages } from './messages';
import { ruleBox } from './rule_box';
import { TRAINING_STYLES } from './styles';
import { SystemView } from './system_view';
import { TrainingFeed, type TrainingFeedState } from './training_feed';

/** What a host provides. */
export interface TrainingViewOptions {
  /** Where to draw; becomes empty again at the end. */
  element: HTMLElement;
  trainingId: string;
  /** The way to the engine; without one only the snapshot is drawn. */
  transport: Transport | null;
  /** The training as last known to the host. */
  snapshot: Training | null;
  /** Ends the panel and all it holds. */
  signal: AbortSignal;
  /** Shows the run that goes on where this one ended; without it there is no Resume. */
  onResumed?: (training: Training) => void;
}

const TICK_MS = 1_000;
/** A panel hidden for longer gives its connection back. */
const HIDDEN_MS = 5 * 60_000;
/** After being hidden for longer the line may be dead without knowing it. */
const STALE_MS = 45_000;
const ZOOM_DELAY_MS = 150;

/** Draw a panel until `options.signal` aborts. */
export function mountTraining(options: TrainingViewOptions): void {
  try {
    new TrainingView(options);
  } catch (error) {
    options.element.replaceChildren(
      element('pre', { class: 'jx-crash', text: `The panel could not be drawn: ${messageOf(error)}` })
    );
  }
}

class TrainingView {
  readonly #options: TrainingViewOptions;
  readonly #feed: TrainingFeed | null;
  readonly #header: Header;
  readonly #messages: Messages;
  readonly #error = new ErrorView();
  readonly #chart: Chart;
  readonly #lastValues = new LastValues();
  readonly #media: MediaView | null;
  readonly #system: SystemView;
  readonly #log: LogView;
  readonly #details = new DetailsView();
  readonly #stacks = element('pre', { class: 'jx-stacks', attrs: { tabindex: '0', 'aria-label': 'Stacks' } });
  readonly #body = element('div', { class: 'jx-body' });
  readonly #blankText = element('span');
  readonly #blankRetry: HTMLButtonElement;
  readonly #blank = element('div', { class: 'jx-blank', attrs: { role: 'status' } }, this.#blankText);
  readonly #root: HTMLElement;
  readonly #scheduler: DrawScheduler;
  readonly #noSeries = new SeriesStore();
  readonly #before = element('div', { class: 'jx-before' });
  #beforeShown: AbortController | null = null;
  #actionError = '';
  #hiddenAt: number | null = null;
  #pauseTimer: ReturnType<typeof setTimeout> | undefined;
  #hasEarlierMedia = false;
  #zoomTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: TrainingViewOptions) {
    const { signal, transport, trainingId } = options;
    this.#options = options;
    const request = () => this.#scheduler.request();
    // The first curves are waited for; what follows may take its time.
    const firstSoon = () =>
      this.#chart.isDrawn || this.#feed?.series.isEmpty !== false
        ? this.#scheduler.request()
        : this.#scheduler.hurry();
    // That the connection broke, or is back, is told at once: a moment later it may be otherwise.
    let connection = '';
    const onChange = () => {
      const before = connection;
      connection = this.#feed?.state.kind ?? '';
      return connection === before ? firstSoon() : this.#scheduler.hurry();
    };
    this.#feed = transport && new TrainingFeed({ transport, trainingId, onChange });
    this.#header = new Header(
      async () => this.#feed?.client.cancel(),
      options.onResumed ? () => this.#resume() : null,
      request,
      text => {
        this.#actionError = text;
      },
      signal
    );
    this.#messages = new Messages(signal);
    this.#chart = new Chart({
      scope: 'training',
      requestDraw: firstSoon,
      onZoom: rangeOf => this.#zoom(rangeOf ? rangeOf('0') : null),
      onTheme: dark => {
        this.#root.dataset.theme = dark ? 'dark' : 'light';
      },
      name: () => (this.#feed?.training ?? options.snapshot)?.name || 'training',
      ids: () => [trainingId],
      onWatch: transport ? (cell, node) => this.#openRules(cell, node) : undefined,
      signal,
    });
    this.#system = new SystemView(request, signal);
    this.#log = new LogView(
      async () => {
        if (this.#feed) {
          await loadEarlier(this.#feed.client, this.#feed.log);
          request();
        }
      },
      signal,
      transport && { transport, trainingId }
    );
    this.#media = transport && new MediaView([{ id: trainingId, name: '' }], transport, request, signal);
    this.#stacks.hidden = true;
    this.#blankRetry = button({ class: 'jx-link', text: 'Try again' }, () => this.#feed?.start(), signal);
    this.#blank.append(this.#blankRetry);
    this.#body.append(
      this.#header.node,
      this.#messages.node,
      this.#stacks,
      this.#error.node,
      element(
        'section',
        { class: 'jx-metrics', attrs: { 'aria-label': 'Metrics' } },
        this.#chart.toolbar.node,
        this.#chart.node,
        this.#lastValues.node
      ),
      ...(this.#media ? [this.#media.node] : []),
      this.#system.node,
      this.#log.node,
      this.#details.node,
      this.#before
    );
    this.#root = element(
      'section',
      { class: 'jx-panel jx-training', attrs: { role: 'region', 'aria-label': 'Training' } },
      this.#blank,
      this.#body
    );
    options.element.replaceChildren(this.#root);
    addStyles(this.#root, CHART_STYLES, ERROR_STYLES, LOG_STYLES, MEDIA_STYLES, TRAINING_STYLES);
    this.#scheduler = new DrawScheduler(
      this.#root,
      () => this.#draw(),
      inSight => this.#sight(inSight),
      signal
    );
    this.#listen(signal);
    // At once, also out of sight: what is known takes its place in the page before somebody scrolls to it.
    this.#draw();
    request();
  }

  #listen(signal: AbortSignal): void {
    const ticker = setInterval(() => {
      if (this.#scheduler.inSight && !this.#isOver()) {
        this.#scheduler.request();
      }
    }, TICK_MS);
    signal.addEventListener('abort', () => {
      clearInterval(ticker);
      clearTimeout(this.#pauseTimer);
      clearTimeout(this.#zoomTimer);
      this.#beforeShown?.abort();
      this.#feed?.dispose();
      this.#root.remove();
    });
  }

  // Nothing is asked of the engine before the panel is first seen, nor for long after it was last seen.
  #sight(inSight: boolean): void {
    clearTimeout(this.#pauseTimer);
    if (inSight) {
      const hidden_ms = this.#hiddenAt === null ? 0 : Date.now() - this.#hiddenAt;
      this.#hiddenAt = null;
      if (hidden_ms > STALE_MS) {
        this.#feed?.refresh();
      } else {
        this.#feed?.start();
      }
      this.#scheduler.request();
      return;
    }
    this.#hiddenAt = Date.now();
    const connected = this.#feed?.state.kind === 'live';
    this.#pauseTimer = setTimeout(() => this.#feed?.pause(), connected ? HIDDEN_MS : 0);
  }

  #isOver(): boolean {
    const training = this.#feed?.training;
    return (
      this.#feed === null ||
      (this.#feed.state.kind === 'ended' &&
        training !== null &&
        training !== undefined &&
        isEnded(training.status))
    );
  }

  #draw(): void {
    try {
      this.#drawAll();
    } catch (error) {
      console.error('jupyter-ext: the panel could not be drawn', error);
      this.#messages.draw([{ tone: 'error', text: `The panel could not be drawn: ${messageOf(error)}` }]);
    }
  }

  #drawAll(): void {
    const feed = this.#feed;
    const training = feed?.training ?? this.#options.snapshot;
    const known = training !== null && training.id !== undefined;
    setHidden(this.#blank, known);
    setHidden(this.#body, !known);
    if (!known) {
      this.#drawBlank(feed?.state ?? null);
      return;
    }
    const ended = isEnded(training.status);
    const series = feed?.series ?? this.#noSeries;
    this.#root.setAttribute('aria-label', `Training ${training.name}`);
    this.#header.draw(training, feed?.state ?? null, lastStepOf(series), Date.now());
    this.#messages.draw(
      linesOf(training, feed, Date.now(), {
        actionError: this.#actionError,
        isBeforeShown: this.#beforeShown !== null,
        showStacks: stacksOf => void this.#showStacks(stacksOf),
        toggleBefore: id => this.#toggleBefore(id),
      })
    );
    this.#error.draw(training);
    const origin = originOf(training);
    this.#chart.draw({
      store: series,
      originOf: () => origin,
      marks: marksOf(training, series.checkpoints),
      watched: ended || feed === null ? undefined : watchedBy(training),
      emptyText: emptyTextOf(training, feed),
    });
    this.#chart.node.classList.toggle('jx-chart-none', ended && series.all.every(item => item.isSystem));
    const noCurves = series.all.every(item => item.isSystem);
    void this.#showEarlierMedia(training);
    this.#media?.draw([training.num_media ?? 0]);
    this.#lastValues.draw(noCurves ? (training.last ?? {}) : {});
    this.#system.draw(series, origin, ended || feed === null || feed.state.kind === 'unavailable');
    setHidden(this.#log.node, feed === null);
    if (feed) {
      this.#log.setRanks(training.workers ?? 1);
      this.#log.draw(feed.log, ended, feed.state.kind === 'unavailable');
    }
    this.#details.draw(training, Date.now());
  }

  #drawBlank(state: TrainingFeedState | null): void {
    setText(this.#blankText, blankTextOf(this.#options.trainingId, state));
    setHidden(this.#blankRetry, state?.kind !== 'unavailable');
    this.#blank.dataset.tone = state?.kind === 'unavailable' ? 'error' : 'info';
  }

  // The run before this one, below it and as it was; it can be looked at, not resumed twice.
  #toggleBefore(id: string): void {
    if (this.#beforeShown) {
      this.#beforeShown.abort();
      this.#beforeShown = null;
    } else {
      this.#beforeShown = new AbortController();
      mountTraining({
        element: this.#before,
        trainingId: id,
        transport: this.#options.transport,
        snapshot: null,
        signal: this.#beforeShown.signal,
      });
    }
    this.#scheduler.request();
  }

  async #resume(): Promise<void> {
    const next = await this.#feed?.client.resume();
    if (next && !this.#options.signal.aborted) {
      this.#options.onResumed?.(next);
    }
  }

  async #showStacks(feed: TrainingFeed): Promise<void> {
    this.#stacks.hidden = false;
    this.#stacks.textContent = 'Asking the worker…';
    try {
      this.#stacks.textContent = await feed.client.stacks();
    } catch (error) {
      this.#stacks.textContent = `No stacks: ${messageOf(error)}`;
    }
  }

  // Of a resumed run: what the runs before have logged until the checkpoint, the newest of them first.
  async #showEarlierMedia({ resumed_from }: Training): Promise<void> {
    const { transport, signal } = this.#options;
    if (this.#hasEarlierMedia || !this.#media || !transport || !resumed_from) {
      return;
    }
    this.#hasEarlierMedia = true;
    await goOnFromEarlier(this.#media, resumed_from, transport, signal);
  }

  #openRules(cell: Cell, node: HTMLElement): void {
    const feed = this.#feed;
    const open = node.querySelector('.jx-rule-box');
    open?.dispatchEvent(new Event('close'));
    if (!feed || open) {
      return;
    }
    const metrics = new Map(
      cell.entries.map(({ series }) => [series.key, series.last?.value ?? null] as const)
    );
    const rules = (feed.training?.rules ?? []).filter(({ metric }) => metric === null || metrics.has(metric));
    const box = ruleBox(
      {
        metrics: [...metrics],
        rules,
        add: async rule => {
          await feed.client.addRule(rule);
          this.#scheduler.request();
        },
        closed: () => node.querySelector<HTMLElement>('.jx-watch')?.focus({ preventScroll: true }),
      },
      this.#options.signal
    );
    node.append(box);
    box.querySelector<HTMLElement>('select')?.focus({ preventScroll: true });
  }

  #zoom(range: Range | null): void {
    const feed = this.#feed;
    clearTimeout(this.#zoomTimer);
    this.#zoomTimer = undefined;
    feed?.series.clearDetail();
    if (!feed || range === null) {
      return;
    }
    const timer = setTimeout(() => {
      feed.client.metrics(DEFAULT_BUCKETS, range).then(
        columns => {
          if (this.#zoomTimer === timer && !this.#options.signal.aborted) {
            feed.series.showDetail(range.axis, columns);
            this.#scheduler.request();
          }
        },
        (error: unknown) =>
          console.warn('jupyter-ext: the exact points of the zoomed range could not be fetched', error)
      );
    }, ZOOM_DELAY_MS);
    this.#zoomTimer = timer;
  }
}

function watchedBy({ rules }: Training): ReadonlySet<string> {
  return new Set((rules ?? []).flatMap(({ metric }) => (metric === null ? [] : [metric])));
}

function lastStepOf(series: SeriesStore): number | null {
  const steps = series.all.flatMap(item => (item.isSystem || item.last === null ? [] : [item.last.step]));
  return steps.length > 0 ? Math.max(...steps) : null;
}

function originOf(training: Training): number {
  return Date.parse(training.started_at ?? training.created_at) / 1000;
}
