// Saves a training's metrics as a file of the browser's. Loaded with the first.

import { Notification } from '@jupyterlab/apputils';
import { messageOf } from '../../../widgets/src/core/errors';
import { bytesOf, jsonOf } from '../../../widgets/src/transport/transport';
import type { Training } from '../../../widgets/src/wire';
import type { IEngine } from '../tokens';
import { csvName, metricsCsv } from './metrics_csv';

/** Fetch all points of a training by the page's own connection, and hand them to the browser as CSV. */
export async function exportCsv({ transport }: IEngine, id: string | null): Promise<void> {
  if (id !== null) {
    await save(transport, id).catch((error: unknown) => Notification.error(messageOf(error)));
  }
}

async function save(transport: IEngine['transport'], id: string): Promise<void> {
  const path = `/native/trainings/${encodeURIComponent(id)}`;
  const { name } = jsonOf<Training>(await transport.request('GET', path));
  const text = metricsCsv(bytesOf(await transport.request('GET', `${path}/metrics`)));
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'text/csv' }));
  link.download = csvName(name);
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
