// The way from a training to its cell. Loaded with the first.

import type { JupyterFrontEnd } from '@jupyterlab/application';
import { PageConfig } from '@jupyterlab/coreutils';
import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { jsonOf } from '../../../widgets/src/transport/transport';
import type { Training } from '../../../widgets/src/wire';
import type { IEngine } from '../tokens';
import { contentsPath } from './contents_path';

/** Show a training's cell; returns why it cannot be shown, or `null`. */
export async function goToCell(
  app: JupyterFrontEnd,
  { transport, trans }: IEngine,
  notebooks: INotebookTracker,
  id: string
): Promise<string | null> {
  const training = jsonOf<Training>(
    await transport.request('GET', `/native/trainings/${encodeURIComponent(id)}`)
  );
  const place = training.started_from;
  if (!place) {
    return trans.__('%1 was not started from a cell of a notebook.', training.name);
  }
  const has = ({ content }: NotebookPanel) => content.widgets.some(({ model }) => model.id === place.cell);
  let panel = notebooks.find(has);
  const path = place.notebook ? contentsPath(PageConfig.getOption('serverRoot'), place.notebook) : null;
  if (!panel && path !== null) {
    panel = (await app.commands.execute('docmanager:open', { path })) as NotebookPanel | undefined;
    await panel?.context.ready;
  }
  if (!panel || !has(panel)) {
    return trans.__('The cell that started %1 is not there any more.', training.name);
  }
  app.shell.activateById(panel.id);
  const index = panel.content.widgets.findIndex(({ model }) => model.id === place.cell);
  panel.content.activeCellIndex = index;
  await panel.content.scrollToItem(index, 'center');
  return null;
}
