// Why a training failed: the cause, what to do next, and the user's own frames.

import { cellLineOf, cellLink } from '../core/cell_link';
import { element, setHidden } from '../core/dom';
import type { Frame, Training } from '../wire';

export class ErrorView {
  readonly node = element('section', { class: 'jx-error', attrs: { role: 'alert' } });
  #drawn = '';

  constructor() {
    this.node.hidden = true;
  }

  draw(training: Training): void {
    const { cause, exception, error, status } = training;
    const message = cause?.message ?? error;
    const shown = status === 'failed' && Boolean(message ?? exception);
    setHidden(this.node, !shown);
    const key = shown ? JSON.stringify([cause, exception, error]) : '';
    if (key === this.#drawn) {
      return;
    }
    this.#drawn = key;
    this.node.replaceChildren();
    if (!shown) {
      return;
    }
    const title = exception ? `${exception.type}: ${exception.message}` : (message ?? 'The training failed.');
    this.node.append(element('div', { class: 'jx-error-title', text: title }));
    if (message && !sameText(message, title)) {
      this.node.append(element('div', { class: 'jx-error-cause', text: message }));
    }
    if (cause?.hint) {
      this.node.append(element('div', { class: 'jx-error-hint', text: cause.hint }));
    }
    if (exception && exception.frames.length > 0) {
      this.node.append(frames(exception.frames, training.id));
    }
    if (exception?.text) {
      this.node.append(
        element(
          'details',
          { class: 'jx-trace' },
          element('summary', { text: 'Full traceback' }),
          element('pre', { text: exception.text, attrs: { tabindex: '0' } })
        )
      );
    }
  }
}

function frames(all: readonly Frame[], runId: string): HTMLElement {
  const list = element('ol', {
    class: 'jx-frames',
    attrs: { 'aria-label': 'Traceback, most recent call last' },
  });
  all.forEach((frame, i) => {
    const where = element(
      'div',
      { class: 'jx-frame-where', title: frame.file },
      element('span', { class: 'jx-frame-function', text: frame.function }),
      element('span', { class: 'jx-frame-file' }, placeOf(frame, runId))
    );
    const item = element(
      'li',
      { class: i === all.length - 1 ? 'jx-frame jx-frame-last' : 'jx-frame' },
      where
    );
    if (frame.source !== null && frame.source.trim() !== '') {
      item.append(
        element(
          'div',
          { class: 'jx-frame-source' },
          element('span', { class: 'jx-frame-line', text: String(frame.line) }),
          element('code', { text: frame.source.trim() })
        )
      );
    }
    list.append(item);
  });
  return list;
}

function placeOf({ file, line }: Frame, runId: string): Node | string {
  const text = `${shortFile(file)}, line ${line}`;
  const place = cellLineOf(text);
  return place ? cellLink(text, { runId, label: place.label, line }) : text;
}

function shortFile(file: string): string {
  return file.split(/[\\/]/).slice(-2).join('/');
}

function sameText(message: string, title: string): boolean {
  return message.trim() === title.trim() || title.endsWith(message.trim());
}
