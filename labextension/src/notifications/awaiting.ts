// Whether there is anything of which an end could be told. Pure; knows no page.

import { isEnded } from '../../../widgets/src/training/labels';
import type { LocalModel, Training } from '../../../widgets/src/wire';

/** Whether a model is being downloaded. */
export function isArriving({ transfer }: LocalModel): boolean {
  return transfer?.status === 'running';
}

/** Whether a training runs or a model is being downloaded. */
export function isAwaiting(data: {
  trainings: ReadonlyMap<string, Training>;
  models: ReadonlyMap<string, LocalModel>;
}): boolean {
  return (
    [...data.trainings.values()].some(({ status }) => !isEnded(status)) ||
    [...data.models.values()].some(isArriving)
  );
}
