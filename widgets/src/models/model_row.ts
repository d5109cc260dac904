// One model in the list: what it is, what it does now, and what can be asked of it. It keeps its elements, so
// that a button does not vanish under a click, nor a text that somebody writes.

import { button, element, setHidden, setText } from '../core/dom';
import { messageOf } from '../core/errors';
import type { Machine } from '../lists/lists_data';
import type { LocalModel } from '../wire';
import {
  type Action,
  actionsOf,
  deleteQuestion,
  doubtText,
  errorText,
  fractionOf,
  isMoving,
  memoryText,
  memoryTitle,
  revisionText,
  shortName,
  sizeText,
  sizeTitle,
  transferText,
  UNKNOWN,
  unloadedText,
  usersText,
  usersTitle,
} from './labels';
import { type DetailsContext, ModelDetails } from './model_details';
import type { LoadOptions } from './models_client';

const LABELS: Record<Action, string> = {
  download: 'Download',
  cancel: 'Cancel',
  load: 'Load',
  run: 'Run',
  unload: 'Unload',
  update: 'Update',
  delete: 'Delete…',
};
const ACTIONS = Object.keys(LABELS) as Action[];

/** What a row asks of the view. */
export interface RowContext extends DetailsContext {
  /** Do it; rejects with what went wrong. */
  act(model: LocalModel, action: Exclude<Action, 'run'>, loadOptions: LoadOptions): Promise<void>;
  /** Ask to be drawn. */
  request(): void;
}

export class ModelRow {
  readonly node: HTMLElement;
  readonly #context: RowContext;
  readonly #signal: AbortSignal;
  readonly #open: HTMLButtonElement;
  readonly #chip = element('span', { class: 'jx-chip', attrs: { role: 'status' } });
  readonly #chipText = element('span');
  readonly #size = element('span', { class: 'jx-model-size' });
  readonly #memory = element('span', { class: 'jx-model-memory' });
  readonly #revision = element('span', { class: 'jx-model-revision' });
  readonly #newer = element('span', { class: 'jx-model-newer', text: 'newer exists' });
  readonly #users = element('span', { class: 'jx-model-users' });
  readonly #buttons: Record<Action, HTMLButtonElement>;
  readonly #question = element('span', { class: 'jx-model-question' });
  readonly #confirm: HTMLElement;
  readonly #actions: HTMLElement;
  readonly #bar = element('div', { class: 'jx-bar-fill' });
  readonly #track: HTMLElement;
  readonly #done = element('span');
  readonly #left = element('span');
  readonly #transfer: HTMLElement;
  readonly #messages: Record<'error' | 'doubt' | 'info', HTMLElement>;
  readonly #body = element('div', { class: 'jx-model-body' });
  #details: ModelDetails | null = null;
  #model: LocalModel;
  #isOpen = false;
  #asked = false;
  #busy: Action | null = null;
  #failure = '';
  #failedIn: string | null = null;

  constructor(model: LocalModel, context: RowContext, signal: AbortSignal) {
    this.#model = model;
    this.#context = context;
    this.#signal = signal;
    this.#open = button(
      { class: 'jx-model-name', attrs: { 'aria-expanded': 'false' } },
      () => this.toggle(!this.#isOpen),
      signal
    );
    this.#chip.append(element('span', { class: 'jx-dot' }), this.#chipText);
    const make = (action: Action) =>
      button(
        {
          class: `jx-button${action === 'download' || action === 'load' || action === 'run' ? ' jx-primary' : ''}`,
          text: LABELS[action],
        },
        () => this.#press(action),
        signal
      );
    this.#buttons = Object.fromEntries(ACTIONS.map(action => [action, make(action)])) as Record<
      Action,
      HTMLButtonElement
    >;
    this.#confirm = element(
      'span',
      { class: 'jx-model-confirm', attrs: { role: 'alertdialog', 'aria-label': 'Delete?' } },
      this.#question,
      button(
        { class: 'jx-button jx-danger jx-danger-confirm', text: 'Delete' },
        () => this.#answer(true),
        signal
      ),
      button({ class: 'jx-button', text: 'Keep' }, () => this.#answer(false), signal)
    );
    this.#actions = element('span', { class: 'jx-model-actions' }, ...Object.values(this.#buttons));
    this.#track = element(
      'div',
      {
        class: 'jx-bar',
        attrs: {
          role: 'progressbar',
          'aria-label': 'Download',
          'aria-valuemin': '0',
          'aria-valuemax': '100',
        },
      },
      this.#bar
    );
    this.#transfer = element(
      'div',
      { class: 'jx-model-transfer' },
      this.#track,
      element('div', { class: 'jx-progress-text' }, this.#done, this.#left)
    );
    this.#messages = {
      error: element('div', { class: 'jx-message', attrs: { 'data-tone': 'error', role: 'alert' } }),
      doubt: element('div', { class: 'jx-message', attrs: { 'data-tone': 'warning' } }),
      info: element('div', { class: 'jx-message', attrs: { role: 'status' } }),
    };
    const cell = (label: string, ...inside: HTMLElement[]) =>
      element('span', { class: 'jx-model-cell', attrs: { 'data-label': label } }, ...inside);
    this.node = element(
      'div',
      { class: 'jx-model', attrs: { role: 'group' } },
      element(
        'div',
        { class: 'jx-model-line' },
        element('span', { class: 'jx-model-title' }, this.#open),
        element('span', { class: 'jx-model-state' }, this.#chip),
        cell('size', this.#size),
        cell('memory', this.#memory),
        cell('revision', this.#revision, this.#newer),
        cell('used by', this.#users),
        this.#actions
      ),
      this.#confirm,
      this.#transfer,
      ...Object.values(this.#messages),
      this.#body
    );
    setHidden(this.#body, true);
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Open or close what is below the line. */
  toggle(open: boolean): void {
    this.#isOpen = open;
    this.#open.setAttribute('aria-expanded', String(open));
    if (open && !this.#details) {
      this.#details = new ModelDetails(this.#model, this.#context, this.#signal);
      this.#body.append(this.#details.node);
    }
    setHidden(this.#body, !open);
    this.#context.request();
  }

  /** Draw a model as it is now. */
  draw(model: LocalModel, machine: Machine | null, live: boolean): void {
    this.#model = model;
    if (this.#failedIn !== null && this.#failedIn !== model.state) {
      this.#failure = ''; // it has gone on since
      this.#failedIn = null;
    }
    const { node } = this;
    node.dataset.id = model.id;
    node.dataset.state = model.state;
    node.setAttribute('aria-label', model.name);
    setText(this.#open, shortName(model));
    this.#open.title = model.description ? `${model.id}\n${model.description}` : model.id;
    const failed = model.transfer?.status === 'failed' && !model.host;
    this.#chip.dataset.status = failed ? 'failed' : model.state;
    setText(
      this.#chipText,
      failed ? `failed${model.state === 'partial' ? ', partial' : ''}` : chipText(model)
    );
    setText(this.#size, sizeText(model));
    this.#size.title = sizeTitle(model);
    setText(this.#memory, memoryText(model));
    this.#memory.title = memoryTitle(model);
    setText(this.#revision, revisionText(model.revision));
    this.#revision.title = model.revision ?? '';
    setHidden(this.#newer, model.newer_revision === null);
    this.#newer.title = model.newer_revision === null ? '' : `Revision ${model.newer_revision} is on the hub`;
    setText(this.#users, usersText(model));
    this.#users.title = usersTitle(model);
    for (const shown of [this.#size, this.#memory, this.#revision, this.#users]) {
      shown.parentElement?.toggleAttribute(
        'data-none',
        shown.textContent === '' || shown.textContent === UNKNOWN
      );
    }
    this.#drawActions(model, live);
    this.#drawTransfer(model);
    this.#say('error', this.#failure || errorText(model));
    this.#say('doubt', machine === null ? '' : (doubtText(model, machine) ?? ''));
    this.#say('info', infoText(model));
    if (this.#isOpen) {
      this.#details?.draw(model, live);
    }
  }

  #drawActions(model: LocalModel, live: boolean): void {
    const possible = actionsOf(model);
    this.#asked &&= possible.includes('delete');
    for (const action of ACTIONS) {
      const shown = this.#buttons[action];
      setHidden(shown, !possible.includes(action));
      shown.disabled = !live || this.#busy !== null;
      setText(
        shown,
        this.#busy === action
          ? `${LABELS[action].replace('…', '')}…`
          : action === 'download' && model.state === 'partial'
            ? 'Resume'
            : LABELS[action]
      );
    }
    setHidden(this.#confirm, !this.#asked);
    setHidden(this.#actions, this.#asked);
    setText(this.#question, this.#asked ? deleteQuestion(model) : '');
  }

  #drawTransfer(model: LocalModel): void {
    const { transfer } = model;
    const shown = isMoving(model) || model.state === 'loading';
    setHidden(this.#transfer, !shown);
    if (!shown) {
      return;
    }
    const fraction = transfer && isMoving(model) ? fractionOf(transfer) : null;
    const unknown = fraction === null || transfer?.phase === 'verify';
    this.#track.classList.toggle('jx-bar-unknown', unknown);
    this.#bar.style.width = unknown ? '' : `${(100 * fraction).toFixed(2)}%`;
    if (unknown) {
      this.#track.removeAttribute('aria-valuenow');
    } else {
      this.#track.setAttribute('aria-valuenow', String(Math.floor(100 * fraction)));
    }
    const { done, left } =
      transfer && isMoving(model)
        ? transferText(transfer)
        : { done: 'loading into a process of its own', left: '' };
    setText(this.#done, fraction === null || unknown ? done : `${Math.floor(100 * fraction)} % · ${done}`);
    setText(this.#left, left);
    this.#done.title = transfer?.file ?? '';
  }

  #say(tone: 'error' | 'doubt' | 'info', text: string): void {
    setText(this.#messages[tone], text);
    setHidden(this.#messages[tone], text === '');
  }

  #press(action: Action): void {
    if (action === 'run') {
      this.toggle(true);
      this.#details?.draw(this.#model, true);
      this.#details?.focusPlayground();
    } else if (action === 'delete') {
      this.#asked = true;
      this.#context.request();
    } else {
      void this.#do(action);
    }
  }

  #answer(sure: boolean): void {
    this.#asked = false;
    if (sure) {
      void this.#do('delete');
    } else {
      this.#context.request();
    }
  }

  async #do(action: Exclude<Action, 'run'>): Promise<void> {
    this.#busy = action;
    this.#failure = '';
    this.#failedIn = null;
    this.#context.request();
    try {
      await this.#context.act(this.#model, action, this.#details?.loadOptions ?? {});
    } catch (error) {
      this.#failure = messageOf(error);
      this.#failedIn = this.#model.state;
    } finally {
      this.#busy = null;
      this.#context.request();
    }
  }
}

function chipText(model: LocalModel): string {
  if (model.state === 'loaded' && model.host?.state === 'busy') {
    return 'working';
  }
  if (model.state === 'absent') {
    return model.cloud ? 'in the cloud' : 'not here';
  }
  return isMoving(model) && model.state !== 'downloading' ? `${model.state}, updating` : model.state;
}

function infoText(model: LocalModel): string {
  const lines = [...new Set([...model.notices, ...(model.host?.notices ?? [])])];
  if (model.unloaded && model.host === null && model.state === 'downloaded') {
    lines.unshift(unloadedText(model.unloaded));
  }
  return lines.join(' · ');
}
