// One training of a debug session, as the output of the call that began it: its curves while it runs and
// after. What else is in the session, its own view shows.

import { CHART_STYLES } from '../chart/styles';
import { element, setHidden, setText } from '../core/dom';
import { DrawScheduler } from '../core/draw_scheduler';
import { addStyles } from '../core/styles';
import type { DebugTraining } from '../wire';
import { trainingNoticesOf } from './labels';
import { SessionClient } from './session_client';
import { SessionFeed } from './session_feed';
import type { SessionOptions } from './session_view';
import { SESSION_STYLES } from './styles';
import { TrainingRow } from './training_row';

/** What a host provides. */
export interface SingleTrainingOptions extends SessionOptions {
  trainingId: string;
}

/** A clock ticks while it runs. */
const TICK_MS = 1000;

/** Draw a training of a session until `options.signal` aborts. */
export function mountSingleTraining(options: SingleTrainingOptions): void {
  new SingleTrainingView(options);
}

class SingleTrainingView {
  readonly #options: SingleTrainingOptions;
  readonly #client: SessionClient;
  readonly #feed: SessionFeed;
  readonly #scheduler: DrawScheduler;
  readonly #root: HTMLElement;
  readonly #name = element('strong', { class: 'jx-session-of' });
  readonly #messages = element('div', { class: 'jx-messages' });
  #row: TrainingRow | null = null;
  #known: DebugTraining | null = null;

  constructor(options: SingleTrainingOptions) {
    const { element: place, transport, sessionId, snapshot, signal } = options;
    this.#options = options;
    this.#client = new SessionClient(transport, sessionId);
    this.#feed = new SessionFeed(this.#client, snapshot, () => this.#scheduler?.request());
    this.#root = element(
      'section',
      {
        class: 'jx-panel jx-session jx-session-one',
        attrs: { role: 'region', 'aria-label': 'Training of a debug session' },
      },
      this.#messages
    );
    place.replaceChildren(this.#root);
    addStyles(this.#root, CHART_STYLES, SESSION_STYLES);
    this.#scheduler = new DrawScheduler(
      this.#root,
      () => this.#draw(),
      inSight => (inSight ? this.#feed.start() : this.#feed.pause()),
      signal
    );
    const tick = setInterval(() => {
      if (this.#scheduler.inSight && this.#feed.state === 'live' && this.#known?.state === 'running') {
        this.#scheduler.request();
      }
    }, TICK_MS);
    signal.addEventListener('abort', () => {
      clearInterval(tick);
      this.#feed.pause();
      this.#root.remove();
    });
    this.#scheduler.request();
  }

  #draw(): void {
    const { session, state, reason } = this.#feed;
    const found = session?.trainings.find(({ id }) => id === this.#options.trainingId);
    this.#known = found ?? this.#known;
    const lines = trainingNoticesOf(session, found ?? null, state === 'gone' ? reason : '');
    const key = JSON.stringify(lines);
    if (this.#messages.dataset.key !== key) {
      this.#messages.dataset.key = key;
      this.#messages.replaceChildren(
        ...lines.map(({ tone, text }) =>
          element('div', { class: 'jx-message', text, attrs: { 'data-tone': tone } })
        )
      );
    }
    setHidden(this.#messages, lines.length === 0);
    if (session === null || this.#known === null) {
      return;
    }
    const model = session.models.find(({ id }) => id === this.#known?.model_id);
    setText(this.#name, model ? `${session.name} · ${model.type}` : session.name);
    this.#name.title = `session ${session.id}\ntraining ${this.#known.id} of model ${this.#known.model_id}`;
    if (this.#row === null) {
      const { transport, signal } = this.#options;
      const context = {
        client: this.#client,
        transport,
        requestDraw: () => this.#scheduler.request(),
        onTheme: (dark: boolean) => {
          this.#root.dataset.theme = dark ? 'dark' : 'light';
        },
        signal,
      };
      this.#row = new TrainingRow(this.#known, context, this.#name);
      this.#root.prepend(this.#row.node);
    }
    this.#row.draw(this.#known, true, Date.now() / 1000, state);
  }
}
