// A place to try a loaded model: text in, text or embedding out; tensors in, a summary and a histogram out.
// Calls go to the engine, not to the kernel, so it works while the kernel is busy or gone.

import { button, element, setHidden, setText } from '../core/dom';
import { messageOf } from '../core/errors';
import { type OpenStream, refusalOf } from '../transport/transport';
import type { LocalModel } from '../wire';
import type { DetailsContext } from './model_details';
import { OutputView } from './output_view';
import {
  type CallInput,
  DTYPES,
  FILLS,
  type Fill,
  type GenerateEvent,
  parseLiteral,
  parseShape,
  type TensorInput,
  writesText,
} from './playground_calls';

type Mode = 'text' | 'tensor';

const EXAMPLE_TEXT =
  'A cat sits on the mat.\nSomewhere a kitten sleeps on a rug.\nInterest rates went up again.';
const EXAMPLE_PROMPT = 'Once upon a time';

export class Playground {
  readonly node: HTMLElement;
  readonly #modelId: string;
  readonly #context: DetailsContext;
  readonly #writes: boolean;
  readonly #modes: Record<Mode, HTMLButtonElement>;
  readonly #text: HTMLTextAreaElement;
  readonly #maxTokens = element('input', {
    attrs: { type: 'number', min: '1', max: '2048', value: '60', 'aria-label': 'New tokens at most' },
  });
  readonly #shape = element('input', {
    attrs: { value: '1, 8', 'aria-label': 'Shape', spellcheck: 'false' },
  });
  readonly #literal = element('textarea', {
    attrs: { rows: '2', 'aria-label': 'Values', placeholder: '[[1, 2.5], [3, 4]]', spellcheck: 'false' },
  });
  readonly #dtype = choice('dtype', DTYPES);
  readonly #fill = choice('Values from', [...FILLS, 'written out']);
  readonly #textForm: HTMLElement;
  readonly #tensorForm: HTMLElement;
  readonly #run: HTMLButtonElement;
  readonly #stop: HTMLButtonElement;
  readonly #note = element('span', { class: 'jx-play-note', attrs: { role: 'status' } });
  readonly #output: OutputView;
  #mode: Mode;
  #stream: OpenStream | null = null;
  #calling = false;
  #live = true;

  constructor(model: LocalModel, context: DetailsContext, signal: AbortSignal) {
    this.#modelId = model.id;
    this.#context = context;
    const task = model.host?.task ?? null;
    this.#writes = task === null ? writesText(model.architecture) : task === 'generate';
    this.#mode = model.tokenizer ? 'text' : 'tensor';
    this.#text = element('textarea', {
      text: this.#writes ? EXAMPLE_PROMPT : EXAMPLE_TEXT,
      attrs: { rows: '3', 'aria-label': this.#writes ? 'Prompt' : 'Texts, one a line' },
    });
    const tab = (mode: Mode, text: string) =>
      button({ text, attrs: { 'aria-pressed': 'false' } }, () => this.#setMode(mode), signal);
    this.#modes = { text: tab('text', 'Text'), tensor: tab('tensor', 'Tensors') };
    this.#run = button({ class: 'jx-button jx-primary', text: 'Run' }, () => void this.#start(), signal);
    this.#stop = button({ class: 'jx-button jx-danger', text: 'Stop' }, () => this.#end('stopped'), signal);
    const tokens = element('label', {}, 'new tokens', this.#maxTokens);
    setHidden(tokens, !this.#writes);
    this.#textForm = element('div', { class: 'jx-play-form' }, this.#text, tokens);
    const shape = element('label', {}, 'shape', this.#shape);
    this.#tensorForm = element(
      'div',
      { class: 'jx-play-form' },
      element(
        'div',
        { class: 'jx-play-fields' },
        element('label', {}, 'values', this.#fill),
        shape,
        element('label', {}, 'dtype', this.#dtype)
      ),
      this.#literal
    );
    this.#output = new OutputView(context.transport, signal);
    const head = element(
      'div',
      { class: 'jx-play-head' },
      element('span', { class: 'jx-section-title', text: 'Try it' }),
      element('span', { class: 'jx-segments jx-play-modes' }, this.#modes.text, this.#modes.tensor)
    );
    setHidden(this.#modes.text, !model.tokenizer);
    if (model.tokenizer) {
      // a model that reads text takes tokens
      this.#dtype.value = 'int64';
      this.#fill.value = 'arange';
    }
    const go = element('div', { class: 'jx-play-go' }, this.#run, this.#stop, this.#note);
    this.node = element(
      'section',
      { class: 'jx-play', attrs: { 'aria-label': 'Playground' } },
      head,
      this.#textForm,
      this.#tensorForm,
      go,
      this.#output.node
    );
    this.#listen(shape, signal);
    this.#setMode(this.#mode);
  }

  focus(): void {
    (this.#mode === 'text' ? this.#text : this.#shape).focus();
  }

  /** @param live Whether it can be asked now. */
  draw(live: boolean): void {
    this.#live = live;
    this.#run.disabled = !live || this.#calling;
    setHidden(this.#stop, this.#stream === null);
  }

  #listen(shape: HTMLElement, signal: AbortSignal): void {
    // The notebook has shortcuts of its own; Ctrl+Enter runs, as in a cell.
    const onKey = (event: KeyboardEvent) => {
      event.stopPropagation();
      if (event.key === 'Enter' && (event.ctrlKey || event.metaKey || event.shiftKey)) {
        event.preventDefault();
        void this.#start();
      }
    };
    for (const field of [this.#text, this.#literal, this.#shape, this.#maxTokens] as HTMLElement[]) {
      field.addEventListener('keydown', onKey, { signal });
    }
    const onFill = () => {
      const written = this.#fill.value === 'written out';
      setHidden(shape, written);
      setHidden(this.#literal, !written);
    };
    this.#fill.addEventListener('change', onFill, { signal });
    onFill();
    signal.addEventListener('abort', () => this.#stream?.close());
  }

  #setMode(mode: Mode): void {
    this.#mode = mode;
    for (const [name, tab] of Object.entries(this.#modes)) {
      tab.setAttribute('aria-pressed', String(name === mode));
    }
    setHidden(this.#textForm, mode !== 'text');
    setHidden(this.#tensorForm, mode !== 'tensor');
  }

  async #start(): Promise<void> {
    if (this.#calling || !this.#live) {
      return;
    }
    if (this.#mode === 'text' && this.#writes) {
      this.#generate();
      return;
    }
    let input: CallInput;
    try {
      input = this.#input();
    } catch (error) {
      this.#say(messageOf(error), true);
      return;
    }
    this.#setCalling(true);
    this.#say('calling…');
    try {
      const summary = await this.#context.client.call(this.#modelId, input);
      this.#say(tookText(summary.took_s));
      this.#output.show(summary.outputs, 'texts' in input ? input.texts : []);
    } catch (error) {
      this.#say(messageOf(error), true);
    } finally {
      this.#setCalling(false);
    }
  }

  #input(): CallInput {
    if (this.#mode === 'text') {
      const texts = this.#text.value
        .split('\n')
        .map(line => line.trim())
        .filter(Boolean);
      if (texts.length === 0) {
        throw new Error('Write a text first.');
      }
      return { texts };
    }
    const dtype = this.#dtype.value;
    const tensor: TensorInput =
      this.#fill.value === 'written out'
        ? { literal: parseLiteral(this.#literal.value), dtype }
        : { shape: parseShape(this.#shape.value), dtype, fill: this.#fill.value as Fill };
    return { tensors: [tensor] };
  }

  #generate(): void {
    const prompt = this.#text.value;
    this.#setCalling(true);
    this.#say('writing…');
    this.#output.beginText(prompt);
    const began = performance.now();
    let num = 0;
    this.#stream = this.#context.client.generate(this.#modelId, prompt, Number(this.#maxTokens.value) || 60, {
      text: data => {
        const event = JSON.parse(data) as GenerateEvent;
        if (event.kind === 'text') {
          num += 1;
          this.#output.addText(event.text);
          this.#say(`writing… ${perSecond(num, (performance.now() - began) / 1000)}`);
        } else if (event.kind === 'end') {
          this.#end(
            `${event.num_tokens} tokens in ${tookText(event.took_s)}, ${perSecond(event.num_tokens, event.took_s)}`
          );
        } else {
          this.#end(event.message, true);
        }
      },
      binary: () => undefined,
      closed: (code, reason) =>
        this.#end(refusalOf(code, reason) || 'The engine broke off; what was written stands above.', true),
    });
    this.draw(this.#live);
  }

  #end(text: string, isError = false): void {
    this.#stream?.close();
    this.#stream = null;
    this.#say(text, isError);
    this.#setCalling(false);
  }

  #setCalling(calling: boolean): void {
    this.#calling = calling;
    this.draw(this.#live);
  }

  #say(text: string, isError = false): void {
    setText(this.#note, text);
    this.#note.dataset.tone = isError ? 'error' : 'info';
  }
}

function choice(label: string, values: readonly string[]): HTMLSelectElement {
  return element(
    'select',
    { attrs: { 'aria-label': label } },
    ...values.map(value => element('option', { text: value, attrs: { value } }))
  );
}

function tookText(seconds: number): string {
  return seconds < 1 ? `${(1000 * seconds).toFixed(seconds < 0.01 ? 1 : 0)} ms` : `${seconds.toFixed(2)} s`;
}

function perSecond(num: number, seconds: number): string {
  return seconds > 0 ? `${(num / seconds).toFixed(num / seconds < 10 ? 1 : 0)} tokens/s` : '';
}
