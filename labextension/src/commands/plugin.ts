// The commands about single trainings, sessions and models, and about the engine. The palette has those
// that need no choice.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Clipboard, ICommandPalette } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import type { ExportFormat } from '../../../widgets/src/wire';
import { modelIcon, productIcon, sessionIcon, trainingIcon } from '../icons';
import { shownTraining } from '../tabs/shown';
import { targetOf } from '../tabs/target';
import { IEngine } from '../tokens';
import type { ActionName } from './actions';
import { CommandIDs } from './ids';

const NO_ARGS = { args: { type: 'object', properties: {} } } as const;
const THING = {
  args: {
    type: 'object',
    required: ['kind', 'id'],
    properties: {
      kind: { type: 'string', description: 'training, session or model' },
      id: { type: 'string' },
      name: { type: 'string' },
      metric: { type: 'string' },
      label: { type: 'string', description: 'What a menu calls it.' },
      action: { type: 'string', description: 'What to do, such as cancel or load.' },
    },
  },
} as const;

/** Return what labels a command: what a menu calls it, else `text`. */
const labelOr =
  (text: string) =>
  ({ label }: ReadonlyPartialJSONObject) =>
    typeof label === 'string' ? label : text;

export const commandsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-ext:commands',
  description: 'Commands about trainings, debug sessions, models and the engine.',
  autoStart: true,
  requires: [IEngine],
  optional: [INotebookTracker, ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    engine: IEngine,
    tracker: INotebookTracker | null,
    palette: ICommandPalette | null
  ) => {
    const { commands } = app;
    const { trans } = engine;
    const insert = async (sources: readonly string[]) => {
      const { insertCells } = await import('../cells/insert');
      await insertCells(app, tracker, sources, trans);
    };
    commands.addCommand(CommandIDs.insertCells, {
      label: trans.__('Insert Cells'),
      describedBy: {
        args: {
          type: 'object',
          required: ['sources'],
          properties: { sources: { type: 'array', items: { type: 'string' } } },
        },
      },
      execute: ({ sources }) => insert((sources as string[]).map(String)),
    });
    commands.addCommand(CommandIDs.use, {
      label: labelOr(trans.__('Insert Cell That Uses It')),
      describedBy: THING,
      execute: async args => {
        const target = targetOf(args);
        if (target) {
          const { sourceOf } = await import('../cells/sources');
          const metric = typeof args.metric === 'string' ? args.metric : undefined;
          await insert([sourceOf({ ...target, metric })]);
        }
      },
    });
    commands.addCommand(CommandIDs.copyId, {
      label: trans.__('Copy Id'),
      describedBy: THING,
      execute: ({ id }) => Clipboard.copyToSystem(String(id)),
    });
    commands.addCommand(CommandIDs.act, {
      label: labelOr(trans.__('Act')),
      describedBy: THING,
      execute: async ({ kind, id, action }) => {
        const { actOn } = await import('./act');
        await actOn(app, engine, String(kind), String(id), action as ActionName);
      },
    });
    commands.addCommand(CommandIDs.exportMetrics, {
      label: labelOr(trans.__('Export Metrics')),
      describedBy: {
        args: {
          type: 'object',
          required: ['format'],
          properties: { format: { type: 'string' }, id: { type: 'string' } },
        },
      },
      isEnabled: ({ id }) => typeof id === 'string' || shownTraining(app) !== null,
      execute: async args => {
        const id = typeof args.id === 'string' ? args.id : shownTraining(app);
        await (await import('./act')).exportMetrics(engine, id, args.format as ExportFormat);
      },
    });
    commands.addCommand(CommandIDs.startEngine, {
      label: trans.__('Start the Engine'),
      icon: productIcon,
      isEnabled: () => engine.lists.state !== 'live',
      describedBy: NO_ARGS,
      execute: () => engine.lists.start(),
    });
    addPaletteItems(app, engine, palette);
  },
};

function addPaletteItems(
  { commands }: JupyterFrontEnd,
  { trans }: IEngine,
  palette: ICommandPalette | null
): void {
  const category = trans.__('PyTorch');
  palette?.addItem({ command: CommandIDs.startEngine, category });
  for (const name of ['CSV', 'Parquet', 'TensorBoard']) {
    const args = { format: name.toLowerCase(), label: trans.__('Export Metrics as %1', name) };
    palette?.addItem({ command: CommandIDs.exportMetrics, category, args });
  }
  const first = [
    ['training', trans.__('Insert an Example Training'), trainingIcon],
    ['session', trans.__('Insert an Example Debug Session'), sessionIcon],
    ['model', trans.__('Insert an Example Model'), modelIcon],
  ] as const;
  for (const [kind, label, icon] of first) {
    const command = `jupyter-ext:first-${kind}`;
    commands.addCommand(command, {
      label,
      icon,
      describedBy: NO_ARGS,
      execute: async () => {
        const { FIRST_CELLS } = await import('../cells/sources');
        await commands.execute(CommandIDs.insertCells, { sources: [...FIRST_CELLS[kind]] });
      },
    });
    palette?.addItem({ command, category });
  }
}
