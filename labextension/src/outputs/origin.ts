// Which notebook an output was made in. Pure; knows no page.

import type { Training } from '../../../widgets/src/wire';

/** The notebook's absolute path, empty where it is not known, and since when. */
export interface Origin {
  notebook: string;
  at_ms: number;
}

/** Return where an output is from: a training's cell, else the notebook that the output was shown in. */
export function originOf(data: unknown): Origin {
  const { training, shown_in } = (data ?? {}) as {
    training?: Training | string | null;
    shown_in?: { notebook?: unknown; at?: unknown } | null;
  };
  if (typeof training === 'object' && training?.started_from) {
    return { notebook: training.started_from.notebook, at_ms: Date.parse(training.created_at) };
  }
  const { notebook, at } = shown_in ?? {};
  return typeof notebook === 'string' && typeof at === 'number'
    ? { notebook, at_ms: 1000 * at }
    : { notebook: '', at_ms: 0 };
}
