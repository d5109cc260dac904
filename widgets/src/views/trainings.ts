// The output of `%trainings`: the live table of runs.

import { mountRunsTable } from '../runs/runs_table';
import type { Status, Training } from '../wire';
import type { View } from './view';

const PAGE_SIZE = 20;
const MAX_PAGE_SIZE = 100;

/** `{version, status, limit, text, trainings}`: the list as it was when the notebook was saved. */
interface TrainingsData {
  status?: string | null;
  limit?: number;
  text?: string;
  trainings?: Training[];
}

export const trainingsView: View = {
  name: 'trainings',
  description: 'Draws the output of %trainings as a live table.',
  identity: ({ status, limit, text }: TrainingsData) =>
    JSON.stringify([status ?? '', limit ?? PAGE_SIZE, ...(text ? [text] : [])]),
  mount: ({ element, transport, signal }, data) => {
    const { status, limit, text, trainings } = data as TrainingsData;
    mountRunsTable({
      element,
      transport,
      snapshot: Array.isArray(trainings) ? trainings : [],
      text: text ?? '',
      statuses: status ? (status.split(',') as Status[]) : [],
      pageSize: Math.min(MAX_PAGE_SIZE, Math.max(1, limit ?? PAGE_SIZE)),
      signal,
    });
  },
};
