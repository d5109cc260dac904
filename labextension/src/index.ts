import type { JupyterFrontEndPlugin } from '@jupyterlab/application';
import { LAZY_VIEWS } from '../../widgets/src/views/lazy';
import { commandsPlugin } from './commands/plugin';
import { enginePlugin } from './connection/plugin';
import { doctorPlugin } from './doctor/plugin';
import { marksPlugin } from './marks/plugin';
import { notificationsPlugin } from './notifications/plugin';
import { outputPlugin } from './outputs/output_plugin';
import { panelPlugin } from './panel/plugin';
import { plotsPlugin } from './plots/plugin';
import { runningPlugin } from './running/plugin';
import { startPlugin } from './start/plugin';
import { statusPlugin } from './status/plugin';
import { tabsPlugin } from './tabs/plugin';
import { templatesPlugin } from './templates/plugin';

const plugins: JupyterFrontEndPlugin<unknown>[] = [
  enginePlugin,
  tabsPlugin,
  panelPlugin,
  commandsPlugin,
  statusPlugin,
  runningPlugin,
  notificationsPlugin,
  startPlugin,
  templatesPlugin,
  doctorPlugin,
  plotsPlugin,
  marksPlugin,
  ...LAZY_VIEWS.map(outputPlugin),
];

export default plugins;
