// Makes the page's one connection, which all other plugins share.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { ListsFeed } from '../../../widgets/src/lists/lists_feed';
import { Settings } from '../settings';
import { DOMAIN, IEngine } from '../tokens';
import { keepIdleTime, startWithPage } from './engine_settings';
import { serverTransport } from './server_transport';
import { Started } from './started';

/** Also the name of the settings' schema, schema/settings.json. */
const PLUGIN_ID = 'jupyter-ext:settings';

export const enginePlugin: JupyterFrontEndPlugin<IEngine> = {
  id: PLUGIN_ID,
  description: 'The connection of this page to the engine of jupyter-ext, and its settings.',
  autoStart: true,
  optional: [ITranslator, ISettingRegistry],
  provides: IEngine,
  activate: async (
    app: JupyterFrontEnd,
    translator: ITranslator | null,
    registry: ISettingRegistry | null
  ): Promise<IEngine> => {
    const settings = new Settings();
    // known before anything is asked for, as they say whether that may start an engine; the page has them already
    await (registry && settings.follow(registry, PLUGIN_ID))?.catch((error: unknown) => {
      console.error('jupyter-ext: the settings cannot be read; defaults are used', error);
    });
    const started = new Started(sessionStorage);
    const mayStart = () => settings.values.engine_start !== 'never';
    const transport = serverTransport(app.serviceManager.serverSettings, started, mayStart);
    const lists = ListsFeed.of(transport);
    const warn = (error: unknown) => console.warn('jupyter-ext: the engine was not set', error);
    keepIdleTime({ lists, transport, settings }, warn);
    void app.restored.then(() => startWithPage({ lists, transport, settings })).catch(warn);
    return {
      started,
      tabs: new Set(),
      transport,
      settings,
      lists,
      trans: (translator ?? nullTranslator).load(DOMAIN),
    };
  },
};
