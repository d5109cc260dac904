// Pages of trainings that several tables of a page show: the same question is asked once for all of them, and again only
// when the list has changed.

import { ListsFeed } from '../lists/lists_feed';
import type { Transport } from '../transport/transport';
import { ListClient, type ListPage, type ListQuery } from './list_client';

interface Asked {
  version: number;
  at_ms: number;
  answer: Promise<ListPage>;
}

/** Questions that are remembered; the oldest is forgotten first. */
const MAX_ASKED = 50;

const shared = new WeakMap<Transport, SharedPages>();

export class SharedPages {
  readonly #lists: ListsFeed;
  readonly #client: ListClient;
  readonly #asked = new Map<string, Asked>();

  constructor(lists: ListsFeed, client: ListClient) {
    this.#lists = lists;
    this.#client = client;
  }

  /** Return the one of a transport. */
  static of(transport: Transport): SharedPages {
    let pages = shared.get(transport);
    if (!pages) {
      pages = new SharedPages(ListsFeed.of(transport), new ListClient(transport));
      shared.set(transport, pages);
    }
    return pages;
  }

  /**
   * Return a page, the same object to everybody who asks the same while the list has not changed.
   *
   * @param maxAge_ms An older answer is not taken; 0 where somebody has just changed something.
   */
  page(query: ListQuery, maxAge_ms: number): Promise<ListPage> {
    const key = JSON.stringify(query);
    const { version } = this.#lists.data;
    const known = this.#asked.get(key);
    const now_ms = Date.now();
    if (
      known &&
      this.#lists.state === 'live' &&
      known.version === version &&
      now_ms - known.at_ms < maxAge_ms
    ) {
      return known.answer;
    }
    const answer = this.#client.page(query);
    this.#asked.delete(key);
    this.#asked.set(key, { version, at_ms: now_ms, answer });
    answer.catch(() => this.#asked.get(key)?.answer === answer && this.#asked.delete(key));
    for (const oldest of [...this.#asked.keys()].slice(0, -MAX_ASKED)) {
      this.#asked.delete(oldest);
    }
    return answer;
  }
}
