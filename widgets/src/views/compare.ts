// The output of jx.compare: several trainings side by side.

import { mountCompare } from '../runs/compare_view';
import type { View } from './view';

/** The ids of the trainings, with commas between them. */
interface CompareData {
  id?: string;
  /** Only these. */
  metrics?: readonly string[] | null;
}

export const compareView: View = {
  name: 'compare',
  description: 'Draws the output of jx.compare as a live chart.',
  identity: ({ id, metrics }: CompareData) =>
    typeof id === 'string' && id !== '' ? JSON.stringify([id, metrics ?? null]) : null,
  mount: ({ element, transport, signal }, data) => {
    const { id = '', metrics } = data as CompareData;
    mountCompare({ element, transport, ids: id.split(','), metrics: metrics ?? null, signal });
  },
};
