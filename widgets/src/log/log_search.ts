// Search through the whole log: the field, what was found, and marks of it beside the scroll bar.

import { button, element, setHidden, setText } from '../core/dom';
import { formatCount } from '../core/format';
import type { OpenStream } from '../transport/transport';
import type { Hit, LogClient, LogQuery, SearchNews } from './log_client';

const DELAY_MS = 200;
const LISTED = 500;
const LEVELS: readonly [string, string][] = [
  ['', 'any level'],
  ['error', 'errors'],
  ['warning', 'warnings'],
  ['info', 'info'],
  ['debug', 'debug'],
];

const STREAMS: readonly [string, string][] = [
  ['', 'all output'],
  ['stdout', 'stdout'],
  ['stderr', 'stderr'],
];

export class LogSearch {
  /** The field and its buttons. */
  readonly node: HTMLElement;
  /** What was found, as a list. */
  readonly list = element('div', { class: 'jx-log jx-log-hits', attrs: { 'aria-label': 'Lines found' } });
  /** Marks beside the scroll bar. */
  readonly ticks = element('canvas', { class: 'jx-log-ticks', attrs: { 'aria-hidden': 'true' } });
  readonly #client: LogClient;
  readonly #onHit: (hit: Hit) => void;
  readonly #onClear: () => void;
  readonly #signal: AbortSignal;
  readonly #field = element('input', {
    class: 'jx-log-field',
    attrs: {
      type: 'search',
      placeholder: 'Search the log',
      'aria-label': 'Search the log',
      spellcheck: 'false',
    },
  });
  readonly #level = choice('Level', LEVELS);
  readonly #of = choice('Stream', STREAMS);
  readonly #rank = choice('Rank', []);
  readonly #regex: HTMLButtonElement;
  readonly #case: HTMLButtonElement;
  readonly #only: HTMLButtonElement;
  readonly #found = element('span', { class: 'jx-log-found', attrs: { role: 'status' } });
  readonly #move: HTMLElement;
  #hits: Hit[] = [];
  #total = 0;
  #at = -1;
  #stream: OpenStream | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param client Searches.
   * @param onHit Called with the hit to show.
   * @param onClear Called when nothing is searched for any more.
   * @param signal Ends it.
   */
  constructor(client: LogClient, onHit: (hit: Hit) => void, onClear: () => void, signal: AbortSignal) {
    this.#client = client;
    this.#onHit = onHit;
    this.#onClear = onClear;
    this.#signal = signal;
    this.#rank.hidden = true;
    const toggle = (text: string, title: string) =>
      button(
        { class: 'jx-log-toggle', text, title, attrs: { 'aria-pressed': 'false', 'aria-label': title } },
        () => undefined,
        signal
      );
    this.#regex = toggle('.*', 'Regular expression');
    this.#case = toggle('Aa', 'Match case');
    this.#only = toggle('List', 'List the lines that were found');
    for (const each of [this.#regex, this.#case]) {
      each.addEventListener('click', () => this.#pressed(each), { signal });
    }
    this.#only.addEventListener('click', () => this.#showOnly(), { signal });
    this.#move = element(
      'span',
      { class: 'jx-log-move' },
      button(
        { class: 'jx-log-toggle', text: '↑', attrs: { 'aria-label': 'Previous' } },
        () => this.#step(-1),
        signal
      ),
      button(
        { class: 'jx-log-toggle', text: '↓', attrs: { 'aria-label': 'Next' } },
        () => this.#step(1),
        signal
      ),
      this.#only
    );
    this.node = element(
      'div',
      { class: 'jx-log-search', attrs: { role: 'search' } },
      this.#field,
      this.#regex,
      this.#case,
      this.#level,
      this.#of,
      this.#rank,
      this.#found,
      this.#move
    );
    this.#move.hidden = true;
    this.list.hidden = true;
    this.#field.addEventListener('input', () => this.#soon(), { signal });
    for (const each of [this.#level, this.#of, this.#rank]) {
      each.addEventListener('change', () => this.#search(), { signal });
    }
    this.#field.addEventListener('keydown', event => this.#key(event), { signal });
    this.list.addEventListener('click', event => this.#clicked(event), { signal });
    signal.addEventListener('abort', () => {
      clearTimeout(this.#timer);
      this.#stream?.close();
    });
  }

  focus(): void {
    this.#field.focus();
    this.#field.select();
  }

  /** Say how many ranks have printed into the log. */
  setRanks(count: number): void {
    setHidden(this.#rank, count <= 1);
    if (count > 1 && this.#rank.options.length !== count + 1) {
      const ranks = Array.from({ length: count }, (_, i) => [String(i), `rank ${i}`] as const);
      this.#rank.replaceChildren(...optionsOf([['', 'all ranks'], ...ranks]));
    }
  }

  /** Draw marks of what was found; `numLines` are all lines of the log. */
  drawTicks(numLines: number): void {
    const height = this.ticks.clientHeight;
    setHidden(this.ticks, this.#hits.length === 0);
    if (this.#hits.length === 0 || height === 0 || numLines === 0) {
      return;
    }
    this.ticks.width = 6;
    this.ticks.height = height;
    const context = this.ticks.getContext('2d');
    if (context) {
      context.fillStyle = getComputedStyle(this.ticks).color;
      for (const [line] of this.#hits) {
        context.fillRect(0, Math.min(height - 2, Math.floor((line / numLines) * height)), 6, 2);
      }
    }
  }

  #pressed(which: HTMLButtonElement): void {
    which.setAttribute('aria-pressed', String(which.getAttribute('aria-pressed') !== 'true'));
    this.#search();
  }

  #soon(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#search(), DELAY_MS);
  }

  #key(event: KeyboardEvent): void {
    event.stopPropagation();
    if (event.key === 'Enter') {
      event.preventDefault();
      this.#step(event.shiftKey ? -1 : 1);
    } else if (event.key === 'Escape') {
      this.#field.value = '';
      this.#search();
    }
  }

  #search(): void {
    clearTimeout(this.#timer);
    this.#stream?.close();
    this.#stream = null;
    this.#hits = [];
    this.#total = 0;
    this.#at = -1;
    const query: LogQuery = {
      text: this.#field.value,
      regex: this.#regex.getAttribute('aria-pressed') === 'true',
      matchCase: this.#case.getAttribute('aria-pressed') === 'true',
      level: this.#level.value,
      stream: this.#of.value,
      rank: this.#rank.value,
    };
    const filters = Boolean(query.level || query.stream || query.rank);
    if (filters && !query.text) {
      this.#only.setAttribute('aria-pressed', 'true'); // lines of a kind are read, not stepped through
    }
    if ((query.text || filters) && !this.#signal.aborted) {
      this.#stream = this.#client.search(query, news => this.#news(news));
      setText(this.#found, 'searching…');
    } else {
      setText(this.#found, '');
      this.#only.setAttribute('aria-pressed', 'false');
    }
    this.#changed();
  }

  #news(news: SearchNews): void {
    if (this.#signal.aborted) {
      return;
    }
    if (news.kind === 'problem') {
      setText(this.#found, news.detail ?? 'It could not be searched.');
      return;
    }
    this.#hits.push(...(news.hits ?? []));
    this.#total = news.total ?? this.#hits.length;
    const share = news.size ? Math.floor((100 * (news.scanned ?? 0)) / news.size) : 100;
    const lines = `${formatCount(this.#total)} ${this.#total === 1 ? 'line' : 'lines'}`;
    setText(
      this.#found,
      news.kind === 'done' ? (this.#total ? lines : 'nothing found') : `${lines} (${share} %)`
    );
    this.#changed();
  }

  #step(by: number): void {
    if (this.#hits.length === 0) {
      return;
    }
    const n = this.#hits.length;
    this.#at = this.#at < 0 ? (by > 0 ? 0 : n - 1) : (this.#at + by + n) % n;
    setText(this.#found, `${formatCount(this.#at + 1)} of ${formatCount(this.#total)}`);
    this.#onHit(this.#hits[this.#at]);
  }

  #showOnly(): void {
    this.#only.setAttribute('aria-pressed', String(this.#only.getAttribute('aria-pressed') !== 'true'));
    this.#changed();
  }

  #changed(): void {
    setHidden(this.#move, this.#hits.length === 0);
    const only = this.#only.getAttribute('aria-pressed') === 'true' && this.#hits.length > 0;
    setHidden(this.list, !only);
    if (only) {
      const rows = this.#hits.slice(0, LISTED).map(([line, , text], i) => {
        const number = element('span', { class: 'jx-log-number', text: formatCount(line + 1) });
        const row = element(
          'button',
          { class: 'jx-bare jx-log-hit', attrs: { type: 'button' } },
          number,
          text
        );
        row.dataset.hit = String(i);
        return row;
      });
      const more = this.#total - rows.length;
      const rest =
        more > 0 ? [element('div', { class: 'jx-log-empty', text: `${formatCount(more)} more` })] : [];
      this.list.replaceChildren(...rows, ...rest);
    }
    this.#onClear();
  }

  #clicked(event: MouseEvent): void {
    const row = (event.target as HTMLElement).closest<HTMLElement>('[data-hit]');
    if (row) {
      this.#at = Number(row.dataset.hit);
      this.#onHit(this.#hits[this.#at]);
    }
  }
}

function choice(label: string, options: readonly (readonly [string, string])[]): HTMLSelectElement {
  return element('select', { attrs: { 'aria-label': label } }, ...optionsOf(options));
}

function optionsOf(options: readonly (readonly [string, string])[]): HTMLOptionElement[] {
  return options.map(([value, text]) => element('option', { text, attrs: { value } }));
}
