// The commands about single trainings, sessions and models, and about the engine. The palette has those
// that need no choice.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Clipboard, ICommandPalette, Notification } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { messageOf } from '../../../widgets/src/core/errors';
import { modelIcon, productIcon, sessionIcon, trainingIcon } from '../icons';
import type { Item } from '../panel/rows';
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
      if (!(await insertCells(app, tracker, sources))) {
        Clipboard.copyToSystem(sources.join('\n\n'));
        Notification.info(trans.__('No notebook is open. The cell was copied to the clipboard.'));
      }
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
      label: ({ label }) => (typeof label === 'string' ? label : trans.__('Insert Cell That Uses It')),
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
      label: ({ label }) => (typeof label === 'string' ? label : trans.__('Act')),
      describedBy: THING,
      execute: ({ kind, id, action }) => actOn(app, engine, String(kind), String(id), action as ActionName),
    });
    commands.addCommand(CommandIDs.exportCsv, {
      label: trans.__('Export Metrics as CSV'),
      describedBy: { args: { type: 'object', properties: { id: { type: 'string' } } } },
      isEnabled: ({ id }) => typeof id === 'string' || shownTraining(app) !== null,
      execute: async args => {
        const id = typeof args.id === 'string' ? args.id : shownTraining(app);
        const { exportCsv } = await import('./export');
        await (id === null ? null : exportCsv(engine, id))?.catch((error: unknown) =>
          Notification.error(messageOf(error))
        );
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
  palette?.addItem({ command: CommandIDs.exportCsv, category });
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

async function actOn(
  app: JupyterFrontEnd,
  engine: IEngine,
  kind: string,
  id: string,
  action: ActionName
): Promise<void> {
  const item = itemOf(engine, kind, id);
  if (!item) {
    return;
  }
  try {
    const { act } = await import('./act');
    const started = await act(engine, item, action);
    if (started) {
      await app.commands.execute(CommandIDs.open, { kind: 'training', id: started.id, name: started.name });
    }
  } catch (error) {
    Notification.error(`${item.value.name}: ${messageOf(error)}`);
  }
}

function itemOf({ lists: { data } }: IEngine, kind: string, id: string): Item | null {
  const [training, session, model] = [data.trainings.get(id), data.sessions.get(id), data.models.get(id)];
  if (kind === 'training' && training) {
    return { kind, value: training };
  }
  if (kind === 'session' && session) {
    return { kind, value: session };
  }
  return kind === 'model' && model ? { kind, value: model } : null;
}
