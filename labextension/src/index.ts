import type { JupyterFrontEndPlugin } from '@jupyterlab/application';
import { LAZY_VIEWS } from '../../widgets/src/views/lazy';
import { enginePlugin } from './connection/plugin';
import { outputPlugin } from './outputs/output_plugin';
import { panelPlugin } from './panel/plugin';
import { startPlugin } from './start/plugin';
import { tabsPlugin } from './tabs/plugin';

const plugins: JupyterFrontEndPlugin<unknown>[] = [
  enginePlugin,
  tabsPlugin,
  panelPlugin,
  startPlugin,
  ...LAZY_VIEWS.map(outputPlugin),
];

export default plugins;
