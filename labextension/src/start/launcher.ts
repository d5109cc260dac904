// Starts what a person points at: a form in a tab for a training, a session at once, a model onto the list.
// Its code is loaded at the first use.

import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Clipboard, Dialog, MainAreaWidget, Notification, showDialog } from '@jupyterlab/apputils';
import type { CodeCell } from '@jupyterlab/cells';
import { PageConfig } from '@jupyterlab/coreutils';
import type { IDocumentManager } from '@jupyterlab/docmanager';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { messageOf } from '../../../widgets/src/core/errors';
import { FormClient, type LaunchSource } from '../../../widgets/src/form/form_client';
import type { FormOptions } from '../../../widgets/src/form/form_view';
import { rayPlace } from '../../../widgets/src/form/ray_place';
import { ModelsClient } from '../../../widgets/src/models/models_client';
import type { DebugSession } from '../../../widgets/src/wire';
import { CommandIDs } from '../commands/ids';
import { addTab } from '../tabs/place';
import type { IEngine } from '../tokens';
import { type CellText, isNamed, labelOf, sourceOf, withMagic } from './cell_source';
import { filesIn } from './files';
import { FormTab } from './form_tab';
import { onDisk, splitPath } from './places';

/** What starting needs of the page. */
export interface Page {
  app: JupyterFrontEnd;
  engine: IEngine;
  manager: IDocumentManager;
}

let numTabs = 0;

/** Show the form for a cell, beside its notebook. */
export function trainCell(page: Page, panel: NotebookPanel, cell: CodeCell): void {
  const { engine, manager } = page;
  const found = cellOf(page, panel, cell);
  const { folder, name } = splitPath(localPath(page, panel.context.path));
  const origin = engine.trans.__('%1 of %2', found.label, name);
  const tab = new FormTab(engine.trans.__('Train…'), origin, {
    transport: engine.transport,
    source: found.source,
    origin,
    ray: rayOf(engine),
    place: cwd => ({ notebook: cwd === null ? '' : `${cwd}/${name}`, cell: cell.model.id }),
    files: filesIn(folder, manager),
    started: training => void showInstead(page, tab, 'training', training.id, training.name),
    runInKernel: line => void runInKernel(page, panel, cell, line, () => close(tab)),
    copy: text => Clipboard.copyToSystem(text),
  });
  add(page, tab, panel.id);
}

/** Show the form for a Python file or the folder of a Cog project. */
export function trainPath(page: Page, path: string): void {
  const { engine, manager } = page;
  const local = localPath(page, path);
  const { folder, name } = splitPath(local);
  const tab = new FormTab(engine.trans.__('Train %1', name), local, {
    transport: engine.transport,
    source: { path: onDisk(PageConfig.getOption('serverRoot'), local) },
    origin: local,
    ray: rayOf(engine),
    place: () => null,
    files: filesIn(folder, manager),
    started: training => void showInstead(page, tab, 'training', training.id, training.name),
    copy: text => Clipboard.copyToSystem(text),
  });
  add(page, tab);
}

/** The cluster that forms offer: where one is set, or where they begin with it. */
function rayOf({ settings }: IEngine): FormOptions['ray'] {
  const { backend, ray_address, ray_cpus, ray_gpus } = settings.values;
  const isFirst = backend === 'ray';
  return isFirst || ray_address !== ''
    ? { place: rayPlace({ address: ray_address, cpus: ray_cpus, gpus: ray_gpus }), isFirst }
    : undefined;
}

/**
 * Launch a session of a cell's code, and show it beside the notebook; one that lives may get the code
 * instead.
 */
export async function debugCell(page: Page, panel: NotebookPanel, cell: CodeCell): Promise<void> {
  const { source } = cellOf(page, panel, cell);
  const living = page.engine.lists.data.sessions.get(sessionOf.get(cell.model.id) ?? '');
  const choice = living && living.status !== 'ended' ? await askWhich(page, living.name) : 'launch';
  if (choice === null) {
    return;
  }
  const session = await debug(page, source, {
    beside: panel.id,
    into: choice === 'replace' ? living : undefined,
    runInstead: () => runInKernel(page, panel, cell, '%%debug_session', () => undefined),
  });
  if (session) {
    sessionOf.set(cell.model.id, session.id);
  }
}

/** The session that has a cell's code, by the cell. */
const sessionOf = new Map<string, string>();

async function askWhich({ engine: { trans } }: Page, name: string): Promise<'launch' | 'replace' | null> {
  const launch = Dialog.createButton({ label: trans.__('Launch Another'), accept: false });
  const replace = Dialog.okButton({ label: trans.__('Replace Its Code') });
  const { button } = await showDialog({
    title: trans.__('%1 is still running', name),
    body: trans.__(
      'This debug session has the code of this cell. Its models keep their weights when the code is replaced.'
    ),
    buttons: [Dialog.cancelButton(), launch, replace],
    defaultButton: 2,
  });
  return button.label === replace.label ? 'replace' : button.label === launch.label ? 'launch' : null;
}

/** Launch a session of a file's code. */
export async function debugPath(page: Page, path: string): Promise<void> {
  await debug(page, { path: onDisk(PageConfig.getOption('serverRoot'), localPath(page, path)) });
}

/** Put a file or folder with weights on the list of models, and show it. */
export async function addModel(page: Page, path: string): Promise<void> {
  const { app, engine } = page;
  const reference = onDisk(PageConfig.getOption('serverRoot'), localPath(page, path));
  try {
    const model = await new ModelsClient(engine.transport).add(reference);
    await app.commands.execute(CommandIDs.open, { kind: 'model', id: model.id });
  } catch (error) {
    Notification.error(messageOf(error), { autoClose: false });
  }
}

interface DebugOptions {
  /** Id of the tab that the session goes beside. */
  beside?: string;
  /** The session that gets the code, in place of a new one. */
  into?: DebugSession;
  /** Does it by the notebook's kernel, which has what the session lacks. */
  runInstead?: () => Promise<void>;
}

async function debug(
  { app, engine }: Page,
  source: LaunchSource,
  { beside, into, runInstead }: DebugOptions = {}
): Promise<DebugSession | null> {
  const { trans } = engine;
  try {
    const client = new FormClient(engine.transport);
    const { session, missing } = into
      ? { session: into, ...(await client.replaceCode(into.id, source)) }
      : await client.debug(source);
    const place = beside ? { ref: beside, mode: 'split-right' } : {};
    await app.commands.execute(CommandIDs.open, {
      kind: 'session',
      id: session.id,
      name: session.name,
      ...place,
    });
    if (into) {
      Notification.success(trans.__('%1 has the new code.', session.name), { autoClose: 5_000 });
    }
    if (missing.length > 0) {
      const text = trans.__(
        "%1: only the notebook's kernel has it, and the session does not.",
        missing.join(', ')
      );
      const actions = runInstead
        ? [{ label: trans.__('Run with %%debug_session'), callback: () => void runInstead() }]
        : [];
      Notification.warning(text, { autoClose: false, actions });
    }
    return session;
  } catch (error) {
    Notification.error(messageOf(error), { autoClose: false });
    return null;
  }
}

/** Return the cell as the engine is told of it. */
function cellOf(page: Page, panel: NotebookPanel, cell: CodeCell): { source: LaunchSource; label: string } {
  const cells: CellText[] = [];
  let index = 0;
  for (const { model } of panel.content.widgets) {
    if (model.type === 'code') {
      if (model === cell.model) {
        index = cells.length;
      }
      const count = (model as CodeCell['model']).executionCount;
      cells.push({ id: model.id, text: model.sharedModel.getSource(), count });
    }
  }
  const { folder, name } = splitPath(localPath(page, panel.context.path));
  const cwd = onDisk(PageConfig.getOption('serverRoot'), folder);
  const source = sourceOf(cells, index, {
    cwd,
    python: interpreterOf(page, panel),
    // the cell's own magic line names it, else it is called as its notebook
    name: isNamed(cells[index].text) ? undefined : name.replace(/\.ipynb$/, ''),
  });
  return { source, label: labelOf(cells[index], index) };
}

/** The interpreter of the notebook's kernel; the engine says which one `python` is. */
function interpreterOf(page: Page, panel: NotebookPanel): string {
  const named = panel.sessionContext.session?.kernel?.name ?? panel.sessionContext.kernelPreference.name;
  const specs = page.app.serviceManager.kernelspecs.specs;
  return specs?.kernelspecs[named ?? specs.default]?.argv[0] ?? 'python';
}

async function runInKernel(
  page: Page,
  panel: NotebookPanel,
  cell: CodeCell,
  line: string,
  done: () => void
): Promise<void> {
  cell.model.sharedModel.setSource(withMagic(cell.model.sharedModel.getSource(), line));
  page.app.shell.activateById(panel.id);
  panel.content.activeCellIndex = panel.content.widgets.indexOf(cell);
  const kernel = panel.sessionContext.session?.kernel;
  await kernel?.requestExecute({ code: '%load_ext jupyter_ext', silent: true, store_history: false }).done;
  await page.app.commands.execute('notebook:run-cell');
  done();
}

function localPath({ manager }: Page, path: string): string {
  return manager.services.contents.localPath(path);
}

function add(page: Page, content: FormTab, beside?: string): void {
  const widget = new MainAreaWidget({ content });
  numTabs += 1;
  widget.id = `jupyter-ext-form-${numTabs}`;
  addTab(page.app, widget, { ref: beside, mode: 'split-right' });
}

async function showInstead(page: Page, tab: FormTab, kind: string, id: string, name: string): Promise<void> {
  const ref = tab.parent?.id;
  await page.app.commands.execute(CommandIDs.open, {
    kind,
    id,
    name,
    ...(ref && { ref, mode: 'tab-after' }),
  });
  close(tab);
}

function close(tab: FormTab): void {
  tab.parent?.dispose();
}
