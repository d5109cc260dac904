// What the open notebooks have started or show.

import type { Cell, CodeCell } from '@jupyterlab/cells';
import type { INotebookTracker } from '@jupyterlab/notebook';

const OURS = /^application\/vnd\.jupyter-ext\.\w+\+json$/;

/**
 * Whether an open notebook has started a training, or has an output of it, of a session or of a model.
 *
 * @param cell The cell that it was started from, where it was.
 */
export function isOfOpenNotebook(notebooks: INotebookTracker | null, id: string, cell?: string): boolean {
  return (
    notebooks?.find(({ content }) =>
      content.widgets.some(one => (cell && one.model.id === cell) || idsShown(one).includes(id))
    ) !== undefined
  );
}

/** Return the ids of what the outputs of a cell show. */
export function idsShown({ model }: Cell): string[] {
  const outputs = model.type === 'code' ? (model as CodeCell['model']).outputs : null;
  const ids: string[] = [];
  for (let i = 0; i < (outputs?.length ?? 0); i += 1) {
    for (const [type, data] of Object.entries(outputs?.get(i).data ?? {})) {
      const shown = OURS.test(type) ? (data as { id?: unknown; model?: unknown } | null) : null;
      ids.push(...[shown?.id, shown?.model].filter(id => typeof id === 'string'));
    }
  }
  return ids;
}
