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
  /** Save the metrics of a training: `{id, format}`, else of the tab in front. */
  exportMetrics: 'jupyter-ext:export-metrics',
  /** Show the form for the active cell. */
  trainCell: 'jupyter-ext:train-cell',
  /** Launch a debug session of the active cell's code. */
  debugCell: 'jupyter-ext:debug-cell',
  /** Show the form for a Python file or the folder of a Cog project: `{path}`, else what is selected. */
  trainPath: 'jupyter-ext:train-path',
  /** Launch a debug session of a Python file: `{path}`, else what is selected. */
  debugPath: 'jupyter-ext:debug-path',
  /** Put a file or folder with weights on the list of models: `{path}`, else what is selected. */
  addModel: 'jupyter-ext:add-model',
  /** Make a notebook from a template: `{template, cwd}`. */
  newFromTemplate: 'jupyter-ext:new-from-template',
  /** Show the cell that a training was started from: `{id}`, else of the tab in front. */
  goToCell: 'jupyter-ext:go-to-cell',
  /** Open what the active cell has started and still runs. */
  openOfCell: 'jupyter-ext:open-of-cell',
  /** Say which half of the product is missing or of another version. */
  doctor: 'jupyter-ext:doctor',
  /** Start the engine. */
  startEngine: 'jupyter-ext:start-engine',
} as const;
