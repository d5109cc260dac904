// The log: its tail, which it follows unless the reader has scrolled up, and above it all that came before. Clicking a line tells the
// page its second, and a second that the page tells, such as of a point of a chart, is shown here.

import { button, element, setHidden, setText } from '../core/dom';
import { messageOf } from '../core/errors';
import { formatBytes } from '../core/format';
import { onSeek, tellSeek } from '../core/seek';
import type { Transport } from '../transport/transport';
import { renderAnsi } from './ansi';
import { LogClient } from './log_client';
import { center, LogHistory } from './log_history';
import { LogSearch } from './log_search';
import type { LogText } from './log_text';

/** Nearer to the end than this counts as being at the end. */
const NEAR_END_PX = 24;
/** A finished log of no more lines is as high as they are. */
const SHORT_LINES = 8;
const ROW_PX = 18;
/** Where the size and the wrapping that somebody chose are kept. */
const STORED = 'jupyter-ext:log';
const COPIED_BYTES = 4 << 20;
const DOWNLOADED_BYTES = 256 << 20;
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
    this.#scroller = element(
      'div',
      { class: 'jx-log', attrs: { role: 'log', 'aria-label': 'Log', tabindex: '0', 'aria-live': 'off' } },
      this.#empty,
      this.#rows
    );
    this.#history = this.#client && new LogHistory(this.#client, this.#scroller, ROW_PX, signal);
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
        ...(this.#client ? this.#tools(this.#client) : [])
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
    if (log.epoch !== this.#epoch) {
      this.#epoch = log.epoch;
      this.#rows.replaceChildren(...log.lines.map(line => row(line.text)));
    } else {
      const gone = log.dropped - this.#dropped;
      for (let i = Math.min(gone, this.#rows.childElementCount); i > 0; i--) {
        this.#rows.firstElementChild?.remove();
      }
      this.#update(log, changedFrom);
    }
    this.#dropped = log.dropped;
    this.#resizeHistory(log);
    if (this.#heightBefore !== null) {
      this.#showSeam(this.#heightBefore);
      this.#heightBefore = null;
    } else if (this.#following) {
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
      const made = row(log.lines[i].text);
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
      const row = this.#rows.children[Math.max(0, (after < 0 ? lines.length : after) - 1)];
      row?.classList.add('jx-log-marked');
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
    const stored = load();
    if (stored.height) {
      this.#scroller.style.height = `${stored.height}px`;
    }
    const observer = new ResizeObserver(() => {
      // Only a size that was dragged is an own style.
      const height = Number.parseInt(this.#scroller.style.height, 10);
      if (height > 0 && height !== load().height) {
        save({ height });
      }
      this.#drawTicks();
    });
    observer.observe(this.#scroller);
    signal.addEventListener('abort', () => observer.disconnect());
  }

  // A line that is clicked, not selected in, tells its second.
  async #clicked(event: MouseEvent, client: LogClient): Promise<void> {
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

  #tools(client: LogClient): HTMLElement[] {
    const wrap = button(
      { class: 'jx-link', text: 'Wrap', attrs: { 'aria-pressed': 'true' }, title: 'Wrap long lines' },
      () => setWrapped(this.#scroller.classList.contains('jx-log-nowrap')),
      this.#signal
    );
    const setWrapped = (wrapped: boolean) => {
      this.#scroller.classList.toggle('jx-log-nowrap', !wrapped);
      wrap.setAttribute('aria-pressed', String(wrapped));
      this.#history?.rewrap();
      save({ wrapped });
    };
    if (load().wrapped === false) {
      setWrapped(false);
    }
    const copy = button(
      { class: 'jx-link', text: 'Copy', title: 'Copy the log, its last 4 MiB at most' },
      () => {
        client
          .text(COPIED_BYTES)
          .then(text => navigator.clipboard.writeText(text))
          .then(
            () => flash(copy, 'Copied'),
            () => flash(copy, 'Not copied')
          );
      },
      this.#signal
    );
    const download = button(
      { class: 'jx-link', text: 'Download' },
      () => {
        client.text(DOWNLOADED_BYTES).then(
          text => saveFile(`${client.trainingId}.log`, text),
          () => flash(download, 'Failed')
        );
      },
      this.#signal
    );
    return [wrap, copy, download];
  }

  #drawTicks(): void {
    this.#search?.drawTicks((this.#history?.numLines ?? 0) + (this.#log?.lines.length ?? 0));
  }
}

interface Stored {
  height?: number;
  wrapped?: boolean;
}

function load(): Stored {
  try {
    return JSON.parse(localStorage.getItem(STORED) ?? '{}') as Stored;
  } catch {
    return {};
  }
}

function save(change: Stored): void {
  try {
    localStorage.setItem(STORED, JSON.stringify({ ...load(), ...change }));
  } catch {
    // a page without storage keeps nothing
  }
}

function flash(target: HTMLElement, text: string): void {
  const before = target.textContent ?? '';
  setText(target, text);
  setTimeout(() => setText(target, before), 1_500);
}

function saveFile(name: string, text: string): void {
  const link = element('a', { attrs: { download: name } });
  link.href = URL.createObjectURL(new Blob([text], { type: 'text/plain' }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1_000);
}

function row(text: string): HTMLElement {
  return element('div', { class: 'jx-log-row' }, text === '' ? '\u200b' : renderAnsi(text));
}
