// Which news share a notification: a loop that starts fifty trainings is told of in one, not in fifty. Pure; knows no page.

import type { News } from './news';

/** What comes so soon after the last of its kind is told with it. */
export const JOINED_WITHIN_MS = 10_000;

/** News that are told together. */
export interface Group {
  /** In the order in which they came; never empty. */
  news: News[];
  /** The notification that tells them, once there is one. */
  notification: string | null;
}

export class Groups {
  readonly #last = new Map<string, { group: Group; at: number }>();
  readonly #isShown: (notification: string) => boolean;
  readonly #now: () => number;

  /** @param isShown Whether a notification has not been closed yet. */
  constructor(isShown: (notification: string) => boolean, now: () => number = Date.now) {
    this.#isShown = isShown;
    this.#now = now;
  }

  /** Return the group that news belong to, with them as the last. */
  add(news: News): Group {
    // What an alert says is its own training's; ends are alike
    const key = news.what === 'alert' ? `alert of ${news.id}` : news.what;
    const last = this.#last.get(key);
    const at = this.#now();
    const shown = last?.group.notification ?? null;
    const isJoined = last && shown !== null && at - last.at < JOINED_WITHIN_MS && this.#isShown(shown);
    const group = isJoined ? last.group : { news: [], notification: null };
    group.news.push(news);
    this.#last.set(key, { group, at });
    return group;
  }
}

/** Return the newest names, and how many there are besides. */
export function newestNames(news: News[], max = 3): { names: string; numMore: number } {
  const names = [...new Set(news.map(({ name }) => name).reverse())];
  return { names: names.slice(0, max).join(', '), numMore: Math.max(0, names.length - max) };
}
