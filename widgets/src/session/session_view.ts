// A debug session: what it does now, its models and trainings, where it stopped, and a field to look at
// anything in it.
// The rule: looking never waits for the session's main thread, so it works while a training runs or hangs.

import { CHART_STYLES } from '../chart/styles';
import { button, element, setHidden, setText } from '../core/dom';
import { DrawScheduler } from '../core/draw_scheduler';
import { ERROR_STYLES } from '../core/error_styles';
import { messageOf } from '../core/errors';
import { formatAbout } from '../core/format';
import { addStyles } from '../core/styles';
import { LogView } from '../log/log_view';
import { LOG_STYLES } from '../log/styles';
import type { Transport } from '../transport/transport';
import type { DebugSession } from '../wire';
import { CallsView } from './calls_view';
import { ConsoleView } from './console_view';
import { FailureView } from './failure_view';
import { capturedText, chipOf, noticesOf } from './labels';
import { ModelsList } from './models_list';
import { SessionClient } from './session_client';
import { SessionFeed } from './session_feed';
import { SESSION_STYLES } from './styles';
import { TrainingsView } from './trainings_view';

/** What a host provides. */
export interface SessionOptions {
  element: HTMLElement;
  transport: Transport;
  sessionId: string;
  /** The session as it was when the notebook was saved. */
  snapshot: DebugSession | null;
  /** Ends the view and all it holds. */
  signal: AbortSignal;
}

/** Clocks tick while something runs. */
const TICK_MS = 1000;

/** Draw a session until `options.signal` aborts. */
export function mountSession(options: SessionOptions): void {
  new SessionView(options);
}

class SessionView {
  readonly #client: SessionClient;
  readonly #feed: SessionFeed;
  readonly #scheduler: DrawScheduler;
  readonly #root: HTMLElement;
  readonly #name = element('span', { class: 'jx-name' });
  readonly #chip = element('span', { class: 'jx-chip', attrs: { role: 'status' } });
  readonly #chipText = element('span');
  readonly #facts = element('span', { class: 'jx-session-dim jx-session-facts' });
  readonly #connection = element('span', { class: 'jx-connection', attrs: { role: 'status' } });
  readonly #interrupt: HTMLButtonElement;
  readonly #stack: HTMLButtonElement;
  readonly #end: HTMLButtonElement;
  readonly #confirm: HTMLElement;
  readonly #messages = element('div', { class: 'jx-messages' });
  readonly #stacks = element('pre', { class: 'jx-stacks', attrs: { tabindex: '0', 'aria-label': 'Stacks' } });
  readonly #failure: FailureView;
  readonly #models: ModelsList;
  readonly #calls: CallsView;
  readonly #trainings: TrainingsView;
  readonly #console: ConsoleView;
  readonly #log: LogView;
  #complaint = '';
  #asked = false;

  constructor(options: SessionOptions) {
    const { element: place, transport, sessionId, snapshot, signal } = options;
    const client = new SessionClient(transport, sessionId);
    this.#client = client;
    this.#feed = new SessionFeed(client, snapshot, () => this.#scheduler?.request());
    const requestDraw = () => this.#scheduler.request();
    const ask = (asked: boolean) => {
      this.#asked = asked;
      requestDraw();
    };
    this.#failure = new FailureView(client, signal);
    this.#models = new ModelsList(client, signal);
    this.#calls = new CallsView(client, signal);
    this.#trainings = new TrainingsView({
      client,
      transport,
      requestDraw,
      onTheme: dark => {
        this.#root.dataset.theme = dark ? 'dark' : 'light';
      },
      signal,
    });
    this.#console = new ConsoleView(client, signal);
    this.#log = new LogView(() => Promise.resolve(), signal);
    this.#chip.append(element('span', { class: 'jx-dot' }), this.#chipText);
    this.#interrupt = button(
      {
        class: 'jx-button jx-danger',
        text: 'Interrupt',
        title: 'Interrupt what runs; everything in the session lives on',
      },
      () => void this.#do(() => client.interrupt()),
      signal
    );
    this.#stack = button(
      { class: 'jx-button', text: 'Stacks', title: 'Where each thread stands now' },
      () => void this.#showStacks(),
      signal
    );
    this.#end = button({ class: 'jx-button jx-danger', text: 'Terminate…' }, () => ask(true), signal);
    this.#confirm = element(
      'span',
      { class: 'jx-session-confirm', attrs: { role: 'alertdialog', 'aria-label': 'Terminate?' } },
      element('span', { text: 'End it and lose its models?' }),
      button(
        { class: 'jx-button jx-danger', text: 'Terminate' },
        () => {
          ask(false);
          void this.#do(async () => void (await client.terminate()));
        },
        signal
      ),
      button({ class: 'jx-button', text: 'Keep' }, () => ask(false), signal)
    );
    const title = element(
      'div',
      { class: 'jx-title' },
      this.#name,
      this.#chip,
      this.#facts,
      element('span', { class: 'jx-spacer' }),
      this.#connection,
      this.#interrupt,
      this.#stack,
      this.#end,
      this.#confirm
    );
    this.#root = element(
      'section',
      { class: 'jx-panel jx-session', attrs: { role: 'region', 'aria-label': 'Debug session' } },
      element('header', { class: 'jx-header' }, title),
      this.#messages,
      this.#stacks,
      this.#failure.node,
      this.#trainings.node,
      this.#models.node,
      this.#calls.node,
      this.#console.node,
      this.#log.node
    );
    this.#stacks.hidden = true;
    place.replaceChildren(this.#root);
    addStyles(this.#root, CHART_STYLES, ERROR_STYLES, LOG_STYLES, SESSION_STYLES);
    this.#scheduler = new DrawScheduler(
      this.#root,
      () => this.#draw(),
      inSight => (inSight ? this.#feed.start() : this.#feed.pause()),
      signal
    );
    const tick = setInterval(() => {
      if (this.#scheduler.inSight && this.#feed.state === 'live') {
        this.#scheduler.request();
      }
    }, TICK_MS);
    signal.addEventListener('abort', () => {
      clearInterval(tick);
      this.#feed.pause();
      this.#root.remove();
    });
    this.#draw();
    this.#scheduler.request();
  }

  #draw(): void {
    const { session, state } = this.#feed;
    const live = state === 'live';
    setText(this.#connection, state === 'reconnecting' ? 'reconnecting…' : '');
    this.#connection.title = this.#feed.reason;
    if (session === null) {
      setText(this.#name, 'Debug session');
      setText(this.#chipText, state === 'gone' ? 'not found' : 'connecting');
      this.#say(state === 'gone' ? [{ tone: 'error', text: this.#feed.reason }] : []);
      return;
    }
    const now_s = Date.now() / 1000;
    const chip = chipOf(session, now_s);
    setText(this.#name, session.name);
    this.#name.title = `${session.id}\n${session.python}\n${session.cwd ?? ''}`;
    this.#chip.dataset.status = chip.status;
    setText(this.#chipText, chip.text);
    setText(this.#facts, factsText(session, now_s));
    this.#facts.title = capturedText(session);
    const over = session.status === 'ended' || state === 'gone';
    setHidden(this.#interrupt, over || (session.busy === null && !session.cell_runs));
    setHidden(this.#stack, over);
    setHidden(this.#end, over || this.#asked);
    setHidden(this.#confirm, over || !this.#asked);
    for (const shown of [this.#interrupt, this.#stack, this.#end]) {
      shown.disabled = !live;
    }
    const notices = noticesOf(session, now_s);
    if (state === 'gone') {
      notices.unshift({ tone: 'error', text: this.#feed.reason });
    }
    if (this.#feed.refusal) {
      notices.unshift({ tone: 'warning', text: `${this.#feed.refusal} Trying again.` });
    }
    this.#say(this.#complaint ? [{ tone: 'error', text: this.#complaint }, ...notices] : notices);
    this.#failure.draw(session.failure, over);
    this.#trainings.draw(session, now_s, state);
    this.#models.draw(session, live);
    this.#calls.draw(session, live && !over);
    setHidden(this.#console.node, over);
    this.#console.draw(
      live,
      session.failure && session.failure.num_frames > 0 ? session.failure.selected : null
    );
    this.#log.draw(this.#feed.log, over, state === 'gone', true);
  }

  #say(lines: readonly { tone: string; text: string }[]): void {
    const key = JSON.stringify(lines);
    if (this.#messages.dataset.key !== key) {
      this.#messages.dataset.key = key;
      this.#messages.replaceChildren(
        ...lines.map(({ tone, text }) =>
          element('div', { class: 'jx-message', text, attrs: { 'data-tone': tone } })
        )
      );
    }
  }

  async #do(work: () => Promise<void>): Promise<void> {
    this.#complaint = '';
    try {
      await work();
    } catch (error) {
      this.#complaint = messageOf(error);
    }
    this.#scheduler.request();
  }

  async #showStacks(): Promise<void> {
    if (!this.#stacks.hidden) {
      setHidden(this.#stacks, true);
      return;
    }
    await this.#do(async () => {
      setText(this.#stacks, (await this.#client.stacks()) || 'No thread runs your code.');
      setHidden(this.#stacks, false);
    });
  }
}

function factsText(session: DebugSession, now_s: number): string {
  const parts = [];
  if (session.entry) {
    parts.push(session.entry.name);
  }
  if (session.pid !== null && session.status !== 'ended') {
    parts.push(`pid ${session.pid}`);
  }
  parts.push(`${session.num_calls.toLocaleString('en-US')} ${session.num_calls === 1 ? 'call' : 'calls'}`);
  if (session.status === 'running' && session.expires_at !== null && session.busy === null) {
    parts.push(`ends unused in ${formatAbout(Math.max(0, session.expires_at - now_s))}`);
  }
  return parts.join(' · ');
}
