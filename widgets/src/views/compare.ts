// Several trainings side by side, as a view of its own; no output carries it.

import { mountCompare } from '../runs/compare_view';
import type { View } from './view';

/** The ids of the trainings, with commas between them. */
interface CompareData {
  id?: string;
}

export const compareView: View = {
  name: 'compare',
  description: 'Draws several trainings side by side.',
  identity: ({ id }: CompareData) => id || null,
  mount: ({ element, transport, signal }, data) => {
    const { id = '' } = data as CompareData;
    mountCompare({ element, transport, ids: id.split(','), signal });
  },
};
