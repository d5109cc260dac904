// The output of a training: its live panel.

import { mountTraining } from '../training/training_view';
import type { Training } from '../wire';
import type { View } from './view';

/** `{id, version, training}`: the training as it was when the notebook was saved. */
interface TrainingData {
  id?: string;
  training?: Training | null;
}

export const trainingView: View = {
  name: 'training',
  description: 'Draws the output of a training as a live panel.',
  identity: ({ id }: TrainingData) => id || null,
  mount: ({ element, transport, signal, supersede }, data) => {
    const { id, training } = data as Required<TrainingData>;
    mountTraining({
      element,
      trainingId: id,
      transport,
      snapshot: training?.id === id ? training : null,
      signal,
      onResumed: next =>
        supersede(
          { id: next.id, version: 1, training: next },
          `Training ${next.name} (${next.id}), resumed from ${id}`
        ),
    });
  },
};
