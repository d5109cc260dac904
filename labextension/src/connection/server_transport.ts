// JupyterLab's own connection to its server: base URL, token and XSRF as its settings have them.

import { ServerConnection } from '@jupyterlab/services';
import { ServerTransport } from '../../../widgets/src/transport/server';
import type { Started } from './started';

/**
 * @param started Learns what the page asks for.
 * @param mayStart Whether a request that finds no engine starts one.
 */
export function serverTransport(
  settings: ServerConnection.ISettings,
  started: Started,
  mayStart: () => boolean
): ServerTransport {
  return new ServerTransport({
    mayStart,
    baseUrl: settings.baseUrl,
    wsUrl: settings.wsUrl,
    token: settings.appendToken ? settings.token : undefined,
    fetch: async (url, init) => {
      const response = await ServerConnection.makeRequest(url, init, settings);
      if (init.method === 'POST' && response.ok) {
        started.note(url, await response.clone().text());
      }
      return response;
    },
  });
}
