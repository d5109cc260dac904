// Which cells of a notebook have started what runs, and where a training's cell is. Pure; knows no page.

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

/**
 * Return the contents path of a notebook of the engine's machine, or `null` where it is not below the server's root.
 *
 * @param root The server's root as the page knows it; may begin with `~`.
 * @param path Absolute.
 */
export function contentsPath(root: string, path: string): string | null {
  const trimmed = root.replace(/\/+$/, '');
  if (!trimmed.startsWith('~')) {
    return path.startsWith(`${trimmed}/`) ? path.slice(trimmed.length + 1) : null;
  }
  const below = `${trimmed.slice(1)}/`; // where the home is, only the server knows
  const at = below === '/' ? homeEnd(path) : path.indexOf(below);
  return at < 0 ? null : path.slice(at + below.length);
}

function homeEnd(path: string): number {
  return /^\/(root|(home|Users)\/[^/]+)(?=\/)/.exec(path)?.[0].length ?? -1;
}

/** The execution count of a cell that a traceback calls `Cell In[5]`; `null` of one with another name. */
export function executionCountOf(label: string): number | null {
  const match = /^Cell In\[(\d+)\]$/.exec(label);
  return match ? Number(match[1]) : null;
}
