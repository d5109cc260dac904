// The commands of this extension, by name; all of them begin with `jupyter-ext:`.

export const CommandIDs = {
  /** Show the side panel. */
  showPanel: 'jupyter-ext:show-panel',
  /** Open a tab: `{kind, id, name}`, see `tabs/target.ts`. */
  open: 'jupyter-ext:open',
  /** Put a cell into the current notebook, or a new one: `{source, cell_type}`. */
  insertCell: 'jupyter-ext:insert-cell',
  /** Start the engine. */
  startEngine: 'jupyter-ext:start-engine',
} as const;
