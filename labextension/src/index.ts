import type { JupyterFrontEndPlugin } from '@jupyterlab/application';
import { trainingOutput } from './training_output/plugin';

const plugins: JupyterFrontEndPlugin<unknown>[] = [trainingOutput];

export default plugins;
