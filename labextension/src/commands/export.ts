// Saves a training's metrics as a file of the browser's. Loaded with the first.

import { bytesOf, jsonOf } from '../../../widgets/src/transport/transport';
import type { Training } from '../../../widgets/src/wire';
import type { IEngine } from '../tokens';
import { csvName, metricsCsv } from './metrics_csv';

/** Fetch all points of a training by the page's own connection, and hand them to the browser as CSV. */
export async function exportCsv({ transport }: IEngine, id: string): Promise<void> {
  const path = `/native/trainings/${encodeURIComponent(id)}`;
  const { name } = jsonOf<Training>(await transport.request('GET', path));
  const text = metricsCsv(bytesOf(await transport.request('GET', `${path}/metrics`)));
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'text/csv' }));
  link.download = csvName(name);
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
