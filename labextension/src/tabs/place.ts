// Where a tab goes: the main area of JupyterLab, or the right side of a Notebook, whose main area holds one
// document.

import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import type { Widget } from '@lumino/widgets';

/** A shell whose sides can be unfolded: that of JupyterLab, and that of Notebook 7. */
interface Sides {
  expandRight?(id: string): void;
}

/** Add a widget and show it. */
export function addTab(
  { name, shell }: JupyterFrontEnd,
  widget: Widget,
  { ref, mode }: { ref?: unknown; mode?: unknown } = {}
): void {
  if (name === 'Jupyter Notebook') {
    shell.add(widget, 'right');
    (shell as Sides).expandRight?.(widget.id);
    return;
  }
  const beside =
    typeof ref === 'string' ? { ref, mode: mode as DocumentRegistry.IOpenOptions['mode'] } : undefined;
  shell.add(widget, 'main', beside);
  shell.activateById(widget.id);
}
