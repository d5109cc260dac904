// The way from a run to its cell, and a question where a cell is run again while what it started goes on.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, Notification } from '@jupyterlab/apputils';
import type { Cell, CodeCell } from '@jupyterlab/cells';
import { PageConfig } from '@jupyterlab/coreutils';
import { INotebookTracker, NotebookActions, type NotebookPanel } from '@jupyterlab/notebook';
import { type CellLine, onCellLine } from '../../../widgets/src/core/cell_link';
import { messageOf } from '../../../widgets/src/core/errors';
import { isEnded } from '../../../widgets/src/training/labels';
import { bytesOf, jsonOf } from '../../../widgets/src/transport/transport';
import { mimeTypeOf } from '../../../widgets/src/views/view';
import type { Training } from '../../../widgets/src/wire';
import { CommandIDs } from '../commands/ids';
import { trainingIcon } from '../icons';
import { IEngine } from '../tokens';
import { contentsPath, executionCountOf, runningByCell, titleOf } from './cells_of';

const RUNNING = '/native/trainings?status=starting,processing&limit=100';

export const marksPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-ext:marks',
  description:
    'Leads from a training to its cell, and asks where a cell is run again while its training goes on.',
  autoStart: true,
  requires: [IEngine, INotebookTracker],
  optional: [ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    engine: IEngine,
    notebooks: INotebookTracker,
    palette: ICommandPalette | null
  ) => {
    NotebookActions.executionScheduled.connect((_, { cell }) => void askAbout(engine, cell));
    addCommand(app, engine, notebooks, palette);
    onCellLine(target => {
      goToCell(app, engine, notebooks, target.runId, target).then(
        problem => problem !== null && Notification.info(problem),
        (error: unknown) => Notification.error(messageOf(error))
      );
    });
  },
};

/** A cell is run again while its training goes on: the new one runs beside it, and the old one may be canceled. */
async function askAbout({ transport, trans }: IEngine, cell: Cell): Promise<void> {
  if (!showsRunning(cell)) {
    return;
  }
  // asked before the cell is run, so that what it starts now is not among them
  const old = (await runningOf(transport)).get(cell.model.id) ?? [];
  if (old.length === 0) {
    return;
  }
  const cancel = async () => {
    for (const { id } of old) {
      try {
        bytesOf(await transport.request('POST', `/v1/trainings/${encodeURIComponent(id)}/cancel`));
      } catch (error) {
        Notification.error(messageOf(error));
      }
    }
  };
  Notification.info(trans.__('A training that this cell started is still running: %1.', titleOf(old)), {
    autoClose: false,
    actions: [
      { label: trans.__('Cancel the Earlier One'), callback: () => void cancel() },
      { label: trans.__('Keep Both'), callback: () => undefined },
    ],
  });
}

/** Whether an output of a cell shows a training that had not ended when it was written last. */
function showsRunning({ model }: Cell): boolean {
  const outputs = model.type === 'code' ? (model as CodeCell['model']).outputs : null;
  for (let i = 0; i < (outputs?.length ?? 0); i += 1) {
    const data = outputs?.get(i).data[mimeTypeOf({ name: 'training' })] as
      | { training?: Training }
      | undefined;
    if (data?.training && !isEnded(data.training.status)) {
      return true;
    }
  }
  return false;
}

/** Return what runs now by its cell; asking starts no engine. */
async function runningOf({ running }: IEngine['transport']): Promise<Map<string, Training[]>> {
  const answer = await running.request('GET', RUNNING).catch(() => null);
  return runningByCell(answer?.status === 200 ? jsonOf<{ trainings: Training[] }>(answer).trainings : []);
}

function addCommand(
  app: JupyterFrontEnd,
  engine: IEngine,
  notebooks: INotebookTracker,
  palette: ICommandPalette | null
): void {
  const { trans } = engine;
  app.commands.addCommand(CommandIDs.goToCell, {
    label: trans.__('Go to the Cell That Started It'),
    icon: trainingIcon,
    describedBy: {
      args: { type: 'object', properties: { id: { type: 'string', description: 'Of a training.' } } },
    },
    isEnabled: ({ id }) => typeof id === 'string' || shownTraining(app) !== null,
    execute: async args => {
      const id = typeof args.id === 'string' ? args.id : shownTraining(app);
      const problem = id === null ? null : await goToCell(app, engine, notebooks, id);
      if (problem !== null) {
        Notification.info(problem);
      }
    },
  });
  palette?.addItem({ command: CommandIDs.goToCell, category: trans.__('PyTorch') });
}

/** The training whose tab is in front, if it is one. */
function shownTraining({ shell }: JupyterFrontEnd): string | null {
  const content = (shell.currentWidget as { content?: { target?: { kind: string; id: string } } } | null)
    ?.content;
  return content?.target?.kind === 'training' ? content.target.id : null;
}

/** Show a training's cell, or a line of it or of another; returns why it cannot be shown, or `null`. */
async function goToCell(
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
