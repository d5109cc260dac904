// A box for a path: completed from the server's files, chosen in a browser of them, or filled by an upload.

import { button, element, setText } from '../core/dom';
import { messageOf } from '../core/errors';
import { trans } from '../core/translate';
import type { LaunchField } from '../wire';

const TYPING_MS = 120;

/** What the page that shows a form can do about files. */
export interface Files {
  /** Return paths that begin with a text, folders with a slash at their end. */
  complete(text: string): Promise<readonly string[]>;
  /** Let a person choose a file or folder; `null` where none was. */
  choose(title: string): Promise<string | null>;
  /** Keep a file of the browser's machine where the training finds it, and return its path. */
  upload(file: File, told: (fraction: number) => void): Promise<string>;
}

/** Make what stands beside the box; all of it writes into the box. */
export function pathTools(
  field: LaunchField,
  box: HTMLInputElement,
  files: Files,
  signal: AbortSignal
): HTMLElement[] {
  const several = field.kind === 'paths';
  const take = (path: string) => {
    box.value = several && box.value.trim() !== '' ? `${box.value}, ${path}` : path;
    box.dispatchEvent(new Event('input', { bubbles: true }));
    box.focus();
  };
  const told = element('span', { class: 'jx-form-told', attrs: { role: 'status' } });
  const input = element('input', {
    attrs: { type: 'file', hidden: '', 'aria-hidden': 'true', tabindex: '-1' },
  });
  input.multiple = several;
  const upload = button(
    {
      class: 'jx-button',
      text: trans.__('Upload…'),
      attrs: { 'aria-label': trans.__('Upload a file for %1', field.name) },
    },
    () => input.click(),
    signal
  );
  const send = async () => {
    upload.disabled = true;
    try {
      for (const file of input.files ?? []) {
        take(await files.upload(file, done => setText(told, `${file.name} ${Math.floor(100 * done)} %`)));
        setText(told, trans.__('%1 uploaded', file.name));
      }
    } catch (error) {
      setText(told, trans.__('Upload failed: %1', messageOf(error)));
    } finally {
      input.value = '';
      upload.disabled = false;
    }
  };
  input.addEventListener('change', () => void send(), { signal });
  const choose = async () => {
    const path = await files.choose(trans.__('Choose %1', field.name));
    if (path !== null) {
      take(path);
    }
  };
  const browse = button(
    {
      class: 'jx-button',
      text: trans.__('Browse…'),
      attrs: { 'aria-label': trans.__('Choose %1 from the files', field.name) },
    },
    () => void choose(),
    signal
  );
  return [completion(box, files, several, signal), browse, upload, input, told];
}

function completion(box: HTMLInputElement, files: Files, several: boolean, signal: AbortSignal): HTMLElement {
  const list = element('datalist');
  list.id = `jx-paths-${Math.random().toString(36).slice(2)}`;
  box.setAttribute('list', list.id);
  let waiting: ReturnType<typeof setTimeout> | undefined;
  const ask = async () => {
    const text = box.value;
    const before = several ? text.slice(0, text.lastIndexOf(',') + 1) : '';
    const begun = text.slice(before.length).trimStart();
    const found = await files.complete(begun).catch(() => []);
    if (box.value === text && !signal.aborted) {
      const gap = before && ' ';
      list.replaceChildren(
        ...found.map(path => element('option', { attrs: { value: `${before}${gap}${path}` } }))
      );
    }
  };
  const later = () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => void ask(), TYPING_MS);
  };
  box.addEventListener('input', later, { signal });
  box.addEventListener('focus', later, { signal });
  signal.addEventListener('abort', () => clearTimeout(waiting));
  return list;
}
