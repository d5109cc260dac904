import type { JupyterFrontEndPlugin } from '@jupyterlab/application';
import { VIEWS } from '../../widgets/src/views';
import { outputPlugin } from './output_plugin';

const plugins: JupyterFrontEndPlugin<unknown>[] = VIEWS.map(outputPlugin);

export default plugins;
