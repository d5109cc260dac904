// JupyterLab's own connection to its server: base URL, token and XSRF as its settings have them.

import { ServerConnection } from '@jupyterlab/services';
import { ServerTransport } from '../../../widgets/src/transport/server';

export function serverTransport(settings: ServerConnection.ISettings): ServerTransport {
  return new ServerTransport({
    baseUrl: settings.baseUrl,
    wsUrl: settings.wsUrl,
    token: settings.appendToken ? settings.token : undefined,
    fetch: (url, init) => ServerConnection.makeRequest(url, init, settings),
  });
}
