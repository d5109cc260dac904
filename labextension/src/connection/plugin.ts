// Makes the page's one connection, which all other plugins share.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { translateBy } from '../../../widgets/src/core/translate';
import { ListsFeed } from '../../../widgets/src/lists/lists_feed';
import { Settings } from '../settings';
import { DOMAIN, IEngine } from '../tokens';
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
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    translateBy(trans);
    const started = new Started(sessionStorage);
    const mayStart = () => settings.values.engine_start !== 'never';
    const transport = serverTransport(app.serviceManager.serverSettings, started, mayStart);
    const lists = ListsFeed.of(transport);
    // what is the engine's is loaded by pages that set it
    const look = () => {
      const { engine_start, engine_idle_min } = settings.values;
      if (engine_start === 'open' || engine_idle_min > 0) {
        settings.changed.disconnect(look);
        void import('./engine_settings').then(one => one.applySettings({ lists, transport, settings }));
      }
    };
    settings.changed.connect(look);
    look();
    return {
      started,
      tabs: new Set(),
      transport,
      settings,
      lists,
      trans,
    };
  },
};
