// The models of this machine: what is on disk, on its way, loaded; watched from as many pages as one likes.
// The rule: a button asks the engine and nothing else; what is shown afterwards is what the engine then says.

import { element, setHidden, setText } from '../core/dom';
import { DrawScheduler } from '../core/draw_scheduler';
import { addStyles } from '../core/styles';
import { ListsFeed } from '../lists/lists_feed';
import type { Transport } from '../transport/transport';
import type { LocalModel, ModelPage } from '../wire';
import { AddModel } from './add_model';
import { ModelRow, type RowContext } from './model_row';
import { ModelsClient } from './models_client';
import { ModelsFeed } from './models_feed';
import { PLAYGROUND_STYLES } from './playground_styles';
import { ResourceBars } from './resource_bars';
import { MODELS_STYLES } from './styles';

/** What a host provides. */
export interface ModelsOptions {
  element: HTMLElement;
  transport: Transport;
  /** Only this model, opened; `null` for all. */
  modelId: string | null;
  /** The models as they were when the notebook was saved. */
  snapshot: ModelPage | null;
  /** Ends the view and all it holds. */
  signal: AbortSignal;
}

/** So many rows want a filter. */
const MANY = 8;

/** Draw the models until `options.signal` aborts. */
export function mountModels(options: ModelsOptions): void {
  new ModelsView(options);
}

class ModelsView {
  readonly #options: ModelsOptions;
  readonly #client: ModelsClient;
  readonly #feed: ModelsFeed;
  readonly #scheduler: DrawScheduler;
  readonly #root: HTMLElement;
  readonly #resources = new ResourceBars();
  readonly #add: AddModel;
  readonly #filter = element('input', {
    class: 'jx-models-filter',
    attrs: { type: 'search', placeholder: 'find', 'aria-label': 'Filter models' },
  });
  readonly #connection = element('span', { class: 'jx-connection', attrs: { role: 'status' } });
  readonly #refusal = element('div', {
    class: 'jx-message',
    attrs: { role: 'status', 'data-tone': 'warning' },
  });
  readonly #refusals = element('div', { class: 'jx-messages' }, this.#refusal);
  readonly #head: HTMLElement;
  readonly #list = element('div', { class: 'jx-models-list' });
  readonly #empty = element('div', { class: 'jx-blank' });
  readonly #rows = new Map<string, ModelRow>();

  constructor(options: ModelsOptions) {
    const { signal, modelId } = options;
    this.#options = options;
    this.#client = new ModelsClient(options.transport);
    this.#feed = new ModelsFeed(
      ListsFeed.of(options.transport),
      options.snapshot,
      () => this.#scheduler?.request(),
      signal
    );
    this.#add = new AddModel(reference => this.#addModel(reference), signal);
    const title = element(
      'div',
      { class: 'jx-models-bar' },
      element('span', { class: 'jx-models-title', text: 'Models' }),
      this.#add.node,
      this.#filter,
      element('span', { class: 'jx-spacer' }),
      this.#connection
    );
    const columns = element(
      'div',
      { class: 'jx-model-line jx-model-columns', attrs: { 'aria-hidden': 'true' } },
      ...['name', 'state', 'size', 'memory', 'revision', 'used by', ''].map(text => element('span', { text }))
    );
    this.#head = columns;
    const header = modelId === null ? [title, this.#add.note, this.#resources.node, columns] : [];
    this.#root = element(
      'section',
      {
        class: 'jx-panel jx-models',
        attrs: { role: 'region', 'aria-label': modelId === null ? 'Models' : `Model ${modelId}` },
      },
      ...header.slice(0, 1),
      this.#refusals,
      ...header.slice(1),
      this.#list,
      this.#empty
    );
    if (modelId !== null) {
      this.#root.classList.add('jx-models-one');
      this.#root.prepend(this.#connection);
    }
    options.element.replaceChildren(this.#root);
    addStyles(this.#root, MODELS_STYLES, PLAYGROUND_STYLES);
    this.#scheduler = new DrawScheduler(
      this.#root,
      () => this.#draw(),
      inSight => (inSight ? this.#feed.start() : this.#feed.pause()),
      signal
    );
    this.#filter.addEventListener('keydown', event => event.stopPropagation(), { signal });
    this.#filter.addEventListener('input', () => this.#scheduler.request(), { signal });
    signal.addEventListener('abort', () => {
      this.#feed.pause();
      this.#root.remove();
    });
    this.#draw();
    this.#scheduler.request();
  }

  async #addModel(reference: string): Promise<void> {
    const model = await this.#client.add(reference);
    this.#feed.put(model);
    this.#filter.value = '';
    this.#draw();
    this.#rows.get(model.id)?.toggle(true);
    this.#rows.get(model.id)?.node.scrollIntoView({ block: 'nearest' });
  }

  #context(): RowContext {
    return {
      client: this.#client,
      transport: this.#options.transport,
      request: () => this.#scheduler.request(),
      act: async (model, action, loadOptions) => {
        switch (action) {
          case 'load':
            return this.#client.load(model.id, loadOptions);
          case 'delete':
            return this.#client.remove(model.id);
          case 'cancel':
            // of a load: to end the process that it loads into
            return this.#client.act(model.id, model.state === 'loading' ? 'unload' : 'cancel');
          default:
            return this.#client.act(model.id, action);
        }
      },
    };
  }

  #shown(): LocalModel[] {
    const { modelId } = this.#options;
    const wanted = this.#filter.value.trim().toLowerCase();
    const all = this.#feed.models;
    if (modelId !== null) {
      return all.filter(model => model.id === modelId);
    }
    setHidden(this.#filter, all.length <= MANY && wanted === '');
    return wanted === ''
      ? all
      : all.filter(model => `${model.id} ${model.name} ${model.state}`.toLowerCase().includes(wanted));
  }

  #draw(): void {
    const { modelId } = this.#options;
    const { state, machine } = this.#feed;
    const live = state === 'live';
    const models = this.#shown();
    for (const [id, row] of this.#rows) {
      if (!models.some(model => model.id === id)) {
        row.node.remove();
        this.#rows.delete(id);
      }
    }
    models.forEach((model, i) => {
      let row = this.#rows.get(model.id);
      if (!row) {
        row = new ModelRow(model, this.#context(), this.#options.signal);
        this.#rows.set(model.id, row);
        if (modelId !== null) {
          row.toggle(true);
        }
      }
      if (this.#list.children[i] !== row.node) {
        this.#list.insertBefore(row.node, this.#list.children[i] ?? null);
      }
      row.draw(model, machine, live);
    });
    setHidden(this.#head, models.length === 0);
    setHidden(this.#empty, models.length > 0);
    setText(this.#empty, this.#emptyText(live));
    this.#add.draw(live);
    this.#resources.draw(machine, this.#feed.models);
    setText(this.#connection, state === 'reconnecting' ? 'reconnecting…' : '');
    this.#connection.title = this.#feed.reason;
    const { refusal } = this.#feed;
    setHidden(this.#refusals, refusal === '');
    setText(this.#refusal, refusal && `${refusal} Trying again.`);
    setHidden(this.#connection, state !== 'reconnecting');
  }

  #emptyText(live: boolean): string {
    const { modelId } = this.#options;
    if (!live) {
      const isBroken = this.#feed.state === 'reconnecting' && this.#feed.refusal === '';
      return isBroken ? this.#feed.reason : 'Asking the engine…';
    }
    if (modelId !== null) {
      return `${modelId} is not on the list any more; jx.models.get(${JSON.stringify(modelId)}) puts it back.`;
    }
    return this.#filter.value.trim() === ''
      ? 'No models yet. Add one by its reference, such as hub:sentence-transformers/all-MiniLM-L6-v2.'
      : 'No model fits.';
  }
}
