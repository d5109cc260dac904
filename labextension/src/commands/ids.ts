// The commands of this extension, by name; all of them begin with `jupyter-ext:`.

export const CommandIDs = {
  /** Show the side panel. */
  showPanel: 'jupyter-ext:show-panel',
  /** Open a tab: `{kind, id, name}`, see `tabs/target.ts`. */
  open: 'jupyter-ext:open',
  /** Put code cells into the current notebook, or a new one: `{sources}`. */
  insertCells: 'jupyter-ext:insert-cells',
  /** Put the cell that uses something into the notebook: `{kind, id, name, metric}`. */
  use: 'jupyter-ext:use',
  /** Copy an id: `{id}`. */
  copyId: 'jupyter-ext:copy-id',
  /** Do something to a training, a session or a model: `{kind, id, action}`, see `commands/actions.ts`. */
  act: 'jupyter-ext:act',
  /** Start the engine. */
  startEngine: 'jupyter-ext:start-engine',
} as const;
