// The comparison of trainings outside of the table of runs: fetched by their ids, and again while one of them runs.

import { CHART_STYLES } from '../chart/styles';
import { element, setHidden, setText } from '../core/dom';
import { DrawScheduler } from '../core/draw_scheduler';
import { messageOf } from '../core/errors';
import { addStyles } from '../core/styles';
import { MEDIA_STYLES } from '../media/styles';
import { isEnded } from '../training/labels';
import { TrainingClient } from '../training/training_client';
import type { Transport } from '../transport/transport';
import type { Training } from '../wire';
import { Compare } from './compare';
import { RUNS_STYLES } from './styles';

/** What a host provides. */
export interface CompareOptions {
  element: HTMLElement;
  transport: Transport;
  ids: readonly string[];
  /** Only these metrics; `null` for all. */
  metrics?: readonly string[] | null;
  /** Ends the view and all it holds. */
  signal: AbortSignal;
}

const REFRESH_MS = 2_000;

/** Draw a comparison until `options.signal` aborts. */
export function mountCompare(options: CompareOptions): void {
  const { element: place, transport, ids, metrics = null, signal } = options;
  const note = element('div', { class: 'jx-runs-note', text: 'Loading…', attrs: { role: 'status' } });
  const compare = new Compare(transport, () => scheduler.request(), signal, metrics);
  const root = element(
    'section',
    { class: 'jx-panel jx-runs', attrs: { role: 'region', 'aria-label': 'Comparison of trainings' } },
    note,
    compare.node
  );
  place.replaceChildren(root);
  addStyles(root, CHART_STYLES, MEDIA_STYLES, RUNS_STYLES);
  let trainings: Training[] = [];
  let asking = false;
  const scheduler: DrawScheduler = new DrawScheduler(
    root,
    () => compare.draw(),
    inSight => inSight && void refresh(),
    signal
  );
  const refresh = async () => {
    const isOver = trainings.length > 0 && trainings.every(({ status }) => isEnded(status));
    if (asking || isOver || !scheduler.inSight) {
      return;
    }
    asking = true;
    const isFirst = trainings.length === 0;
    try {
      trainings = await Promise.all(ids.map(id => new TrainingClient(transport, id).training()));
      if (signal.aborted) {
        return;
      }
      setHidden(note, true);
      if (isFirst) {
        compare.show(trainings);
      } else {
        compare.refresh(trainings);
      }
    } catch (error) {
      setHidden(note, false);
      setText(note, `Not live: ${messageOf(error)}`);
    } finally {
      asking = false;
    }
  };
  const ticker = setInterval(() => void refresh(), REFRESH_MS);
  signal.addEventListener('abort', () => {
    clearInterval(ticker);
    root.remove();
  });
}
