// What can be done to what the panel lists. Pure; knows no page.

import type { TranslationBundle } from '@jupyterlab/translation';
import { actionsOf as modelActionsOf } from '../../../widgets/src/models/labels';
import { isEnded, isResumable } from '../../../widgets/src/training/labels';
import type { Item } from '../panel/rows';

/** Everything that can be done; each is one request to the engine. */
export type ActionName =
  | 'cancel'
  | 'resume'
  | 'again'
  | 'interrupt'
  | 'terminate'
  | 'download'
  | 'stop'
  | 'load'
  | 'unload'
  | 'update'
  | 'delete';

/** Those that lose something are asked about first. */
export const ASKED: readonly ActionName[] = ['delete', 'terminate'];

/** Name what can be done to something as it is now, the most likely first. */
export function actionsOf(item: Item): ActionName[] {
  switch (item.kind) {
    case 'training': {
      const { value } = item;
      return isEnded(value.status)
        ? [...(isResumable(value) ? (['resume'] as const) : []), 'again', 'delete']
        : ['cancel'];
    }
    case 'session':
      return item.value.status === 'ended'
        ? ['delete']
        : [...(item.value.busy ? (['interrupt'] as const) : []), 'terminate'];
    case 'model':
      return modelActionsOf(item.value).flatMap((action): ActionName[] =>
        action === 'run' ? [] : action === 'cancel' ? ['stop'] : [action]
      );
    default:
      return item satisfies never;
  }
}

/** Return what a menu calls an action. */
export function labelOf(action: ActionName, trans: TranslationBundle): string {
  return {
    cancel: trans.__('Cancel'),
    resume: trans.__('Resume from Checkpoint'),
    again: trans.__('Run Again'),
    interrupt: trans.__('Interrupt'),
    terminate: trans.__('Terminate…'),
    download: trans.__('Download'),
    stop: trans.__('Cancel'),
    load: trans.__('Load'),
    unload: trans.__('Unload'),
    update: trans.__('Update'),
    delete: trans.__('Delete…'),
  }[action];
}

/** Return what is lost by an action that is asked about. */
export function questionOf(action: ActionName, name: string, trans: TranslationBundle): string {
  return action === 'terminate'
    ? trans.__('%1 ends, and the models in its memory are lost.', name)
    : trans.__('%1 is deleted with all its files. This cannot be undone.', name);
}
