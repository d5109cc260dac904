// Does to a training, a session or a model what a person chose. Loaded with the first of them.

import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import { messageOf } from '../../../widgets/src/core/errors';
import { ModelsClient } from '../../../widgets/src/models/models_client';
import { ListClient } from '../../../widgets/src/runs/list_client';
import { SessionClient } from '../../../widgets/src/session/session_client';
import type { Training } from '../../../widgets/src/wire';
import type { Item } from '../panel/rows';
import type { IEngine } from '../tokens';
import { type ActionName, ASKED, labelOf, questionOf } from './actions';
import { CommandIDs } from './ids';

export { exportMetrics } from './export';

/** Do what a person chose to what the lists of the page have, and show what it has started; errors are told. */
export async function actOn(
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

/**
 * Do it, after asking where something is lost.
 *
 * @returns The training that was started, if one was.
 */
async function act(engine: IEngine, item: Item, action: ActionName): Promise<Training | null> {
  const { trans } = engine;
  if (ASKED.includes(action)) {
    const name = item.value.name || item.value.id;
    const verb = labelOf(action, trans).replace('…', '');
    const { button } = await showDialog({
      title: `${verb}: ${name}`,
      body: questionOf(action, name, trans),
      buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: verb })],
    });
    if (!button.accept) {
      return null;
    }
  }
  return item.kind === 'training'
    ? actOnTraining(engine, item.value.id, action)
    : item.kind === 'session'
      ? actOnSession(engine, item.value.id, action)
      : actOnModel(engine, item, action);
}

async function actOnTraining(
  { transport }: IEngine,
  id: string,
  action: ActionName
): Promise<Training | null> {
  const client = new ListClient(transport);
  switch (action) {
    case 'cancel':
      await client.cancel(id);
      return null;
    case 'resume':
      return client.resume(id);
    case 'again':
      return client.rerun(id);
    case 'delete':
      await client.remove(id);
      return null;
    default:
      throw new Error(`A training has no action ${action}.`);
  }
}

async function actOnSession({ transport }: IEngine, id: string, action: ActionName): Promise<null> {
  const client = new SessionClient(transport, id);
  switch (action) {
    case 'interrupt':
      await client.interrupt();
      return null;
    case 'terminate':
      await client.terminate();
      return null;
    case 'delete':
      await client.remove();
      return null;
    default:
      throw new Error(`A debug session has no action ${action}.`);
  }
}

async function actOnModel(
  { transport }: IEngine,
  { value }: Extract<Item, { kind: 'model' }>,
  action: ActionName
): Promise<null> {
  const client = new ModelsClient(transport);
  switch (action) {
    case 'load':
      await client.load(value.id, {});
      return null;
    case 'stop':
      // of a load: to end the process that it loads into
      await client.act(value.id, value.state === 'loading' ? 'unload' : 'cancel');
      return null;
    case 'delete':
      await client.remove(value.id);
      return null;
    case 'download':
    case 'unload':
    case 'update':
      await client.act(value.id, action);
      return null;
    default:
      throw new Error(`A model has no action ${action}.`);
  }
}
