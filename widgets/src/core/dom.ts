// Makes elements. The rule of this package: data become text nodes, never markup.

const SVG = 'http://www.w3.org/2000/svg';

/** What an element is made of besides its children. */
export interface ElementOptions {
  class?: string;
  text?: string;
  title?: string;
  /** Attributes as they are written, such as `aria-label`. */
  attrs?: Readonly<Record<string, string>>;
}

export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  options: ElementOptions = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (options.class) {
    made.className = options.class;
  }
  if (options.title) {
    made.title = options.title;
  }
  if (options.text !== undefined) {
    made.textContent = options.text;
  }
  for (const [name, value] of Object.entries(options.attrs ?? {})) {
    made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** Make an element of a drawing; its text is text, as that of `element`. */
export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string | number>>,
  ...children: (Node | string)[]
): SVGElementTagNameMap[K] {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    made.setAttribute(name, String(value));
  }
  made.append(...children);
  return made;
}

/** Make a button that calls `onClick` until `signal` aborts. */
export function button(options: ElementOptions, onClick: () => void, signal: AbortSignal): HTMLButtonElement {
  const made = element('button', options);
  made.type = 'button';
  made.addEventListener('click', onClick, { signal });
  return made;
}

/** Set text only when it differs, so that nothing is laid out for nothing; a new one styles nothing anew either. */
export function setText(target: HTMLElement, text: string): void {
  const { firstChild } = target;
  if (firstChild instanceof Text && firstChild === target.lastChild && text !== '') {
    if (firstChild.data !== text) {
      firstChild.data = text;
    }
  } else if (target.textContent !== text) {
    target.textContent = text;
  }
}

/** Set an inline style only when it differs: a custom property restyles all below it, even by the same value. */
export function setStyle(target: HTMLElement, name: string, value: string): void {
  if (target.style.getPropertyValue(name) !== value) {
    target.style.setProperty(name, value);
  }
}

export function setHidden(target: HTMLElement, hidden: boolean): void {
  if (target.hidden !== hidden) {
    target.hidden = hidden;
  }
}
