// Puts cells into the notebook that is open, below the active cell, or into a new one.

import type { JupyterFrontEnd } from '@jupyterlab/application';
import { type INotebookTracker, NotebookActions, type NotebookPanel } from '@jupyterlab/notebook';

/**
 * Insert code cells; nothing is run.
 *
 * @returns Whether there was a notebook to put them into.
 */
export async function insertCells(
  app: JupyterFrontEnd,
  tracker: INotebookTracker | null,
  sources: readonly string[]
): Promise<boolean> {
  const panel = tracker?.currentWidget ?? (await newNotebook(app));
  if (!panel) {
    return false;
  }
  const { content } = panel;
  for (const source of sources) {
    const isEmpty = content.activeCell?.model.sharedModel.getSource() === '';
    if (!isEmpty) {
      NotebookActions.insertBelow(content);
    }
    if (content.activeCell?.model.type !== 'code') {
      NotebookActions.changeCellType(content, 'code');
    }
    content.activeCell?.model.sharedModel.setSource(source);
  }
  app.shell.activateById(panel.id);
  const { activeCell } = content;
  if (activeCell) {
    await content.scrollToItem(content.activeCellIndex);
  }
  return true;
}

async function newNotebook(app: JupyterFrontEnd): Promise<NotebookPanel | null> {
  if (!app.commands.hasCommand('notebook:create-new')) {
    return null;
  }
  const made = (await app.commands.execute('notebook:create-new', { activate: true })) as
    | NotebookPanel
    | undefined;
  if (!made?.context) {
    return null;
  }
  await made.context.ready;
  return made;
}
