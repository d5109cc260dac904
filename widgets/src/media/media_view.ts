// Media under the chart: a card for each key, one slider of steps for all, and with several runs one column for each.

import { element, setHidden, setText } from '../core/dom';
import { formatCount } from '../core/format';
import type { Transport } from '../transport/transport';
import type { MediaItem } from '../wire';
import { byKey, type Shot, shotAt, stepsOf } from './by_step';
import { type Counted, distributions, histogram, rangeOf } from './drawings';
import { MediaFeed } from './media_feed';
import { render } from './renderers';

/** One run whose media are shown. */
export interface MediaRun {
  id: string;
  /** Shown above its column; empty where there is one run only. */
  name: string;
}

/** Keys that are drawn at once; the rest come when they are asked for. */
const MAX_CARDS = 24;
const MAX_TOGETHER = 64;

interface Column {
  node: HTMLElement;
  where: HTMLElement;
  body: HTMLElement;
  shown: Shot | null | undefined;
  ended: AbortController | null;
}

interface Card {
  node: HTMLElement;
  columns: Column[];
}

export class MediaView {
  readonly node: HTMLElement;
  readonly #transport: Transport;
  readonly #feeds: MediaFeed[];
  readonly #signal: AbortSignal;
  readonly #requestDraw: () => void;
  readonly #runs: readonly MediaRun[];
  readonly #slider = element('input', {
    attrs: { type: 'range', min: '0', step: '1', 'aria-label': 'Step' },
  });
  readonly #where = element('span', { class: 'jx-media-where' });
  readonly #grid = element('div', { class: 'jx-media-grid' });
  readonly #more = element('button', { class: 'jx-link jx-media-more', attrs: { type: 'button' } });
  readonly #cards = new Map<string, Card>();
  #numCards = MAX_CARDS;
  /** The chosen step; `null` follows the newest. */
  #step: number | null = null;
  #steps: number[] = [];
  #numItems = -1;
  #keys: Map<string, Shot[]>[] = [];
  #dirty = false;

  /**
   * @param runs Whose media; several are shown side by side.
   * @param transport The way to the engine.
   * @param requestDraw Asks to be drawn.
   * @param signal Ends it.
   */
  constructor(runs: readonly MediaRun[], transport: Transport, requestDraw: () => void, signal: AbortSignal) {
    this.#runs = runs;
    this.#transport = transport;
    this.#signal = signal;
    this.#requestDraw = requestDraw;
    this.#feeds = runs.map(run => new MediaFeed(transport, run.id, requestDraw, signal));
    this.#slider.addEventListener('input', () => this.#slid(), { signal });
    this.#more.addEventListener(
      'click',
      () => {
        this.#numCards += MAX_CARDS;
        this.#changed();
      },
      { signal }
    );
    this.node = element(
      'section',
      { class: 'jx-section jx-media', attrs: { 'aria-label': 'Media' } },
      element(
        'div',
        { class: 'jx-section-head' },
        element('span', { class: 'jx-section-title', text: 'Media' }),
        this.#slider,
        this.#where
      ),
      this.#grid,
      this.#more
    );
    this.node.hidden = true;
    this.node.style.setProperty('--jx-media-runs', String(runs.length));
    signal.addEventListener('abort', () => this.#clear());
  }

  /** Show what a run has logged from which the only one goes on; see `MediaFeed.goOnFrom`. */
  goOnFrom(trainingId: string, until: number, count: number): void {
    this.#feeds[0]?.goOnFrom(trainingId, until, count);
  }

  /** @param counts How many items each run has by now. */
  draw(counts: readonly number[]): void {
    for (const [i, feed] of this.#feeds.entries()) {
      feed.want(counts[i] ?? 0);
    }
    const numItems = this.#feeds.reduce((sum, feed) => sum + feed.items.length, 0);
    setHidden(this.node, numItems === 0);
    if (numItems === this.#numItems && !this.#dirty) {
      return;
    }
    if (numItems !== this.#numItems) {
      this.#keys = this.#feeds.map(feed => byKey(feed.items));
      this.#steps = stepsOf(this.#keys);
    }
    this.#numItems = numItems;
    this.#dirty = false;
    if (numItems > 0) {
      this.#drawSlider();
      this.#drawCards();
    }
  }

  get #current(): number {
    return this.#step ?? this.#steps[this.#steps.length - 1];
  }

  #drawSlider(): void {
    const last = this.#steps.length - 1;
    let at = this.#step === null ? last : this.#steps.findIndex(step => step >= (this.#step ?? 0));
    at = at < 0 ? last : at;
    this.#slider.max = String(last);
    this.#slider.value = String(at);
    setHidden(this.#slider, last < 1);
    const step = formatCount(this.#current);
    setText(this.#where, this.#step === null && last > 0 ? `step ${step} (newest)` : `step ${step}`);
    this.#slider.setAttribute('aria-valuetext', `step ${step}`);
  }

  #drawCards(): void {
    const keys = [...new Set(this.#keys.flatMap(found => [...found.keys()]))].sort((a, b) =>
      a.localeCompare(b, 'en', { numeric: true })
    );
    const shown = keys.slice(0, this.#numCards);
    setHidden(this.#more, shown.length === keys.length);
    setText(this.#more, `${keys.length - shown.length} more names`);
    for (const key of shown) {
      let card = this.#cards.get(key);
      if (!card) {
        card = this.#makeCard(key);
        this.#cards.set(key, card);
        const before = keys.slice(keys.indexOf(key) + 1).find(other => this.#cards.has(other));
        this.#grid.insertBefore(card.node, (before && this.#cards.get(before)?.node) || null);
      }
      for (const [i, column] of card.columns.entries()) {
        this.#drawColumn(column, this.#keys[i]?.get(key) ?? [], i);
      }
    }
  }

  #makeCard(key: string): Card {
    const columns = this.#runs.map(({ name }) => {
      const where = element('span', { class: 'jx-media-step' });
      const body = element('div', { class: 'jx-media-body' });
      const head = element('div', { class: 'jx-media-run' }, element('span', { text: name }), where);
      const node = element('div', { class: 'jx-media-column' }, head, body);
      return { node, where, body, shown: undefined, ended: null };
    });
    const title = element('button', {
      class: 'jx-media-key',
      text: key,
      title: 'Make it larger or smaller',
      attrs: { type: 'button', 'aria-expanded': 'false' },
    });
    const node = element(
      'article',
      { class: 'jx-media-card', attrs: { 'aria-label': key } },
      title,
      element('div', { class: 'jx-media-columns' }, ...columns.map(column => column.node))
    );
    title.addEventListener(
      'click',
      () => title.setAttribute('aria-expanded', String(node.classList.toggle('jx-media-wide'))),
      { signal: this.#signal }
    );
    return { node, columns };
  }

  #drawColumn(column: Column, shots: readonly Shot[], run: number): void {
    const shot = shotAt(shots, this.#current);
    const isHistogram = shots[0]?.items[0].kind === 'histogram';
    if (column.shown === shot || (column.shown && shot && sameShot(column.shown, shot) && !isHistogram)) {
      return;
    }
    column.ended?.abort();
    column.ended = new AbortController();
    column.shown = shot;
    setText(column.where, shot ? `step ${formatCount(shot.step)}` : '');
    if (!shot) {
      const text = shots.length > 0 ? `The first is at step ${formatCount(shots[0].step)}.` : 'None.';
      column.body.replaceChildren(element('div', { class: 'jx-media-none', text }));
      return;
    }
    // The height stays until what comes is there, so that nothing jumps while the slider moves.
    column.body.style.minHeight = `${column.body.offsetHeight}px`;
    const feed = this.#feeds[run];
    const source = { feed, transport: this.#transport, signal: column.ended.signal };
    if (isHistogram) {
      void this.#drawHistograms(column, shots, shot, feed);
    } else {
      column.body.replaceChildren(...shot.items.slice(0, MAX_TOGETHER).map(item => render(item, source)));
    }
    const release = () => {
      column.body.style.minHeight = '';
    };
    setTimeout(release, 600);
  }

  async #drawHistograms(column: Column, shots: readonly Shot[], shot: Shot, feed: MediaFeed): Promise<void> {
    const found = new Map<Shot, Counted>();
    for (const each of shots) {
      const item = each.items[0];
      if (item.data !== null || each === shot) {
        found.set(each, await feed.json<Counted>(item));
      }
    }
    const counted = found.get(shot);
    if (column.shown !== shot || !counted) {
      return;
    }
    const parts = [histogram(counted, rangeOf(found)), ...facts(shot.items[0])];
    column.body.replaceChildren(...parts, ...(shots.length > 1 ? [distributions(shots, found, shot)] : []));
  }

  #slid(): void {
    const at = Number(this.#slider.value);
    this.#step = at >= this.#steps.length - 1 ? null : this.#steps[at];
    this.#changed();
  }

  #changed(): void {
    this.#dirty = true;
    this.#requestDraw();
  }

  #clear(): void {
    for (const card of this.#cards.values()) {
      for (const column of card.columns) {
        column.ended?.abort();
      }
    }
    this.#cards.clear();
    this.#grid.replaceChildren();
  }
}

function facts(item: MediaItem): HTMLElement[] {
  const { mean, std, nonfinite } = item.facts as { mean?: number; std?: number; nonfinite?: number };
  const parts = [
    mean === undefined ? '' : `mean ${short(mean)}`,
    std === undefined ? '' : `std ${short(std)}`,
    nonfinite ? `${formatCount(nonfinite)} NaN or infinite` : '',
    item.caption ?? '',
  ].filter(Boolean);
  return parts.length > 0 ? [element('div', { class: 'jx-media-caption', text: parts.join(' · ') })] : [];
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}

function sameShot(one: Shot, other: Shot): boolean {
  return (
    one.step === other.step &&
    one.items.length === other.items.length &&
    one.items.every((item, i) => item.file === other.items[i].file && item.data === other.items[i].data)
  );
}
