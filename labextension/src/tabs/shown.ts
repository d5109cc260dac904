// Which tab of ours is in front.

import type { JupyterFrontEnd } from '@jupyterlab/application';

/** Return the id of the training whose tab is in front, if it is one. */
export function shownTraining({ shell }: JupyterFrontEnd): string | null {
  const content = (shell.currentWidget as { content?: { target?: { kind: string; id: string } } } | null)
    ?.content;
  return content?.target?.kind === 'training' ? content.target.id : null;
}
