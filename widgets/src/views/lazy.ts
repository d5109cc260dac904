// All views by name, their code loaded when the first of a kind is shown: what a page merely holds ready is small.

import type { View } from './view';

/** A view that is not loaded yet. */
export interface LazyView extends Pick<View, 'name' | 'description'> {
  load(): Promise<View>;
}

export const LAZY_VIEWS: readonly LazyView[] = [
  {
    name: 'training',
    description: 'Draws the output of a training as a live panel.',
    load: async () => (await import('./training')).trainingView,
  },
  {
    name: 'trainings',
    description: 'Draws the output of %trainings as a live table.',
    load: async () => (await import('./trainings')).trainingsView,
  },
  {
    name: 'compare',
    description: 'Draws the output of jx.compare as a live chart.',
    load: async () => (await import('./compare')).compareView,
  },
  {
    name: 'models',
    description: 'Draws the output of %models as a live list.',
    load: async () => (await import('./models')).modelsView,
  },
  {
    name: 'session',
    description: 'Draws the output of %%debug_session as a live view.',
    load: async () => (await import('./session')).sessionView,
  },
];
