import type { JupyterFrontEndPlugin } from '@jupyterlab/application';
import { trainingOutput } from './training_output/plugin';
import { trainingsOutput } from './trainings_output/plugin';

const plugins: JupyterFrontEndPlugin<unknown>[] = [trainingOutput, trainingsOutput];

export default plugins;
