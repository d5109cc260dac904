// The renderer of `application/vnd.jupyter-ext.trainings+json`: the table of runs, which needs no kernel.

import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import type { ServerConnection } from '@jupyterlab/services';
import { Widget } from '@lumino/widgets';
import { mountTable } from '../../../widgets/src/table/table';
import type { Status, Training } from '../../../widgets/src/wire';
import { serverTransport } from '../training_output/server_transport';

export const TRAININGS_MIME_TYPE = 'application/vnd.jupyter-ext.trainings+json';
const PAGE_SIZE = 20;
const MAX_PAGE_SIZE = 100;

/** The data of an output. */
interface TrainingsOutput {
  version: number;
  status?: string | null;
  limit?: number;
  /** The list as it was when the notebook was saved. */
  trainings?: Training[];
}

export class TrainingsRenderer extends Widget implements IRenderMime.IRenderer {
  readonly #settings: ServerConnection.ISettings;
  #table = new AbortController();

  constructor(settings: ServerConnection.ISettings) {
    super();
    this.#settings = settings;
    this.addClass('jupyter-ext-trainings');
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    const output = (model.data[TRAININGS_MIME_TYPE] ?? {}) as unknown as TrainingsOutput;
    this.#table.abort();
    this.#table = new AbortController();
    mountTable({
      element: this.node,
      transport: serverTransport(this.#settings),
      snapshot: Array.isArray(output.trainings) ? output.trainings : [],
      statuses: output.status ? (output.status.split(',') as Status[]) : [],
      pageSize: Math.min(MAX_PAGE_SIZE, Math.max(1, output.limit ?? PAGE_SIZE)),
      signal: this.#table.signal,
    });
  }

  override dispose(): void {
    this.#table.abort();
    super.dispose();
  }
}
