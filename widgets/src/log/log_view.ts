// The log's tail. It follows the end unless the reader has scrolled up.

import { button, element, setHidden, setText } from '../core/dom';
import { messageOf } from '../core/errors';
import { formatBytes } from '../core/format';
import { renderAnsi } from './ansi';
import type { LogText } from './log_text';

/** Nearer to the end than this counts as being at the end. */
const NEAR_END_PX = 24;
/** A finished log of no more lines is as high as they are. */
const SHORT_LINES = 8;

export class LogView {
  readonly node: HTMLElement;
  readonly #rows = element('div', { class: 'jx-log-rows' });
  readonly #scroller: HTMLElement;
  readonly #earlier: HTMLButtonElement;
  readonly #toEnd: HTMLButtonElement;
  readonly #empty = element('div', { class: 'jx-log-empty', text: 'No output yet.' });
  #epoch = -1;
  #dropped = 0;
  #following = true;
  /** Height of the rows before earlier ones were put above them. */
  #heightBefore: number | null = null;

  /**
   * @param loadEarlier Fetches earlier lines into the log; rejects with what went wrong.
   * @param signal Ends its listeners.
   */
  constructor(loadEarlier: () => Promise<void>, signal: AbortSignal) {
    this.#scroller = element(
      'div',
      { class: 'jx-log', attrs: { role: 'log', 'aria-label': 'Log', tabindex: '0', 'aria-live': 'off' } },
      this.#empty,
      this.#rows
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
        element('span', { class: 'jx-spacer' }),
        this.#toEnd
      ),
      this.#scroller
    );
  }

  /**
   * @param unavailable The log cannot be had, so that an empty one says nothing.
   * @param short Whether one of a few lines is only as high as they are, although lines may come.
   */
  draw(log: LogText, ended: boolean, unavailable: boolean, short = ended || unavailable): void {
    setHidden(this.#empty, log.lines.length > 0);
    setText(
      this.#empty,
      unavailable ? 'The log could not be loaded.' : ended ? 'No output.' : 'No output yet.'
    );
    this.#scroller.classList.toggle('jx-log-short', short && log.lines.length <= SHORT_LINES);
    setHidden(this.#earlier, log.firstOffset === 0);
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
  }

  #follow(): void {
    this.#following = true;
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }
}

function row(text: string): HTMLElement {
  return element('div', { class: 'jx-log-row' }, text === '' ? '\u200b' : renderAnsi(text));
}
