// What is below a model's line: facts, how to load it, its files, and the playground once it is loaded.

import { button, element, setHidden, setText } from '../core/dom';
import { messageOf } from '../core/errors';
import { formatBytes } from '../core/format';
import type { Transport } from '../transport/transport';
import type { LocalModel, ModelHost } from '../wire';
import { KeepAliveControls, keepText } from './keep_alive_controls';
import { parametersText, revisionText } from './labels';
import type { LoadOptions, ModelsClient } from './models_client';
import { Playground } from './playground';

/** What an open row needs of the view. */
export interface DetailsContext {
  readonly client: ModelsClient;
  readonly transport: Transport;
}

const DEVICES = ['', 'cpu', 'cuda', 'mps'];
/** Characters from which a fact has a line of its own. */
const LONG = 36;
const TASKS: Record<NonNullable<ModelHost['task']>, string> = {
  embed: 'text to vectors',
  classify: 'text to labels',
  generate: 'text to text',
  forward: 'tensors to tensors',
  tensors: 'tensors by name, no module',
};
const DTYPES = ['', 'float32', 'bfloat16', 'float16'];

export class ModelDetails {
  readonly node: HTMLElement;
  readonly #device = select('Device', DEVICES, 'automatic');
  readonly #dtype = select('dtype', DTYPES, 'as stored');
  readonly #loading: HTMLElement;
  readonly #facts = element('dl', { class: 'jx-facts jx-model-facts' });
  readonly #files = element('details', { class: 'jx-model-files' });
  readonly #filesTitle = element('summary');
  readonly #filesList = element('div');
  readonly #check: HTMLButtonElement;
  readonly #checkNote = element('span', { attrs: { role: 'status' } });
  readonly #keepAlive: KeepAliveControls;
  readonly #playgroundHome = element('div');
  readonly #context: DetailsContext;
  readonly #signal: AbortSignal;
  #playground: Playground | null = null;

  constructor(model: LocalModel, context: DetailsContext, signal: AbortSignal) {
    this.#context = context;
    this.#signal = signal;
    this.#loading = element('div', { class: 'jx-model-wish' }, 'Load on', this.#device, 'as', this.#dtype);
    this.#keepAlive = new KeepAliveControls(model, context.client, signal);
    const copy = button(
      { class: 'jx-link', text: 'Copy the code for it' },
      () => void copyCode(model.id, copy),
      signal
    );
    this.#check = button(
      { class: 'jx-link', text: 'Look for a newer revision' },
      () => void this.#checkNewer(model.id),
      signal
    );
    this.#files.append(this.#filesTitle, this.#filesList);
    this.node = element(
      'div',
      { class: 'jx-model-details' },
      this.#playgroundHome,
      this.#loading,
      this.#keepAlive.node,
      this.#facts,
      this.#files,
      element(
        'div',
        { class: 'jx-model-code' },
        element('code', { text: codeFor(model.id) }),
        copy,
        this.#check,
        this.#checkNote
      )
    );
  }

  /** How it is to be loaded. */
  get loadOptions(): LoadOptions {
    return {
      ...(this.#device.value ? { device: this.#device.value } : {}),
      ...(this.#dtype.value ? { dtype: this.#dtype.value } : {}),
    };
  }

  focusPlayground(): void {
    this.#playground?.focus();
  }

  draw(model: LocalModel, live: boolean): void {
    const loaded = model.state === 'loaded';
    setHidden(
      this.#loading,
      model.state !== 'downloaded' && model.state !== 'absent' && model.state !== 'partial'
    );
    if (loaded && !this.#playground) {
      this.#playground = new Playground(model, this.#context, this.#signal);
      this.#playgroundHome.append(this.#playground.node);
    }
    setHidden(this.#playgroundHome, !loaded);
    this.#playground?.draw(live && loaded);
    this.#keepAlive.draw(model, live);
    setHidden(
      this.#check,
      model.source !== 'hub' || model.newer_revision !== null || (model.state !== 'downloaded' && !loaded)
    );
    const facts = factsOf(model);
    const key = JSON.stringify(facts);
    if (this.#facts.dataset.key !== key) {
      this.#facts.dataset.key = key;
      this.#facts.replaceChildren(
        ...facts.map(([name, value]) =>
          element(
            'div',
            { class: value.length > LONG ? 'jx-fact jx-fact-long' : 'jx-fact' },
            element('dt', { text: name }),
            element('dd', { text: value })
          )
        )
      );
    }
    this.#drawFiles(model);
  }

  async #checkNewer(id: string): Promise<void> {
    this.#check.disabled = true;
    setText(this.#checkNote, 'asking the hub…');
    try {
      const { newer_revision } = await this.#context.client.checkNewer(id);
      setText(
        this.#checkNote,
        newer_revision === null ? 'this is the newest' : `${revisionText(newer_revision)} exists`
      );
    } catch (error) {
      setText(this.#checkNote, messageOf(error));
    }
    this.#check.disabled = false;
  }

  #drawFiles(model: LocalModel): void {
    setHidden(this.#files, model.files.length === 0);
    const key = JSON.stringify(model.files);
    if (this.#files.dataset.key === key) {
      return;
    }
    this.#files.dataset.key = key;
    setText(this.#filesTitle, `${model.files.length} ${model.files.length === 1 ? 'file' : 'files'}`);
    this.#filesList.replaceChildren(
      ...model.files.map(file =>
        element(
          'div',
          { class: 'jx-model-file' },
          element('span', { text: file.name, title: file.name }),
          element('span', {
            text:
              file.kept_bytes > 0 && file.kept_bytes < file.bytes
                ? `${formatBytes(file.kept_bytes)} of ${formatBytes(file.bytes)}`
                : formatBytes(file.bytes),
          }),
          element('span', {
            class: 'jx-model-hash',
            text: file.sha256?.slice(0, 12) ?? '',
            title: file.sha256 === null ? '' : `sha256 ${file.sha256}`,
          })
        )
      )
    );
  }
}

function factsOf(model: LocalModel): [string, string][] {
  const { host } = model;
  const facts: [string, string | null][] = [
    ['reference', model.id],
    ['architecture', model.architecture],
    ['parameters', model.num_parameters === null ? null : parametersText(model.num_parameters)],
    ['stored as', model.dtype],
    ['revision', model.revision],
    ['newer', model.newer_revision === null ? null : revisionText(model.newer_revision)],
    ['path', model.path !== null && model.id.endsWith(model.path) ? null : model.path],
  ];
  if (host) {
    facts.push(
      [
        'loaded',
        [host.device, host.dtype, host.load_s === null ? null : `in ${host.load_s.toFixed(2)} s`]
          .filter(Boolean)
          .join(', '),
      ],
      ['task', host.task === null ? null : TASKS[host.task]],
      ['process', host.pid === null ? null : `pid ${host.pid}`],
      ['calls', `${host.num_calls}${host.in_flight > 0 ? `, ${host.in_flight} under way` : ''}`],
      ['memory', memoryFact(model)],
      ['stays', host.pinned ? 'pinned' : keepText(host.keep_alive_s ?? -1)],
      [
        'used by',
        host.users.map(user => `${user.name}${user.pid === null ? '' : ` (pid ${user.pid})`}`).join(', ') ||
          'nobody',
      ]
    );
  } else if (model.memory_bytes !== null) {
    facts.push(['memory', `about ${formatBytes(model.memory_bytes)} when loaded`]);
  }
  const known = facts.filter((fact): fact is [string, string] => fact[1] !== null && fact[1] !== '');
  return [
    ...known.filter(([, value]) => value.length <= LONG),
    ...known.filter(([, value]) => value.length > LONG),
  ];
}

function memoryFact(model: LocalModel): string | null {
  const { host } = model;
  if (!host || host.memory_bytes === null) {
    return null;
  }
  const parts = [`${formatBytes(host.memory_bytes)} measured`];
  if (host.private_bytes !== null) {
    parts.push(`${formatBytes(host.private_bytes)} its own`);
  }
  if (host.device_bytes) {
    parts.push(`${formatBytes(host.device_bytes)} on ${host.device}`);
  }
  if (host.estimated_bytes !== null) {
    parts.push(`${formatBytes(host.estimated_bytes)} estimated`);
  }
  return parts.join(', ');
}

function select(label: string, values: readonly string[], automatic: string): HTMLSelectElement {
  const made = element('select', { attrs: { 'aria-label': label } });
  made.append(...values.map(value => element('option', { text: value || automatic, attrs: { value } })));
  return made;
}

function codeFor(id: string): string {
  return `model = jx.models.get(${JSON.stringify(id)})`;
}

async function copyCode(id: string, shown: HTMLButtonElement): Promise<void> {
  try {
    await navigator.clipboard.writeText(codeFor(id));
    setText(shown, 'Copied');
  } catch {
    setText(shown, 'Select it and copy');
  }
}
