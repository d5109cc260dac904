// A command that says which half of the product is missing or of another version.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Dialog, ICommandPalette, showDialog } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { Widget } from '@lumino/widgets';
import { element } from '../../../widgets/src/core/dom';
import { jsonOf } from '../../../widgets/src/transport/transport';
import { VERSION } from '../../../widgets/src/wire';
import { CommandIDs } from '../commands/ids';
import { productIcon } from '../icons';
import { IEngine } from '../tokens';
import { type Finding, findingsOf } from './versions';

/** Imports nothing of ours, and leaves no name behind. */
const KERNEL_VERSION = "__import__('importlib.metadata').metadata.version('jupyter-ext')";

export const doctorPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-ext:doctor',
  description: 'Says which half of jupyter-ext is missing or of another version.',
  autoStart: true,
  requires: [IEngine],
  optional: [INotebookTracker, ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    engine: IEngine,
    notebooks: INotebookTracker | null,
    palette: ICommandPalette | null
  ) => {
    const { trans } = engine;
    app.commands.addCommand(CommandIDs.doctor, {
      label: trans.__('Check the Installation'),
      caption: trans.__('Check that all parts of jupyter-ext are installed in the same version'),
      icon: productIcon,
      describedBy: { args: { type: 'object', properties: {} } },
      execute: async () => {
        const findings = await look(engine, notebooks);
        const ok = findings.every(finding => finding.ok);
        await showDialog({
          title: ok ? trans.__('All parts fit together') : trans.__('Something does not fit'),
          body: new Findings(findings),
          buttons: [Dialog.okButton({ label: trans.__('Close') })],
        });
      },
    });
    palette?.addItem({ command: CommandIDs.doctor, category: trans.__('PyTorch') });
  },
};

async function look({ transport }: IEngine, notebooks: INotebookTracker | null): Promise<Finding[]> {
  const info = (await transport.serverJson('info').catch(() => null)) as { version: string } | null;
  const engine = info && (await engineVersion(transport));
  return findingsOf({
    page: VERSION,
    server: info?.version ?? null,
    engine,
    kernel: await kernelVersion(notebooks),
  });
}

/** Ask the engine that runs; asking starts none. */
async function engineVersion({ running }: IEngine['transport']): Promise<string | null> {
  const answer = await running.request('GET', '/native/engine').catch(() => null);
  return answer?.status === 200 ? jsonOf<{ version: string }>(answer).version : null;
}

/** Ask the kernel of the open notebook, unless it is busy or of another language. */
async function kernelVersion(notebooks: INotebookTracker | null): Promise<string | null | undefined> {
  const kernel = notebooks?.currentWidget?.sessionContext.session?.kernel;
  if (kernel?.status !== 'idle' || (await kernel.info).language_info.name !== 'python') {
    return undefined;
  }
  const asked = kernel.requestExecute({
    code: '',
    silent: true,
    store_history: false,
    user_expressions: { version: KERNEL_VERSION },
  });
  const { content } = await asked.done;
  if (content.status !== 'ok') {
    return null;
  }
  const found = content.user_expressions.version as { data?: Record<string, string> } | undefined;
  return found?.data?.['text/plain']?.replace(/^'|'$/g, '') ?? null;
}

class Findings extends Widget {
  constructor(findings: readonly Finding[]) {
    const rows = findings.map(({ ok, text }) =>
      element(
        'li',
        { class: 'jp-JupyterExt-finding', attrs: { 'data-ok': String(ok) } },
        element('span', { text: ok ? '✓' : '✗', attrs: { 'aria-hidden': 'true' } }),
        element('span', { text })
      )
    );
    super({ node: element('ul', { class: 'jp-JupyterExt-findings' }, ...rows) });
  }
}
