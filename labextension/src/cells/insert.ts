// Puts cells into the notebook that is open, below the active cell, or into a new one.

import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Clipboard, Notification } from '@jupyterlab/apputils';
import { type INotebookTracker, NotebookActions, type NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';

/** Insert code cells, and run nothing; where there is no notebook, they are copied to the clipboard. */
export async function insertCells(
  app: JupyterFrontEnd,
  tracker: INotebookTracker | null,
  sources: readonly string[],
  trans: TranslationBundle
): Promise<void> {
  const panel = tracker?.currentWidget ?? (await newNotebook(app));
  if (!panel) {
    Clipboard.copyToSystem(sources.join('\n\n'));
    Notification.info(trans.__('No notebook is open. The cell was copied to the clipboard.'));
    return;
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
