// Cells and what they have started: a mark and a badge while it runs, the way from a run to its cell, and a
// question where a cell is run again while its training goes on. All but the decision is loaded when there
// is something to show.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, Notification } from '@jupyterlab/apputils';
import type { Cell } from '@jupyterlab/cells';
import { INotebookTracker, NotebookActions, type NotebookPanel } from '@jupyterlab/notebook';
import { onCellLine } from '../../../widgets/src/core/cell_link';
import { messageOf } from '../../../widgets/src/core/errors';
import type { Training } from '../../../widgets/src/wire';
import { CommandIDs } from '../commands/ids';
import { trainingIcon } from '../icons';
import { shownTraining } from '../tabs/shown';
import { IEngine } from '../tokens';
import type { CellMarks } from './cell_marks';
import { badgeOf, runningByCell, titleOf } from './running';

export const marksPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-ext:marks',
  description: 'Marks the cells whose trainings run, and leads from a training to its cell.',
  autoStart: true,
  requires: [IEngine, INotebookTracker],
  optional: [ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    engine: IEngine,
    notebooks: INotebookTracker,
    palette: ICommandPalette | null
  ) => {
    const cells = new RunningCells(app, engine, notebooks);
    NotebookActions.executionScheduled.connect((_, { notebook, cell }) => {
      const panel = notebooks.find(({ content }) => content === notebook);
      const old = cells.of(panel, cell); // before it is run: what it starts now is not among them
      if (old.length > 0) {
        void import('./ask').then(({ askAbout }) => askAbout(engine, cell.model.id, old));
      }
    });
    addBadge(app, engine, notebooks, cells);
    addGoToCell(app, engine, notebooks, palette);
    onCellLine(target => {
      import('./go_to_cell')
        .then(({ goToCell }) => goToCell(app, engine, notebooks, target.runId, target))
        .then(
          problem => problem !== null && Notification.info(problem),
          (error: unknown) => Notification.error(messageOf(error))
        );
    });
  },
};

/** What runs, by its cell, as the page's lists have it. */
class RunningCells {
  #running = new Map<string, Training[]>();
  #marks: Promise<CellMarks> | null = null;
  #shown: CellMarks | null = null;
  readonly #make: () => Promise<CellMarks>;
  readonly #commands: JupyterFrontEnd['commands'];
  #isPlanned = false;

  constructor(app: JupyterFrontEnd, engine: IEngine, notebooks: INotebookTracker) {
    const { lists } = engine;
    this.#commands = app.commands;
    this.#make = async () => {
      const { CellMarks } = await import('./cell_marks');
      return new CellMarks(app, engine, notebooks, () => this.#plan());
    };
    const follower = lists.follow(
      ['trainings'],
      () => {
        this.#running = runningByCell(lists.data.trainings.values());
        look();
        this.#plan();
      },
      new AbortController().signal
    );
    // how far they are is asked for only where a notebook that is open has started one
    const isShown = () =>
      this.#running.size > 0 &&
      notebooks.currentWidget?.content.widgets.some(({ model }) => this.#running.has(model.id));
    const look = () =>
      follower.look(
        document.visibilityState === 'hidden' || notebooks.size === 0 ? null : isShown() ? 'all' : 'news'
      );
    document.addEventListener('visibilitychange', look);
    const changed = () => {
      look();
      this.#plan();
    };
    notebooks.widgetAdded.connect((_, panel) => {
      look();
      void panel.revealed.then(changed);
    });
    notebooks.currentChanged.connect(changed);
    notebooks.activeCellChanged.connect(() => this.#plan());
  }

  /** Return what a cell of a notebook has started that runs. */
  of(panel: NotebookPanel | null | undefined, cell: Cell | null): readonly Training[] {
    const found = cell && panel ? (this.#running.get(cell.model.id) ?? []) : [];
    return panel && this.#shown ? this.#shown.ofNotebook(panel, found) : found;
  }

  #plan(): void {
    if (!this.#isPlanned && (this.#running.size > 0 || this.#marks !== null)) {
      this.#isPlanned = true;
      this.#marks ??= this.#make();
      void this.#marks.then(marks =>
        requestAnimationFrame(() => {
          this.#isPlanned = false;
          this.#shown = marks;
          marks.draw(this.#running);
          this.#commands.notifyCommandChanged(CommandIDs.openOfCell);
        })
      );
    }
  }
}

function addBadge(
  { commands }: JupyterFrontEnd,
  { trans }: IEngine,
  notebooks: INotebookTracker,
  cells: RunningCells
): void {
  const current = () => cells.of(notebooks.currentWidget, notebooks.activeCell);
  commands.addCommand(CommandIDs.openOfCell, {
    label: () => badgeOf(current(), trans.__('running')),
    caption: () => trans.__('Open the training: %1', titleOf(current())),
    iconClass: 'jp-JupyterExt-ring jp-JupyterExt-badge', // a toolbar shows no label beside an icon
    describedBy: { args: { type: 'object', properties: {} } },
    isVisible: () => current().length > 0,
    execute: async () => {
      const newest = current().at(-1);
      if (newest) {
        const { id, name } = newest;
        const ref = notebooks.currentWidget?.id ?? '';
        await commands.execute(CommandIDs.open, { kind: 'training', id, name, ref, mode: 'split-right' });
      }
    },
  });
}

function addGoToCell(
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
      const { goToCell } = await import('./go_to_cell');
      const problem = id === null ? null : await goToCell(app, engine, notebooks, id);
      if (problem !== null) {
        Notification.info(problem);
      }
    },
  });
  palette?.addItem({ command: CommandIDs.goToCell, category: trans.__('PyTorch') });
}
