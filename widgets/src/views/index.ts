// All views; every host offers them.

import { compareView } from './compare';
import { modelsView } from './models';
import { sessionView } from './session';
import { trainingView } from './training';
import { trainingsView } from './trainings';
import type { View } from './view';

export const VIEWS: readonly View[] = [trainingView, trainingsView, compareView, modelsView, sessionView];
