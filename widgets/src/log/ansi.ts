// Terminal colours as elements with text in them.

import Anser from 'anser';
import { element } from '../core/dom';

/** A line longer than this is cut when drawn. */
const MAX_LINE_CHARS = 4_000;

/** Render one line of a log. */
export function renderAnsi(line: string): Node {
  const text =
    line.length > MAX_LINE_CHARS ? `${line.slice(0, MAX_LINE_CHARS)} … (${line.length} characters)` : line;
  if (!text.includes('\x1b')) {
    return document.createTextNode(text);
  }
  const fragment = document.createDocumentFragment();
  for (const part of Anser.ansiToJson(text, { json: true, remove_empty: true, use_classes: true })) {
    const classes = [
      part.fg && part.fg_truecolor === null ? part.fg : '',
      part.bg ? `${part.bg}-bg` : '',
      ...part.decorations.map(name => `ansi-${name}`),
    ];
    const span = element('span', { class: classes.filter(Boolean).join(' '), text: part.content });
    const foreground = part.fg_truecolor ?? paletteColor(part.fg);
    const background = part.bg_truecolor ?? paletteColor(part.bg);
    if (foreground) {
      span.style.color = `rgb(${foreground})`;
    }
    if (background) {
      span.style.backgroundColor = `rgb(${background})`;
    }
    fragment.append(span);
  }
  return fragment;
}

// Colours 16 to 255 of a terminal: a cube of 6 levels each, then greys.
function paletteColor(name: string | null): string | null {
  const match = /^ansi-palette-(\d+)$/.exec(name ?? '');
  if (!match) {
    return null;
  }
  const index = Number(match[1]) - 16;
  if (index >= 216) {
    const grey = 8 + 10 * (index - 216);
    return `${grey}, ${grey}, ${grey}`;
  }
  const level = (value: number) => (value === 0 ? 0 : 55 + 40 * value);
  return [Math.floor(index / 36), Math.floor(index / 6) % 6, index % 6].map(level).join(', ');
}
