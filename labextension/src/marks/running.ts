// Which cells have started what runs, and how it stands. Pure; knows no page.

import { isEnded } from '../../../widgets/src/training/labels';
import type { Training } from '../../../widgets/src/wire';

/** Return what runs, by the id of the cell that it was started from. */
export function runningByCell(trainings: Iterable<Training>): Map<string, Training[]> {
  const found = new Map<string, Training[]>();
  for (const training of trainings) {
    const cell = training.started_from?.cell;
    if (cell && !isEnded(training.status)) {
      found.set(cell, [...(found.get(cell) ?? []), training]);
    }
  }
  return found;
}

/** Say in one line how what a cell has started stands: `digits: 45 %`. */
export function titleOf(trainings: readonly Training[]): string {
  return trainings
    .map(({ name, progress }) => {
      const fraction = progress?.fraction;
      return typeof fraction === 'number' ? `${name}: ${Math.floor(100 * fraction)} %` : `${name} is running`;
    })
    .join(', ');
}

/** Return the few words of a badge: `45 %`, `2 × running`. */
export function badgeOf(trainings: readonly Training[], running: string): string {
  const fraction = trainings.length === 1 ? trainings[0].progress?.fraction : null;
  if (typeof fraction === 'number') {
    return `${Math.floor(100 * fraction)} %`;
  }
  return trainings.length > 1 ? `${trainings.length} × ${running}` : running;
}

/** The execution count of a cell that a traceback calls `Cell In[5]`; `null` of one with another name. */
export function executionCountOf(label: string): number | null {
  const match = /^Cell In\[(\d+)\]$/.exec(label);
  return match ? Number(match[1]) : null;
}
