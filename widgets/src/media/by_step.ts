// Items by key and step. Pure, so that what a slider shows can be tested without a page.

import type { MediaItem } from '../wire';

/** What one key has at one step: one item, or several that were logged together. */
export interface Shot {
  step: number;
  items: MediaItem[];
}

/** All shots of each key, by step; of a step that was logged twice, the later one. */
export function byKey(items: readonly MediaItem[]): Map<string, Shot[]> {
  const keys = new Map<string, Map<number, MediaItem[]>>();
  for (const item of items) {
    const shots = keys.get(item.key) ?? new Map<number, MediaItem[]>();
    keys.set(item.key, shots);
    const before = shots.get(item.step);
    const last = before?.[before.length - 1];
    if (before && last && last.rank === item.rank && item.index > last.index) {
      before.push(item);
    } else if (before && last && last.rank !== item.rank) {
      before.push(item);
    } else {
      shots.set(item.step, [item]);
    }
  }
  return new Map(
    [...keys].map(([key, shots]) => [
      key,
      [...shots].map(([step, found]) => ({ step, items: found })).sort((a, b) => a.step - b.step),
    ])
  );
}

/** All steps at which anything was logged, ascending. */
export function stepsOf(keys: Iterable<ReadonlyMap<string, Shot[]>>): number[] {
  const steps = new Set<number>();
  for (const key of keys) {
    for (const shots of key.values()) {
      for (const shot of shots) {
        steps.add(shot.step);
      }
    }
  }
  return [...steps].sort((a, b) => a - b);
}

/** The newest shot at or before a step; before the first one, none. */
export function shotAt(shots: readonly Shot[], step: number): Shot | null {
  let low = 0;
  let high = shots.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (shots[middle].step <= step) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low > 0 ? shots[low - 1] : null;
}
