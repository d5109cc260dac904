// One page of the list of trainings, kept current: what a row shows comes by the page's one stream, which rows there are
// from the engine's answer, asked for again when the list has other trainings or the order may be another.

import { messageOf } from '../core/errors';
import { type Follower, type ListsChange, ListsFeed } from '../lists/lists_feed';
import { isEnded } from '../training/labels';
import type { Transport } from '../transport/transport';
import type { Training } from '../wire';
import type { ListPage, ListQuery } from './list_client';
import { SharedPages } from './shared_pages';

/** Without the stream the page is asked for this often. */
const POLL_MS = 3_000;
/** An order by what changes while trainings run is looked at again this often. */
const REORDER_MS = 5_000;
const SETTLED_ORDERS = /^-?(created_at|name|id|input:.*)$/;

/** What a page tells of itself. */
export interface LivePageEvents {
  /** Something is to be drawn; `soon` where a person waits for it. */
  onChange(soon: boolean): void;
  /** These were heard of. */
  onHeard(trainings: readonly Training[]): void;
}

export class LivePage {
  readonly #events: LivePageEvents;
  readonly #pages: SharedPages;
  readonly #lists: ListsFeed;
  readonly #follower: Follower;
  readonly #signal: AbortSignal;
  #query: ListQuery;
  #page: ListPage;
  #isLive = false;
  #problem = '';
  #inSight = false;
  #asking = false;
  #lastRequest = 0;
  #askedAt = 0;
  #shownVersion = -1;

  constructor(
    transport: Transport,
    query: ListQuery,
    snapshot: readonly Training[],
    events: LivePageEvents,
    signal: AbortSignal
  ) {
    this.#query = query;
    this.#page = { trainings: [...snapshot], total: snapshot.length, counts: {}, offset: 0 };
    this.#events = events;
    this.#signal = signal;
    this.#pages = SharedPages.of(transport);
    this.#lists = ListsFeed.of(transport);
    this.#follower = this.#lists.follow(['trainings'], change => this.#changed(change), signal);
  }

  get query(): ListQuery {
    return this.#query;
  }

  get page(): ListPage {
    return this.#page;
  }

  /** Whether the page is the engine's own, not one that was saved. */
  get isLive(): boolean {
    return this.#isLive;
  }

  /** Why it is not live; empty while it is. */
  get problem(): string {
    return this.#problem;
  }

  /** Somebody looks, or nobody does. */
  look(inSight: boolean): void {
    this.#inSight = inSight;
    this.#follower.look(inSight ? 'all' : null, inSight);
    if (inSight) {
      void this.#refresh(false);
    }
  }

  /** Ask for another page, or the same again because something was changed; a person waits for it. */
  ask(change: Partial<ListQuery>): void {
    this.#query = { ...this.#query, ...change };
    void this.#refresh(true);
  }

  /** To be called once a second while somebody looks. */
  tick(): void {
    const since = Date.now() - this.#askedAt;
    const { state } = this.#lists;
    if (state === 'live') {
      const isRunning = this.#page.trainings.some(({ status }) => !isEnded(status));
      if (isRunning && !SETTLED_ORDERS.test(this.#query.sort) && since >= REORDER_MS) {
        void this.#refresh(false, REORDER_MS / 2);
      }
    } else if (state !== 'stopped' && since >= POLL_MS) {
      void this.#refresh(false, POLL_MS / 2);
    }
  }

  #changed(change: ListsChange): void {
    if (!this.#inSight) {
      return;
    }
    const { state, data } = this.#lists;
    if (change === null && state !== 'live') {
      this.#askedAt = Date.now();
      if (state === 'stopped') {
        this.#isLive = false;
        this.#problem = this.#lists.reason || 'The engine is not running.';
      }
    }
    if (change?.kind === 'training') {
      const { training } = change;
      const { trainings } = this.#page;
      const at = trainings.findIndex(({ id }) => id === training.id);
      if (at >= 0) {
        this.#page = { ...this.#page, trainings: trainings.with(at, training) };
        this.#events.onHeard([training]);
      }
    }
    if (state === 'live' && this.#shownVersion !== data.version) {
      void this.#refresh(false);
    }
    this.#events.onChange(false);
  }

  // Who merely looks waits for what is asked; what a person asked for is sent at once, and answers to earlier
  // questions are dropped.
  async #refresh(isAwaited: boolean, maxAge_ms = isAwaited ? 0 : Infinity): Promise<void> {
    if ((this.#asking && !isAwaited) || this.#signal.aborted) {
      return;
    }
    const request = ++this.#lastRequest;
    this.#asking = true;
    this.#askedAt = Date.now();
    const { version } = this.#lists.data;
    try {
      const page = await this.#pages.page(this.#query, maxAge_ms);
      if (request !== this.#lastRequest) {
        return;
      }
      this.#page = page;
      this.#shownVersion = version;
      this.#isLive = true;
      this.#problem = '';
      this.#events.onHeard(page.trainings);
    } catch (error) {
      if (request !== this.#lastRequest) {
        return;
      }
      this.#isLive = false;
      this.#problem = messageOf(error);
    }
    this.#asking = false;
    if (this.#lists.state === 'stopped' && this.#isLive) {
      this.#lists.hurry(); // an engine has answered
    }
    if (this.#isLive && this.#lists.state === 'live' && this.#shownVersion !== this.#lists.data.version) {
      void this.#refresh(false);
    }
    this.#events.onChange(isAwaited);
  }
}
