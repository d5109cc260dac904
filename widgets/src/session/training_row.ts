// One training of a session: how it stands, and its curves. Points are asked for as the session tells of
// them, and of one that has ended the engine reads them from its files.

import { Chart } from '../chart/chart';
import { button, element, setHidden, setText } from '../core/dom';
import { messageOf } from '../core/errors';
import { SeriesStore } from '../series/series_store';
import type { Transport } from '../transport/transport';
import type { DebugTraining } from '../wire';
import { trainingChip, trainingText } from './labels';
import type { SessionClient } from './session_client';
import type { SessionFeedState } from './session_feed';

/** What trainings ask of their view. */
export interface TrainingsContext {
  client: SessionClient;
  transport: Transport;
  requestDraw(): void;
  onTheme(dark: boolean): void;
  signal: AbortSignal;
}

export class TrainingRow {
  readonly node: HTMLElement;
  readonly #context: TrainingsContext;
  readonly #ended = new AbortController();
  readonly #chip = element('span', { class: 'jx-chip' });
  readonly #chipText = element('span');
  readonly #text = element('span', { class: 'jx-session-dim' });
  readonly #cancel: HTMLButtonElement;
  readonly #open: HTMLButtonElement;
  readonly #bar = element('div', { class: 'jx-bar-fill' });
  readonly #track = element('div', { class: 'jx-bar' }, this.#bar);
  readonly #hint = element('div', { class: 'jx-message', attrs: { 'data-tone': 'warning', role: 'status' } });
  readonly #metrics = element('div', { class: 'jx-metrics' });
  readonly #store = new SeriesStore();
  readonly #counts = new Map<string, number>();
  #chart: Chart | null = null;
  #isOpen: boolean | null = null;
  #asking = false;
  #origin: number;

  /**
   * @param training Any state of it.
   * @param lead What the line begins with.
   */
  constructor(training: DebugTraining, context: TrainingsContext, ...lead: HTMLElement[]) {
    this.#context = context;
    this.#origin = training.created_at;
    context.signal.addEventListener('abort', () => this.#ended.abort(), { signal: this.#ended.signal });
    const { signal } = this.#ended;
    this.#chip.append(element('span', { class: 'jx-dot' }), this.#chipText);
    this.#cancel = button(
      {
        class: 'jx-button jx-danger',
        text: 'Cancel',
        title: 'A flag, then an interrupt; the session and its models live on',
      },
      () => void this.#stop(training.id),
      signal
    );
    this.#open = button(
      { class: 'jx-link' },
      () => {
        this.#isOpen = !this.#isOpen;
        context.requestDraw();
      },
      signal
    );
    const line = element(
      'div',
      { class: 'jx-session-line' },
      ...lead,
      this.#chip,
      element('code', {
        class: 'jx-session-id',
        text: training.model_id,
        title: `training ${training.id} of model ${training.model_id}`,
      }),
      this.#text,
      element('span', { class: 'jx-spacer' }),
      this.#open,
      this.#cancel
    );
    setHidden(this.#hint, true);
    this.node = element('div', { class: 'jx-session-item' }, line, this.#hint, this.#track, this.#metrics);
  }

  /**
   * Draw it as it is now.
   *
   * @param newest Whether its curves are shown until somebody hides them.
   * @param feed Points are asked for while the engine answers; canceled is what runs.
   */
  draw(training: DebugTraining, newest: boolean, now_s: number, feed: SessionFeedState): void {
    const live = feed === 'live';
    const chip = trainingChip(training);
    this.#chip.dataset.status = chip.status;
    setText(this.#chipText, chip.text);
    setText(this.#text, trainingText(training, now_s));
    this.#text.title = String(training.fail?.message ?? '');
    const running = training.state === 'running';
    setHidden(this.#cancel, !running);
    this.#cancel.disabled = !live || training.cancel_stage !== null;
    setHidden(this.#track, !running);
    this.#track.classList.toggle('jx-bar-unknown', training.progress <= 0);
    this.#bar.style.width =
      training.progress > 0 ? `${Math.min(100, 100 * training.progress).toFixed(1)}%` : '';
    const open = (this.#isOpen ?? newest) && training.metrics.length > 0;
    setHidden(this.#open, training.metrics.length === 0);
    setText(this.#open, open ? 'Hide curves' : 'Curves');
    setHidden(this.#metrics, !open);
    if (!open) {
      return;
    }
    this.#isOpen ??= newest;
    this.#chart ??= this.#makeChart();
    this.#chart.draw({
      store: this.#store,
      originOf: () => this.#origin,
      marks: [],
      emptyText: running ? 'No points yet' : 'No metrics',
    });
    if (live || feed === 'ended') {
      void this.#ask(training);
    }
  }

  end(): void {
    this.#ended.abort();
    this.node.remove();
  }

  async #ask(training: DebugTraining): Promise<void> {
    const wanted = new Map(
      training.metrics
        .filter(({ name, amount }) => amount > (this.#counts.get(name) ?? 0))
        .map(({ name }) => [name, this.#counts.get(name) ?? 0])
    );
    if (this.#asking || wanted.size === 0) {
      return;
    }
    this.#asking = true;
    try {
      for (const points of await this.#context.client.points(training.id, wanted)) {
        const had = this.#counts.get(points.name);
        const count = Math.min(points.times.length, points.values.length);
        if (had === undefined) {
          this.#counts.set(points.name, 0);
          this.#store.announce([{ index: this.#counts.size - 1, key: points.name, rank: '0' }]);
        }
        this.#counts.set(points.name, (had ?? 0) + (count || points.times.length));
        const index = [...this.#counts.keys()].indexOf(points.name);
        const steps = points.steps.every(Number.isFinite)
          ? points.steps
          : points.times.map((_time, i) => (had ?? 0) + i);
        this.#store.append({ index, steps, values: points.values, times: points.times });
      }
      this.#context.requestDraw();
    } catch {
      // The session tells in its state when it is gone; the next change asks again.
    } finally {
      this.#asking = false;
    }
  }

  async #stop(trainingId: string): Promise<void> {
    this.#cancel.disabled = true;
    let hint: string | null;
    try {
      hint = await this.#context.client.cancelTraining(trainingId);
    } catch (error) {
      hint = messageOf(error);
    }
    setText(this.#hint, hint ?? '');
    setHidden(this.#hint, hint === null);
  }

  #makeChart(): Chart {
    const chart = new Chart({
      scope: 'training',
      requestDraw: () => this.#context.requestDraw(),
      onZoom: () => undefined,
      onTheme: dark => this.#context.onTheme(dark),
      name: () => 'debug-training',
      ids: () => [],
      signal: this.#ended.signal,
    });
    this.#metrics.append(chart.toolbar.node, chart.node);
    return chart;
  }
}
