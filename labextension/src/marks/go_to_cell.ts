// The way from a training to its cell. Loaded with the first.

import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { CodeCell } from '@jupyterlab/cells';
import { PageConfig } from '@jupyterlab/coreutils';
import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import type { CellLine } from '../../../widgets/src/core/cell_link';
import { jsonOf } from '../../../widgets/src/transport/transport';
import type { Training } from '../../../widgets/src/wire';
import type { IEngine } from '../tokens';
import { contentsPath, executionCountOf } from './contents_path';

/** Show a training's cell, or a line of it or of another; returns why it cannot be shown, or `null`. */
export async function goToCell(
  app: JupyterFrontEnd,
  { transport, trans }: IEngine,
  notebooks: INotebookTracker,
  id: string,
  at: CellLine | null = null
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
  const count = at && executionCountOf(at.label);
  const index = panel.content.widgets.findIndex(({ model }) =>
    count == null
      ? model.id === place.cell
      : model.type === 'code' && (model as CodeCell['model']).executionCount === count
  );
  if (index < 0) {
    return trans.__(
      '%1 is not in this notebook any more; the cell was run again or deleted.',
      at?.label ?? ''
    );
  }
  panel.content.activeCellIndex = index;
  await panel.content.scrollToItem(index, 'center');
  if (at !== null) {
    await selectLine(panel, index, at.line);
  }
  return null;
}

/** Select a line of a cell, counted from 1, and bring it into view. */
async function selectLine({ content }: NotebookPanel, index: number, number: number): Promise<void> {
  const cell = content.widgets[index];
  await cell.ready;
  const { editor } = cell;
  const line = Math.min(number, editor?.lineCount ?? 0) - 1;
  if (editor && line >= 0) {
    content.mode = 'edit';
    editor.focus();
    editor.setSelection({
      start: { line, column: 0 },
      end: { line, column: editor.getLine(line)?.length ?? 0 },
    });
    editor.revealPosition({ line, column: 0 });
  }
}
