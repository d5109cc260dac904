// Looks which half of the product is missing or of another version, and shows it. Loaded with the first look.

import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { INotebookTracker } from '@jupyterlab/notebook';
import { Widget } from '@lumino/widgets';
import { element } from '../../../widgets/src/core/dom';
import { addStyles, css, type StyleSheet } from '../../../widgets/src/core/styles';
import type { ServerInfo } from '../../../widgets/src/transport/server';
import { jsonOf } from '../../../widgets/src/transport/transport';
import { VERSION } from '../../../widgets/src/wire';
import type { IEngine } from '../tokens';
import { type Finding, findingsOf } from './versions';

const FINDINGS_STYLES: StyleSheet = {
  id: 'jupyter-ext-findings-style',
  text: css`
    .jp-JupyterExt-findings {
      display: grid;
      gap: 10px;
      max-width: 560px;
      overflow-wrap: anywhere;
      margin: 0;
      padding: 0;
      list-style: none;
    }

    .jp-JupyterExt-finding {
      display: grid;
      grid-template-columns: 18px 1fr;
      gap: 4px;
      color: var(--jp-ui-font-color1);
    }

    .jp-JupyterExt-finding > span:first-child {
      color: var(--jp-success-color1);
      font-weight: 600;
    }

    .jp-JupyterExt-finding[data-ok='false'] > span:first-child {
      color: var(--jp-error-color1);
    }
  `,
};

/** Of the engine's own answer. */
interface EngineInfo {
  version: string;
  data_dir: string;
  idle_s: number;
}

/** Imports nothing of ours, and leaves no name behind. */
const KERNEL_VERSION = "__import__('importlib.metadata').metadata.version('jupyter-ext')";

/** Look, and show what was found in a dialog. */
export async function showFindings(engine: IEngine, notebooks: INotebookTracker | null): Promise<void> {
  const { trans } = engine;
  const findings = await look(engine, notebooks);
  const ok = findings.every(finding => finding.ok);
  await showDialog({
    title: ok ? trans.__('All parts fit together') : trans.__('Something does not fit'),
    body: new Findings(findings),
    buttons: [Dialog.okButton({ label: trans.__('Close') })],
  });
}

async function look({ transport }: IEngine, notebooks: INotebookTracker | null): Promise<Finding[]> {
  const info = (await transport.serverJson('info').catch(() => null)) as ServerInfo | null;
  const running = info && (await runningEngine(transport));
  return findingsOf({
    page: VERSION,
    server: info?.version ?? null,
    engine: running?.version ?? null,
    kernel: await kernelVersion(notebooks),
    directories: info?.directories,
    running,
  });
}

/** Ask the engine that runs; asking starts none. */
async function runningEngine({ running }: IEngine['transport']): Promise<EngineInfo | null> {
  const answer = await running.request('GET', '/native/engine').catch(() => null);
  return answer?.status === 200 ? jsonOf<EngineInfo>(answer) : null;
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
    addStyles(this.node, FINDINGS_STYLES);
  }
}
