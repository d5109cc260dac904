// Buttons beside the log: how it is shown, and the whole of it to take along. What is chosen is kept in this browser.

import { button, element, setText } from '../core/dom';
import type { LogClient } from './log_client';

/** Where the size and the choices are kept. */
const STORED = 'jupyter-ext:log';
const COPIED_BYTES = 4 << 20;
const DOWNLOADED_BYTES = 256 << 20;

interface Stored {
  height?: number;
  wrapped?: boolean;
  timed?: boolean;
}

/** Make the buttons.
 *
 * @param scroller Holds the lines.
 * @param onLayout Called when lines are as high as before no longer.
 * @param signal Ends their listeners.
 */
export function logTools(
  client: LogClient,
  scroller: HTMLElement,
  onLayout: () => void,
  signal: AbortSignal
): HTMLElement[] {
  const toggle = (text: string, title: string, name: string, key: 'wrapped' | 'timed', isOn: boolean) => {
    const made = button(
      { class: 'jx-link', text, title, attrs: { 'aria-pressed': 'false' } },
      () => {
        set(made.getAttribute('aria-pressed') !== 'true');
        save({ [key]: made.getAttribute('aria-pressed') === 'true' });
        onLayout();
      },
      signal
    );
    const set = (on: boolean) => {
      made.setAttribute('aria-pressed', String(on));
      scroller.classList.toggle(name, on);
    };
    set(load()[key] ?? isOn);
    return made;
  };
  const wrap = toggle('Wrap', 'Wrap long lines', 'jx-log-wrapped', 'wrapped', true);
  const times = toggle('Times', 'Show when lines were printed', 'jx-log-timed', 'timed', false);
  const copy = button(
    { class: 'jx-link', text: 'Copy', title: 'Copy the log, its last 4 MiB at most' },
    () => {
      client
        .text(COPIED_BYTES)
        .then(text => navigator.clipboard.writeText(text))
        .then(
          () => flash(copy, 'Copied'),
          () => flash(copy, 'Not copied')
        );
    },
    signal
  );
  const download = button(
    { class: 'jx-link', text: 'Download' },
    () => {
      client.text(DOWNLOADED_BYTES).then(
        text => saveFile(`${client.trainingId}.log`, text),
        () => flash(download, 'Failed')
      );
    },
    signal
  );
  return [times, wrap, copy, download];
}

/** Keep the height that somebody drags the log to; returns what ends that. */
export function keepHeight(scroller: HTMLElement, onResize: () => void): () => void {
  const stored = load();
  if (stored.height) {
    scroller.style.height = `${stored.height}px`;
  }
  const observer = new ResizeObserver(() => {
    // Only a size that was dragged is an own style.
    const height = Number.parseInt(scroller.style.height, 10);
    if (height > 0 && height !== load().height) {
      save({ height });
    }
    onResize();
  });
  observer.observe(scroller);
  return () => observer.disconnect();
}

function load(): Stored {
  try {
    return JSON.parse(localStorage.getItem(STORED) ?? '{}') as Stored;
  } catch {
    return {};
  }
}

function save(change: Stored): void {
  try {
    localStorage.setItem(STORED, JSON.stringify({ ...load(), ...change }));
  } catch {
    // a page without storage keeps nothing
  }
}

function flash(target: HTMLElement, text: string): void {
  const before = target.textContent ?? '';
  setText(target, text);
  setTimeout(() => setText(target, before), 1_500);
}

function saveFile(name: string, text: string): void {
  const link = element('a', { attrs: { download: name } });
  link.href = URL.createObjectURL(new Blob([text], { type: 'text/plain' }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1_000);
}
