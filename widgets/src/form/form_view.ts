// A form that starts a training, drawn by the page without a kernel. The engine says which fields it has and
// judges what stands in them; the form shows that.
// The rule: a secret stays in its box. It goes with the launch and nowhere else.

import { button, element, setHidden, setText } from '../core/dom';
import { messageOf } from '../core/errors';
import { addStyles } from '../core/styles';
import { trans } from '../core/translate';
import type { Transport } from '../transport/transport';
import type { LaunchForm, Training } from '../wire';
import { type Control, makeControl } from './controls';
import { type CellPlace, FormClient, type LaunchSource } from './form_client';
import type { Files } from './path_box';
import { type RayPlace, rayName, rayOptions } from './ray_place';
import { FORM_STYLES } from './styles';

/** What a host provides. */
export interface FormOptions {
  element: HTMLElement;
  transport: Transport;
  source: LaunchSource;
  /** Where that is, in a few words, such as `Cell In[3] of digits.ipynb`. */
  origin: string;
  /** The notebook's cell that it is started from, if any, in the directory that the engine names. */
  place(cwd: string | null): CellPlace | null;
  files: Files;
  /** The Ray cluster that is offered, and whether the form begins with it; absent where there is none. */
  ray?: { place: RayPlace; isFirst: boolean };
  /** A training was started. */
  started(training: Training): void;
  /** Put the line over the cell and run it in the notebook's kernel; absent where there is no cell. */
  runInKernel?(line: string): void;
  /** Copy a text. */
  copy(text: string): void;
  signal: AbortSignal;
}

const TYPING_MS = 200;

/** Draw a form until `options.signal` aborts. */
export function mountForm(options: FormOptions): void {
  new FormView(options).open();
}

class FormView {
  readonly #options: FormOptions;
  readonly #client: FormClient;
  readonly #root: HTMLElement;
  readonly #name = element('input', {
    class: 'jx-form-name',
    title: trans.__('What the training is called'),
    attrs: {
      type: 'text',
      'aria-label': trans.__('Name of the training'),
      spellcheck: 'false',
      autocomplete: 'off',
    },
  });
  readonly #notices = element('div', { class: 'jx-messages' });
  readonly #rows = element('div', { class: 'jx-form-rows' });
  readonly #general = element('div', { class: 'jx-bad jx-form-general', attrs: { role: 'alert' } });
  readonly #line = element('code', {
    class: 'jx-form-line',
    attrs: { 'aria-label': trans.__('Equivalent line') },
  });
  readonly #start = element('button', {
    class: 'jx-button jx-form-start',
    text: trans.__('Train'),
    attrs: { type: 'submit' },
  });
  readonly #end: HTMLElement;
  readonly #on = element('select', {
    class: 'jx-form-on',
    title: trans.__('Where it runs'),
    attrs: { 'aria-label': trans.__('Where it runs') },
  });
  readonly #errors = new Map<string, HTMLElement>();
  /** Whose errors are shown: those that a person has been in, and all once the start was tried. */
  readonly #touched = new Set<string>();
  #controls: Control[] = [];
  #form: LaunchForm | null = null;
  #asked = 0;
  #waiting: ReturnType<typeof setTimeout> | undefined;

  constructor(options: FormOptions) {
    const { signal } = options;
    this.#options = options;
    this.#client = new FormClient(options.transport);
    const copy = button(
      {
        class: 'jx-link',
        text: trans.__('Copy'),
        title: trans.__('Copy the line that starts the same in a notebook'),
      },
      () => options.copy(this.#line.textContent ?? ''),
      signal
    );
    this.#end = element(
      'div',
      { class: 'jx-form-end' },
      this.#start,
      element('div', { class: 'jx-form-same' }, this.#line, copy)
    );
    this.#root = element(
      'form',
      { class: 'jx-panel jx-form', attrs: { 'aria-label': trans.__('Start a training'), novalidate: '' } },
      element(
        'div',
        { class: 'jx-form-head' },
        element('span', { class: 'jx-form-verb', text: trans.__('Train') }),
        this.#name,
        ...this.#where(),
        element('span', { class: 'jx-form-origin', text: options.origin, title: options.origin })
      ),
      this.#notices,
      this.#rows,
      this.#general,
      this.#end
    );
    this.#name.addEventListener('input', () => this.#later(), { signal });
    this.#root.addEventListener('submit', event => {
      event.preventDefault();
      void this.#launch();
    });
    this.#root.addEventListener('keydown', event => event.stopPropagation(), { signal });
    signal.addEventListener('abort', () => {
      clearTimeout(this.#waiting);
      this.#root.remove();
    });
    options.element.replaceChildren(this.#root);
    addStyles(this.#root, FORM_STYLES);
  }

  #where(): HTMLElement[] {
    const { ray, signal } = this.#options;
    if (!ray) {
      return [];
    }
    this.#on.append(
      element('option', { text: trans.__('this machine'), attrs: { value: 'local' } }),
      element('option', { text: trans.__('Ray at %1', rayName(ray.place.address)), attrs: { value: 'ray' } })
    );
    this.#on.value = ray.isFirst ? 'ray' : 'local';
    this.#on.addEventListener('change', () => this.#form && this.#judge(this.#form), { signal });
    return [element('span', { class: 'jx-form-on-word', text: trans.__('on') }), this.#on];
  }

  // The cluster that is chosen; `null` for the server's machine.
  #ray(): RayPlace | null {
    return this.#on.value === 'ray' ? (this.#options.ray?.place ?? null) : null;
  }

  #lineOf(form: LaunchForm): string {
    const ray = this.#ray();
    return ray ? form.line + rayOptions(ray) : form.line;
  }

  /** Ask for the fields, and draw them. */
  open(): void {
    setHidden(this.#end, true);
    setHidden(this.#name, true);
    this.#rows.replaceChildren(
      element('div', { class: 'jx-form-wait', text: trans.__('Reading the inputs…') })
    );
    void this.#client.form(this.#options.source, {}).then(
      form => this.#options.signal.aborted || this.#draw(form),
      (error: unknown) => this.#refuse(messageOf(error))
    );
  }

  #refuse(why: string): void {
    const again = button(
      { class: 'jx-link', text: trans.__('Try again') },
      () => this.open(),
      this.#options.signal
    );
    this.#rows.replaceChildren(
      element('div', { class: 'jx-form-refused', attrs: { role: 'alert' } }, `${why} `, again)
    );
  }

  #draw(form: LaunchForm): void {
    const { files, signal } = this.#options;
    this.#form = form;
    this.#name.value = form.name;
    setHidden(this.#name, false);
    this.#controls = form.fields.map(field => makeControl(field, files, signal));
    this.#rows.replaceChildren(...this.#controls.map((control, i) => this.#row(control, i)));
    if (this.#controls.length === 0) {
      this.#rows.append(element('div', { class: 'jx-form-wait', text: trans.__('It takes no inputs.') }));
    }
    this.#drawNotices(form);
    setHidden(this.#end, false);
    this.#judge(form);
    (this.#controls[0]?.main ?? this.#start).focus({ preventScroll: true });
  }

  #row(control: Control, index: number): HTMLElement {
    const { field, main, parts } = control;
    const { signal } = this.#options;
    main.id = `jx-input-${index}-${Math.random().toString(36).slice(2)}`;
    const error = element('div', { class: 'jx-form-error', attrs: { role: 'alert' } });
    error.id = `${main.id}-error`;
    error.hidden = true;
    this.#errors.set(field.name, error);
    const label = element('label', { text: field.name, title: field.tooltip, attrs: { for: main.id } });
    if (field.required) {
      label.classList.add('jx-form-required');
      main.setAttribute('aria-required', 'true');
    }
    const touched = () => {
      this.#touched.add(field.name);
      this.#later();
    };
    main.addEventListener('input', touched, { signal });
    main.addEventListener('change', touched, { signal });
    const about = field.description
      ? [element('span', { class: 'jx-form-about', text: field.description })]
      : [];
    return element(
      'div',
      { class: 'jx-form-row', attrs: { 'data-kind': field.kind } },
      label,
      element('div', { class: 'jx-form-control' }, ...parts, ...about, error)
    );
  }

  #drawNotices(form: LaunchForm): void {
    const { runInKernel, signal } = this.#options;
    const rows: HTMLElement[] = [];
    if (form.notice) {
      rows.push(element('div', { class: 'jx-message', text: form.notice }));
    }
    if (form.missing.length > 0) {
      const names = form.missing.join(', ');
      const text = element('span', {
        text: `${
          form.missing.length === 1
            ? trans.__("%1: only the notebook's kernel has this name.", names)
            : trans.__("%1: only the notebook's kernel has these names.", names)
        } `,
      });
      const way = runInKernel
        ? [
            button(
              { class: 'jx-link', text: trans.__('Run the cell with %1 instead', '%%train') },
              () => runInKernel(this.#lineOf(this.#form ?? form)),
              signal
            ),
          ]
        : [];
      rows.push(element('div', { class: 'jx-message', attrs: { 'data-tone': 'warning' } }, text, ...way));
    }
    this.#notices.replaceChildren(...rows);
  }

  #holds(): Record<string, unknown> {
    const pairs = this.#controls.map(({ field, holds }) => [field.name, holds()] as const);
    return Object.fromEntries(pairs.filter(([, value]) => value !== undefined));
  }

  #source(): LaunchSource {
    const name = this.#name.value.trim();
    return name === '' ? this.#options.source : { ...this.#options.source, name };
  }

  #later(): void {
    clearTimeout(this.#waiting);
    this.#waiting = setTimeout(() => void this.#check(), TYPING_MS);
  }

  /** Have the engine judge what stands in the form; `null` where a later question has overtaken this one. */
  async #check(): Promise<LaunchForm | null> {
    clearTimeout(this.#waiting);
    const asked = ++this.#asked;
    try {
      const form = await this.#client.form(this.#source(), this.#holds());
      if (asked !== this.#asked || this.#options.signal.aborted) {
        return null;
      }
      this.#form = form;
      this.#judge(form);
      return form;
    } catch (error) {
      setText(this.#general, messageOf(error));
      return null;
    }
  }

  #judge(form: LaunchForm): void {
    const wrong = new Map(form.errors.map(({ name, message }) => [name, message]));
    setText(this.#general, wrong.get('') ?? '');
    for (const { field, main } of this.#controls) {
      const error = this.#errors.get(field.name);
      const message = this.#touched.has(field.name) ? (wrong.get(field.name) ?? '') : '';
      if (error) {
        setText(error, message);
        setHidden(error, message === '');
        main.setAttribute('aria-invalid', String(message !== ''));
        main.setAttribute('aria-describedby', message ? error.id : '');
      }
    }
    setText(this.#line, this.#lineOf(form));
  }

  async #launch(): Promise<void> {
    this.#start.disabled = true;
    setText(this.#start, trans.__('Starting…'));
    try {
      for (const { field } of this.#controls) {
        this.#touched.add(field.name);
      }
      const form = await this.#check();
      if (form === null) {
        return;
      }
      if (form.errors.length > 0) {
        const bad = new Set(form.errors.map(({ name }) => name));
        this.#controls.find(({ field }) => bad.has(field.name))?.main.focus();
        return;
      }
      const input = { ...form.values, ...this.#secrets() };
      const { place, started } = this.#options;
      started(await this.#client.train(this.#source(), input, form, place(form.cwd), this.#ray()));
    } catch (error) {
      setText(this.#general, messageOf(error));
    } finally {
      this.#start.disabled = false;
      setText(this.#start, trans.__('Train'));
    }
  }

  #secrets(): Record<string, unknown> {
    const given = this.#controls.filter(({ field, holds }) => field.kind === 'secret' && holds() !== '');
    return Object.fromEntries(given.map(({ field, holds }) => [field.name, holds()]));
  }
}
