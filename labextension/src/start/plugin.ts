// Starting without code: buttons on cells, entries of the file browser's menu, commands. What they do is
// loaded when one is first used.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import type { CodeCell } from '@jupyterlab/cells';
import { IDocumentManager } from '@jupyterlab/docmanager';
import { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import { INotebookTracker, type NotebookPanel } from '@jupyterlab/notebook';
import { CommandIDs } from '../commands/ids';
import { modelIcon, sessionIcon, trainingIcon } from '../icons';
import { IEngine } from '../tokens';
import { isDebuggable, isTrainable } from './cell_source';
import type { Page } from './launcher';

const TYPING_MS = 300;
const NO_ARGS = { args: { type: 'object', properties: {} } } as const;
const PATH_ARGS = {
  args: {
    type: 'object',
    properties: { path: { type: 'string', description: 'A path of the file browser.' } },
  },
} as const;

/** Also the name of the schema with the buttons and menu entries, schema/start.json. */
export const startPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-ext:start',
  description: 'Starts trainings and debug sessions from cells and files, without code.',
  autoStart: true,
  requires: [IEngine, IDocumentManager],
  optional: [INotebookTracker, IFileBrowserFactory, ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    engine: IEngine,
    manager: IDocumentManager,
    notebooks: INotebookTracker | null,
    browsers: IFileBrowserFactory | null,
    palette: ICommandPalette | null
  ) => {
    const page: Page = { app, engine, manager };
    if (notebooks) {
      addCellCommands(page, notebooks, palette);
    }
    addFileTypes(page);
    addPathCommands(page, browsers);
  },
};

/** File types that the menu's entries of schema/start.json look for. */
function addFileTypes({ app, engine: { trans } }: Page): void {
  app.docRegistry.addFileType({
    name: 'cog',
    displayName: trans.__('Cog Project'),
    pattern: '^cog\\.yaml$',
    mimeTypes: ['text/x-yaml'],
    icon: trainingIcon,
  });
  app.docRegistry.addFileType({
    name: 'safetensors',
    displayName: trans.__('Weights of a Model'),
    extensions: ['.safetensors'],
    fileFormat: 'base64',
    icon: modelIcon,
  });
}

function addCellCommands(page: Page, notebooks: INotebookTracker, palette: ICommandPalette | null): void {
  const { commands } = page.app;
  const { trans } = page.engine;
  const current = (can: (text: string) => boolean): [NotebookPanel, CodeCell] | null => {
    const { activeCell, currentWidget } = notebooks;
    const isCode =
      activeCell?.model.type === 'code' && currentWidget !== null && isPython(page, currentWidget);
    return isCode && can(activeCell.model.sharedModel.getSource())
      ? [currentWidget, activeCell as CodeCell]
      : null;
  };
  commands.addCommand(CommandIDs.trainCell, {
    label: trans.__('Train This Cell…'),
    caption: trans.__('Train this cell in a background process'),
    icon: trainingIcon,
    describedBy: NO_ARGS,
    isVisible: () => current(isTrainable) !== null,
    execute: async () => {
      const found = current(isTrainable);
      if (found) {
        (await import('./launcher')).trainCell(page, ...found);
      }
    },
  });
  commands.addCommand(CommandIDs.debugCell, {
    label: trans.__('Run This Cell in a Debug Session'),
    caption: trans.__('Run this cell in a debug session'),
    icon: sessionIcon,
    describedBy: NO_ARGS,
    isVisible: () => current(isDebuggable) !== null,
    execute: async () => {
      const found = current(isDebuggable);
      if (found) {
        await (await import('./launcher')).debugCell(page, ...found);
      }
    },
  });
  for (const command of [CommandIDs.trainCell, CommandIDs.debugCell]) {
    palette?.addItem({ command, category: trans.__('PyTorch') });
  }
  followActiveCell(notebooks, () => {
    commands.notifyCommandChanged(CommandIDs.trainCell);
    commands.notifyCommandChanged(CommandIDs.debugCell);
  });
}

/** Call `changed` when another cell becomes active, and a moment after its text has changed. */
function followActiveCell(notebooks: INotebookTracker, changed: () => void): void {
  let waiting: ReturnType<typeof setTimeout> | undefined;
  let followed: CodeCell['model'] | null = null;
  const later = () => {
    clearTimeout(waiting);
    waiting = setTimeout(changed, TYPING_MS);
  };
  notebooks.activeCellChanged.connect((_, cell) => {
    followed?.contentChanged.disconnect(later);
    followed = cell?.model.type === 'code' ? (cell.model as CodeCell['model']) : null;
    followed?.contentChanged.connect(later);
    changed();
  });
}

function isPython({ app }: Page, panel: NotebookPanel): boolean {
  const info = panel.context.model.getMetadata('language_info') as { name?: string } | undefined;
  const spec = panel.context.model.getMetadata('kernelspec') as { name?: string } | undefined;
  const language = app.serviceManager.kernelspecs.specs?.kernelspecs[spec?.name ?? '']?.language;
  return (info?.name || language || 'python') === 'python';
}

function addPathCommands(page: Page, browsers: IFileBrowserFactory | null): void {
  const { commands } = page.app;
  const { trans } = page.engine;
  const pathOf = (args: Readonly<Record<string, unknown>>): string | undefined => {
    const [selected] = browsers?.tracker.currentWidget?.selectedItems() ?? [];
    return typeof args.path === 'string' ? args.path : selected?.path;
  };
  const add = (
    id: string,
    label: string,
    icon: typeof trainingIcon,
    run: (launcher: typeof import('./launcher'), path: string) => void | Promise<void>
  ) =>
    commands.addCommand(id, {
      label,
      icon,
      describedBy: PATH_ARGS,
      isEnabled: args => pathOf(args) !== undefined,
      execute: async args => {
        const path = pathOf(args);
        if (path !== undefined) {
          await run(await import('./launcher'), path);
        }
      },
    });
  add(CommandIDs.trainPath, trans.__('Train…'), trainingIcon, (launcher, path) =>
    launcher.trainPath(page, path)
  );
  add(CommandIDs.debugPath, trans.__('Debug in a Session'), sessionIcon, (launcher, path) =>
    launcher.debugPath(page, path)
  );
  add(CommandIDs.addModel, trans.__('Add to Models'), modelIcon, (launcher, path) =>
    launcher.addModel(page, path)
  );
}
