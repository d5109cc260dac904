// Saves a training's metrics as a file of the browser's, which gets it from the engine by itself: no page
// holds it. Loaded with the first.

import { showErrorMessage } from '@jupyterlab/apputils';
import { ServerConnection } from '@jupyterlab/services';
import { messageOf } from '../../../widgets/src/core/errors';
import { jsonOf } from '../../../widgets/src/transport/transport';
import type { ExportFormat, Exports } from '../../../widgets/src/wire';
import type { IEngine } from '../tokens';
import { downloadAddress } from './download_address';

/** Have the browser download all points of a training; what the engine lacks for it is told. */
export async function exportMetrics(
  { transport, trans }: IEngine,
  id: string | null,
  format: ExportFormat
): Promise<void> {
  if (id === null) {
    return;
  }
  try {
    const path = `/native/trainings/${encodeURIComponent(id)}/exports`;
    const { exports } = jsonOf<Exports>(await transport.request('GET', path));
    const found = exports.find(each => each.format === format);
    if (!found || found.why_not) {
      throw new Error(found?.why_not ?? `This engine has no export as ${format}; restart it.`);
    }
    const { baseUrl, appendToken, token } = ServerConnection.makeSettings();
    const server = { baseUrl, token: appendToken ? token : undefined, cookie: document.cookie };
    const link = document.createElement('a');
    link.href = downloadAddress(server, `${path}/${format}`);
    link.download = found.file;
    link.click();
  } catch (error) {
    // a dialog, because a notification would cut off the next step
    void showErrorMessage(trans.__('Nothing was exported'), messageOf(error));
  }
}
