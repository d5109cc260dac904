import type { JupyterFrontEndPlugin } from '@jupyterlab/application';
import { LAZY_VIEWS } from '../../widgets/src/views/lazy';
import { enginePlugin } from './connection/plugin';
import { doctorPlugin } from './doctor/plugin';
import { outputPlugin } from './outputs/output_plugin';
import { panelPlugin } from './panel/plugin';
import { startPlugin } from './start/plugin';
import { tabsPlugin } from './tabs/plugin';
import { templatesPlugin } from './templates/plugin';

const plugins: JupyterFrontEndPlugin<unknown>[] = [
  enginePlugin,
  tabsPlugin,
  panelPlugin,
  startPlugin,
  templatesPlugin,
  doctorPlugin,
  ...LAZY_VIEWS.map(outputPlugin),
];

export default plugins;
