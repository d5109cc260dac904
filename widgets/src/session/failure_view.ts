// The last exception: its frames stay alive in the session, so each can be opened, and expressions are
// evaluated in it.

import { button, element, setHidden, setText } from '../core/dom';
import { messageOf } from '../core/errors';
import type { SessionFailure } from '../wire';
import { isInterrupt } from './labels';
import { NamesView } from './names_view';
import type { Failure, FrameWithLocals, SessionClient } from './session_client';

export class FailureView {
  readonly node = element('section', { class: 'jx-error', attrs: { role: 'alert' } });
  readonly #client: SessionClient;
  readonly #signal: AbortSignal;
  readonly #title = element('div', { class: 'jx-error-title' });
  readonly #hint = element('div', { class: 'jx-error-hint' });
  readonly #frames = element('ol', {
    class: 'jx-frames jx-session-frames',
    attrs: { 'aria-label': 'Frames, most recent call last' },
  });
  readonly #trace = element('pre', { attrs: { tabindex: '0' } });
  readonly #names: NamesView;
  #known = '';
  #failure: Failure | null = null;
  #selected = -1;

  constructor(client: SessionClient, signal: AbortSignal) {
    this.#client = client;
    this.#signal = signal;
    this.#names = new NamesView(expression => client.look(expression), signal);
    const trace = element(
      'details',
      { class: 'jx-trace' },
      element('summary', { text: 'Full traceback' }),
      this.#trace
    );
    this.node.append(this.#title, this.#hint, this.#frames, trace);
    this.node.hidden = true;
  }

  draw(failure: SessionFailure | null, ended: boolean): void {
    setHidden(this.node, failure === null);
    if (failure === null) {
      this.#known = '';
      this.#failure = null;
      return;
    }
    const interrupt = isInterrupt(failure);
    this.node.classList.toggle('jx-session-interrupt', interrupt);
    setText(
      this.#title,
      interrupt
        ? `${failure.op} was interrupted here`
        : failure.message
          ? `${failure.type}: ${failure.message}`
          : failure.type
    );
    const kept = interrupt
      ? 'The frames are kept until the next call'
      : `raised by ${failure.op}; the frames are kept, with everything in them. Mend the code and call again`;
    setText(this.#hint, ended ? `raised by ${failure.op}` : `${kept}: the models live on.`);
    const key = `${failure.op} ${failure.at}`;
    if (key !== this.#known && !ended) {
      this.#known = key;
      void this.#fetch();
    } else if (this.#failure && failure.selected !== this.#selected) {
      this.#selected = failure.selected;
      this.#drawFrames(this.#failure);
    }
  }

  async #fetch(select?: number): Promise<void> {
    try {
      this.#failure = await this.#client.frames(select);
      this.#selected = this.#failure.selected;
      this.#drawFrames(this.#failure);
    } catch (error) {
      if (select !== undefined || this.#failure === null) {
        this.#frames.replaceChildren(element('li', { class: 'jx-error-hint', text: messageOf(error) }));
      }
    }
  }

  #drawFrames({ frames, text }: Failure): void {
    setText(this.#trace, text);
    this.#frames.replaceChildren(...frames.map((frame, i) => this.#frame(frame, i, frames.length)));
  }

  #frame(frame: FrameWithLocals, number: number, count: number): HTMLElement {
    const selected = number === this.#selected;
    const where = button(
      {
        class: 'jx-frame-where',
        title: `${frame.file}: look at this frame`,
        attrs: { 'aria-expanded': String(selected) },
      },
      () => void this.#fetch(number),
      this.#signal
    );
    where.append(
      element('span', { class: 'jx-frame-function', text: frame.function }),
      element('span', {
        class: 'jx-frame-file',
        text: `${frame.file.split(/[\\/]/).slice(-2).join('/')}, line ${frame.line}`,
      })
    );
    const item = element(
      'li',
      {
        class: `jx-frame${number === count - 1 ? ' jx-frame-last' : ''}${selected ? ' jx-frame-selected' : ''}`,
      },
      where
    );
    if (frame.source?.trim()) {
      item.append(
        element(
          'div',
          { class: 'jx-frame-source' },
          element('span', { class: 'jx-frame-line', text: String(frame.line) }),
          element('code', { text: frame.source.trim() })
        )
      );
    }
    if (selected) {
      this.#names.draw(frame.locals ?? [], 'No names in this frame.');
      item.append(this.#names.node);
    }
    return item;
  }
}
