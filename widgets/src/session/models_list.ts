// The models that live in a session, each with its parameters and gradients on demand.

import { button, element, setHidden, setText } from '../core/dom';
import { messageOf } from '../core/errors';
import type { DebugModel, DebugSession } from '../wire';
import { factsOf, modelText, shapeOf } from './labels';
import type { Parameter, SessionClient } from './session_client';
import { factsView, histogramView } from './value_view';

/** A model of thousands of parameters would be a page of its own; these are the first. */
const MAX_PARAMETERS = 200;

export class ModelsList {
  readonly node: HTMLElement;
  readonly #client: SessionClient;
  readonly #signal: AbortSignal;
  readonly #list = element('div');
  readonly #rows = new Map<string, { node: HTMLElement; text: HTMLElement; look: HTMLButtonElement }>();

  constructor(client: SessionClient, signal: AbortSignal) {
    this.#client = client;
    this.#signal = signal;
    this.node = element(
      'section',
      { class: 'jx-section' },
      element(
        'div',
        { class: 'jx-section-head' },
        element('span', { class: 'jx-section-title', text: 'Models in memory' })
      ),
      this.#list
    );
  }

  draw(session: DebugSession, live: boolean): void {
    setHidden(this.node, session.models.length === 0);
    for (const [id, row] of this.#rows) {
      if (!session.models.some(model => model.id === id)) {
        row.node.remove();
        this.#rows.delete(id);
      }
    }
    for (const model of session.models) {
      const row = this.#rows.get(model.id) ?? this.#make(model);
      setText(row.text, modelText(model));
      row.text.title = model.methods.join(', ');
      row.look.disabled = !live;
    }
  }

  #make(model: DebugModel): { node: HTMLElement; text: HTMLElement; look: HTMLButtonElement } {
    const text = element('span', { class: 'jx-session-dim' });
    const body = element('div', { class: 'jx-session-body' });
    setHidden(body, true);
    const look = button(
      { class: 'jx-link', text: 'Parameters' },
      () => void this.#toggle(model.id, look, body),
      this.#signal
    );
    const line = element(
      'div',
      { class: 'jx-session-line' },
      element('strong', { text: model.type }),
      element('code', { class: 'jx-session-id', text: model.id }),
      text,
      element('span', { class: 'jx-spacer' }),
      look
    );
    const made = { node: element('div', { class: 'jx-session-item' }, line, body), text, look };
    this.#rows.set(model.id, made);
    this.#list.append(made.node);
    return made;
  }

  async #toggle(modelId: string, look: HTMLButtonElement, body: HTMLElement): Promise<void> {
    if (!body.hidden) {
      setHidden(body, true);
      setText(look, 'Parameters');
      return;
    }
    setText(look, 'Looking…');
    try {
      body.replaceChildren(...this.#parameters(modelId, await this.#client.parameters(modelId), look, body));
    } catch (error) {
      body.replaceChildren(element('div', { class: 'jx-message', text: messageOf(error) }));
    }
    setHidden(body, false);
    setText(look, 'Hide parameters');
  }

  #parameters(
    modelId: string,
    all: readonly Parameter[],
    look: HTMLButtonElement,
    body: HTMLElement
  ): HTMLElement[] {
    const again = button(
      { class: 'jx-link', text: 'Look again' },
      () => {
        setHidden(body, true);
        void this.#toggle(modelId, look, body);
      },
      this.#signal
    );
    const rows = all.slice(0, MAX_PARAMETERS).map(parameterRow);
    const more =
      all.length > MAX_PARAMETERS
        ? [
            element('div', {
              class: 'jx-session-dim',
              text: `and ${all.length - MAX_PARAMETERS} more; session.parameters() gives all`,
            }),
          ]
        : [];
    return [
      element(
        'div',
        { class: 'jx-session-again' },
        element('span', { class: 'jx-session-dim', text: 'value, then gradient' }),
        again
      ),
      ...rows,
      ...more,
    ];
  }
}

function parameterRow({ name, shape, dtype, trainable, value, grad }: Parameter): HTMLElement {
  const half = (title: string, summary: Parameter['value'] | null) => {
    const cell = element('div', { class: 'jx-parameter-half' });
    if (summary === null) {
      cell.append(
        element('span', {
          class: 'jx-session-dim',
          text: trainable ? 'no gradient now' : 'frozen',
          title: trainable ? 'Between zero_grad() and backward() there is none' : '',
        })
      );
      return cell;
    }
    if (summary.histogram) {
      const drawn = histogramView(summary.histogram, 'jx-spark');
      drawn.title = title;
      cell.append(drawn);
    }
    cell.append(factsView(factsOf(summary).filter(fact => fact.name === 'norm' || fact.bad)));
    return cell;
  };
  return element(
    'div',
    { class: 'jx-parameter' },
    element('code', { class: 'jx-parameter-name', text: name, title: name }),
    element('span', { class: 'jx-session-dim', text: `${dtype} ${shapeOf(shape)}` }),
    half('values', value),
    half('gradient', grad)
  );
}
