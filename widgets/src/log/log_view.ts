// The log: its tail, which it follows unless the reader has scrolled up, and above it all that came before. Clicking a line tells the
// page its second, and a second that the page tells, such as of a point of a chart, is shown here.

import { button, element, setHidden, setText } from '../core/dom';
import { messageOf } from '../core/errors';
import { formatBytes } from '../core/format';
import { onSeek, tellSeek } from '../core/seek';
import type { Transport } from '../transport/transport';
import { LogClient } from './log_client';
import { center, LogHistory } from './log_history';
import { Folds, logRow, tellFacts } from './log_rows';
import { LogSearch } from './log_search';
import { LogSpans } from './log_spans';
import type { LogLine, LogText } from './log_text';
import { keepHeight, logTools } from './log_tools';

/** Nearer to the end than this counts as being at the end. */
const NEAR_END_PX = 24;
/** A finished log of no more lines is as high as they are. */
const SHORT_LINES = 8;
const ROW_PX = 18;
/** So often it is asked how many lines are above, at most. */
const RESIZE_MS = 1_000;

/** Whose whole log can be asked for. */
export interface WholeLog {
  transport: Transport;
  trainingId: string;
}

export class LogView {
  readonly node: HTMLElement;
  readonly #rows = element('div', { class: 'jx-log-rows' });
  readonly #scroller: HTMLElement;
  readonly #earlier: HTMLButtonElement;
  readonly #toEnd: HTMLButtonElement;
  readonly #empty = element('div', { class: 'jx-log-empty', text: 'No output yet.' });
  readonly #client: LogClient | null;
  readonly #history: LogHistory | null;
  readonly #search: LogSearch | null;
  readonly #spans: LogSpans | null;
  readonly #folds: Folds;
  readonly #runId: string | null;
  readonly #signal: AbortSignal;
  #log: LogText | null = null;
  #resizedAt = 0;
  #resizeTimer: ReturnType<typeof setTimeout> | null = null;
  #resizedTo = -1;
  #epoch = -1;
  #dropped = 0;
  #following = true;
  /** Height of the rows before earlier ones were put above them. */
  #heightBefore: number | null = null;

  /**
   * @param loadEarlier Fetches earlier lines into the log; rejects with what went wrong.
   * @param signal Ends its listeners.
   * @param whole Where the rest of the log is; then it is scrolled to, searched, copied and downloaded.
   */
  constructor(loadEarlier: () => Promise<void>, signal: AbortSignal, whole: WholeLog | null = null) {
    this.#signal = signal;
    this.#client = whole && new LogClient(whole.transport, whole.trainingId);
    this.#runId = whole?.trainingId ?? null;
    this.#folds = new Folds(this.#runId);
    this.#spans = this.#client && new LogSpans(this.#client, from => this.#tellFacts(from), signal);
    this.#scroller = element(
      'div',
      {
        class: 'jx-log jx-log-wrapped',
        attrs: { role: 'log', 'aria-label': 'Log', tabindex: '0', 'aria-live': 'off' },
      },
      this.#empty,
      this.#rows
    );
    this.#history =
      this.#client &&
      new LogHistory(this.#client, this.#scroller, ROW_PX, this.#folds, () => this.#fold(), signal);
    this.#search =
      this.#client &&
      new LogSearch(
        this.#client,
        ([line, offset]) => this.#show(line, offset),
        () => this.#drawTicks(),
        signal
      );
    this.#scroller.addEventListener('scroll', () => this.#scrolled(), { signal, passive: true });
    this.#toEnd = button({ class: 'jx-link', text: 'Jump to end' }, () => this.#follow(), signal);
    this.#earlier = button(
      { class: 'jx-link', text: 'Load earlier' },
      () => void this.#loadEarlier(loadEarlier),
      signal
    );
    this.#toEnd.hidden = true;
    this.#earlier.hidden = true;
    this.node = element(
      'section',
      { class: 'jx-section' },
      element(
        'div',
        { class: 'jx-section-head' },
        element('span', { class: 'jx-section-title', text: 'Log' }),
        this.#earlier,
        ...(this.#search ? [this.#search.node] : []),
        element('span', { class: 'jx-spacer' }),
        this.#toEnd,
        ...(this.#client ? logTools(this.#client, this.#scroller, () => this.#history?.rewrap(), signal) : [])
      ),
      ...(this.#search
        ? [element('div', { class: 'jx-log-frame' }, this.#scroller, this.#search.ticks), this.#search.list]
        : [this.#scroller])
    );
    if (this.#client && this.#history) {
      this.#rows.before(this.#history.node);
      this.#listen(this.#client);
    }
  }

  /**
   * @param unavailable The log cannot be had, so that an empty one says nothing.
   * @param short Whether one of a few lines is only as high as they are, although lines may come.
   */
  draw(log: LogText, ended: boolean, unavailable: boolean, short = ended || unavailable): void {
    this.#log = log;
    setHidden(this.#empty, log.lines.length > 0);
    if (this.#search) {
      setHidden(this.#search.node, log.lines.length === 0 || unavailable);
    }
    setText(
      this.#empty,
      unavailable ? 'The log could not be loaded.' : ended ? 'No output.' : 'No output yet.'
    );
    this.#scroller.classList.toggle('jx-log-short', short && log.lines.length <= SHORT_LINES);
    setHidden(this.#earlier, log.firstOffset === 0 || this.#history !== null);
    this.#earlier.title = log.firstOffset > 0 ? `${formatBytes(log.firstOffset)} of log before this` : '';
    const changedFrom = log.takeChangedFrom();
    const isOther =
      changedFrom < log.lines.length || log.epoch !== this.#epoch || log.dropped !== this.#dropped;
    if (log.epoch !== this.#epoch) {
      this.#epoch = log.epoch;
      this.#rows.replaceChildren(...log.lines.map(line => this.#row(line)));
      this.#fold();
    } else {
      const gone = log.dropped - this.#dropped;
      for (let i = Math.min(gone, this.#rows.childElementCount); i > 0; i--) {
        this.#rows.firstElementChild?.remove();
      }
      this.#update(log, changedFrom);
      if (gone > 0 || changedFrom < log.lines.length) {
        this.#fold();
      }
    }
    this.#spans?.want(log.firstOffset, log.nextOffset);
    this.#dropped = log.dropped;
    this.#resizeHistory(log);
    if (this.#heightBefore !== null) {
      this.#showSeam(this.#heightBefore);
      this.#heightBefore = null;
    } else {
      this.#followIf(isOther || this.#client === null);
    }
  }

  // Asking for the height has the page laid out: only where it may be another.
  #followIf(changed: boolean): void {
    if (this.#following && changed) {
      this.#scroller.scrollTop = this.#scroller.scrollHeight;
    }
  }

  // Show the end of what came above, with the first of the old lines below it.
  #showSeam(heightBefore: number): void {
    const added = this.#scroller.scrollHeight - heightBefore;
    this.#scroller.scrollTop = Math.max(0, added - this.#scroller.clientHeight / 2);
  }

  #update(log: LogText, changedFrom: number): void {
    const from = Math.min(changedFrom, this.#rows.childElementCount);
    const fresh = document.createDocumentFragment();
    for (let i = from; i < log.lines.length; i++) {
      const made = this.#row(log.lines[i]);
      const old = this.#rows.children[i];
      if (old) {
        old.replaceWith(made);
      } else {
        fresh.append(made);
      }
    }
    this.#rows.append(fresh);
    while (this.#rows.childElementCount > log.lines.length) {
      this.#rows.lastElementChild?.remove();
    }
  }

  #row({ text, offset }: LogLine): HTMLElement {
    const row = logRow(text, this.#runId);
    if (this.#spans) {
      tellFacts(row, this.#spans.factsOf(offset));
    }
    return row;
  }

  // More is known of lines from a byte on.
  #tellFacts(from: number): void {
    this.#log?.lines.forEach(({ offset }, i) => {
      const row = this.#rows.children[i] as HTMLElement | undefined;
      if (offset >= from && row && this.#spans) {
        tellFacts(row, this.#spans.factsOf(offset));
      }
    });
  }

  // Fold tracebacks, also those that begin above the lines that are held.
  #fold(): void {
    const lines = this.#log?.lines ?? [];
    const held = { rows: this.#rows.children, lines };
    if (this.#history && this.#log && this.#resizedTo === this.#log.firstOffset) {
      this.#history.fold(held);
    } else {
      this.#history?.fold(null);
      this.#folds.fold([held]);
    }
  }

  /** Say how many ranks have printed into the log. */
  setRanks(count: number): void {
    this.#search?.setRanks(count);
  }

  async #loadEarlier(load: () => Promise<void>): Promise<void> {
    this.#earlier.disabled = true;
    this.#following = false;
    try {
      await load();
      this.#heightBefore = this.#scroller.scrollHeight;
      setText(this.#earlier, 'Load earlier');
    } catch (error) {
      setText(this.#earlier, `Load earlier (failed: ${messageOf(error)})`);
    }
    this.#earlier.disabled = false;
  }

  #scrolled(): void {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    this.#following = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    setHidden(this.#toEnd, this.#following);
    if (!this.#following) {
      this.#history?.draw();
      if (this.#log) {
        this.#resizeHistory(this.#log);
      }
    }
  }

  #follow(): void {
    this.#following = true;
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }

  // Ask how many lines are above; of a log that grows, not with each line.
  #resizeHistory(log: LogText): void {
    const { firstOffset } = log;
    if (!this.#client || !this.#history || firstOffset === this.#resizedTo) {
      return;
    }
    const now = Date.now();
    if (now - this.#resizedAt < RESIZE_MS) {
      this.#resizeLater();
      return;
    }
    this.#resizedAt = now;
    this.#resizedTo = firstOffset;
    if (firstOffset === 0) {
      this.#history.resize(0, this.#following);
      return;
    }
    this.#client.at({ offset: firstOffset }).then(
      place => {
        if (this.#resizedTo === firstOffset && !this.#signal.aborted) {
          this.#history?.resize(place.line, this.#following);
          if (this.#following) {
            this.#scroller.scrollTop = this.#scroller.scrollHeight;
          }
          this.#drawTicks();
        }
      },
      () => {
        this.#resizedTo = -1;
        this.#resizeLater();
      }
    );
  }

  // A log that has ended is not drawn again by itself.
  #resizeLater(): void {
    this.#resizeTimer ??= setTimeout(() => {
      this.#resizeTimer = null;
      if (this.#log && !this.#signal.aborted) {
        this.#resizeHistory(this.#log);
      }
    }, RESIZE_MS);
  }

  // Show a line in the middle, whether it is held or above.
  #show(line: number, offset: number): void {
    this.#unmark();
    const lines = this.#log?.lines ?? [];
    const first = this.#log?.firstOffset ?? 0;
    this.#following = false;
    if (offset < first) {
      this.#history?.show(line);
    } else {
      const after = lines.findIndex(each => each.offset > offset);
      const at = Math.max(0, (after < 0 ? lines.length : after) - 1);
      const row = this.#rows.children[at] as HTMLElement | undefined;
      row?.classList.add('jx-log-marked');
      if (row && this.#folds.open(row)) {
        this.#fold();
      }
      if (row) {
        center(this.#scroller, row);
      }
    }
    setHidden(this.#toEnd, false);
  }

  #unmark(): void {
    this.#history?.unmark();
    for (const row of this.#rows.querySelectorAll('.jx-log-marked')) {
      row.classList.remove('jx-log-marked');
    }
  }

  #listen(client: LogClient): void {
    const signal = this.#signal;
    onSeek(
      'log',
      (runId, time) => {
        if (runId === client.trainingId) {
          client.at({ time }).then(
            place => signal.aborted || this.#show(place.line, place.offset),
            () => undefined
          );
        }
      },
      signal
    );
    this.#scroller.addEventListener('click', event => void this.#clicked(event, client), { signal });
    this.#scroller.addEventListener(
      'keydown',
      event => {
        if (event.key === 'f' && (event.ctrlKey || event.metaKey)) {
          event.preventDefault();
          event.stopPropagation();
          this.#search?.focus();
        }
      },
      { signal }
    );
    signal.addEventListener(
      'abort',
      keepHeight(this.#scroller, () => {
        this.#drawTicks();
        this.#followIf(true);
      })
    );
  }

  // A line that is clicked, not selected in, tells its second.
  async #clicked(event: MouseEvent, client: LogClient): Promise<void> {
    if (this.#folds.toggle(event.target as HTMLElement)) {
      this.#fold();
      return;
    }
    const row = (event.target as HTMLElement).closest<HTMLElement>('.jx-log-row');
    if (!row || !getSelection()?.isCollapsed) {
      return;
    }
    const place = Array.prototype.indexOf.call(this.#rows.children, row);
    const offset = row.dataset.offset ? Number(row.dataset.offset) : this.#log?.lines[place]?.offset;
    if (offset === undefined) {
      return;
    }
    const { time } = await client.at({ offset });
    if (time !== null && !this.#signal.aborted) {
      this.#unmark();
      row.classList.add('jx-log-marked');
      row.title = new Date(1000 * time).toLocaleString();
      tellSeek({ runId: client.trainingId, time, source: 'log' });
    }
  }

  #drawTicks(): void {
    this.#search?.drawTicks((this.#history?.numLines ?? 0) + (this.#log?.lines.length ?? 0));
  }
}
