// Calls without a cell: make a model, train it, evaluate it, call any method of it or a function of the session's code.

import { button, element, setHidden, setText } from '../core/dom';
import { messageOf } from '../core/errors';
import type { DebugSession } from '../wire';
import { callsOf, type OfferedCall } from './calls';
import { parseArguments } from './literals';
import type { SessionClient } from './session_client';

export class CallsView {
  readonly node: HTMLElement;
  readonly #client: SessionClient;
  readonly #which = element('select', { class: 'jx-calls-which', attrs: { 'aria-label': 'What to call' } });
  readonly #arguments = element('input', {
    class: 'jx-console-input',
    attrs: {
      type: 'text',
      'aria-label': 'Arguments',
      placeholder: 'arguments, such as steps=100, lr=0.1',
      spellcheck: 'false',
      autocapitalize: 'off',
      autocomplete: 'off',
    },
  });
  readonly #run: HTMLButtonElement;
  readonly #answer = element('div', { class: 'jx-calls-answer', attrs: { role: 'status' } });
  #offered: readonly OfferedCall[] = [];
  #isRunning = false;
  #isLive = false;

  constructor(client: SessionClient, signal: AbortSignal) {
    this.#client = client;
    this.#run = button({ class: 'jx-button jx-primary', text: 'Run' }, () => void this.#call(), signal);
    this.#arguments.addEventListener(
      'keydown',
      event => {
        event.stopPropagation(); // the notebook has shortcuts of its own
        if (event.key === 'Enter') {
          void this.#call();
        }
      },
      { signal }
    );
    this.node = element(
      'section',
      { class: 'jx-section' },
      element(
        'div',
        { class: 'jx-section-head' },
        element('span', { class: 'jx-section-title', text: 'Call' }),
        this.#which,
        this.#arguments,
        this.#run
      ),
      this.#answer
    );
    setHidden(this.#answer, true);
  }

  draw(session: DebugSession, isLive: boolean): void {
    this.#isLive = isLive;
    this.#offer(callsOf(session));
    setHidden(this.node, this.#offered.length === 0 || session.status === 'ended');
    this.#which.disabled = !isLive;
    this.#arguments.disabled = !isLive;
    this.#run.disabled = !isLive || this.#isRunning;
  }

  #offer(offered: readonly OfferedCall[]): void {
    if (JSON.stringify(offered) === JSON.stringify(this.#offered)) {
      return;
    }
    const chosen = this.#offered[this.#which.selectedIndex]?.key;
    // a model that has just been made is what one goes on with
    const isNew =
      chosen === 'instantiate' && offered.length > this.#offered.length && this.#offered.length > 0;
    this.#offered = offered;
    this.#which.replaceChildren(...offered.map(({ label }) => element('option', { text: label })));
    const kept = offered.findIndex(({ key }) => key === chosen);
    const next = isNew ? offered.findIndex(({ op }) => op !== 'instantiate') : kept;
    this.#which.selectedIndex = Math.max(0, next);
  }

  async #call(): Promise<void> {
    const offered = this.#offered[this.#which.selectedIndex];
    if (!offered || this.#isRunning || !this.#isLive) {
      return;
    }
    this.#isRunning = true;
    this.#run.disabled = true;
    this.#say('', `${offered.label} …`);
    try {
      const { op, params } = offered;
      const text = await this.#client.callCode(op, {
        ...params,
        args: parseArguments(this.#arguments.value),
      });
      this.#say('', `${offered.label}: ${text}`);
    } catch (error) {
      this.#say('error', messageOf(error));
    } finally {
      this.#isRunning = false;
      this.#run.disabled = !this.#isLive;
    }
  }

  #say(tone: string, text: string): void {
    this.#answer.dataset.tone = tone;
    setText(this.#answer, text);
    setHidden(this.#answer, false);
  }
}
