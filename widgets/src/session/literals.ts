// Arguments as a person types them, `steps=100, lr=0.1, names=['a', 'b']`: Python's literals, as a session takes them.

import type { ValueTree } from './values';

/**
 * Read arguments by name.
 *
 * @throws Error that names what cannot be read.
 */
export function parseArguments(text: string): Record<string, ValueTree> {
  const reader = new Reader(text);
  const found: Record<string, ValueTree> = {};
  while (!reader.isDone()) {
    const name = reader.match(/[\p{L}_][\p{L}\p{N}_]*/u);
    if (!name || !reader.match(/=/)) {
      throw new Error(`Write arguments as name=value with commas between them; here is ${reader.rest()}.`);
    }
    if (name in found) {
      throw new Error(`${name} is given twice.`);
    }
    found[name] = reader.value();
    if (!reader.match(/,/) && !reader.isDone()) {
      throw new Error(`A comma is missing before ${reader.rest()}.`);
    }
  }
  return found;
}

const CONSTANTS: Readonly<Record<string, ValueTree>> = { True: true, False: false, None: null };
const NUMBER = /[+-]?(?:\d[\d_]*)?\.?\d[\d_]*(?:\.(?!\d))?(?:[eE][+-]?\d+)?/;
const STRING = /'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"/;

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#skip();
  }

  isDone(): boolean {
    return this.#at >= this.#text.length;
  }

  /** What is not read yet, short. */
  rest(): string {
    const rest = this.#text.slice(this.#at);
    return rest === '' ? 'nothing' : rest.length > 24 ? `${rest.slice(0, 23)}…` : rest;
  }

  /** Read what comes next if it is this. */
  match(what: RegExp): string | null {
    const sticky = new RegExp(what.source, `${what.flags}y`);
    sticky.lastIndex = this.#at;
    const found = sticky.exec(this.#text)?.[0] ?? '';
    this.#at += found.length;
    this.#skip();
    return found || null;
  }

  value(): ValueTree {
    if (this.match(/\[/)) {
      return { k: 'list', v: this.#items(/\]/, () => this.value()) };
    }
    if (this.match(/\(/)) {
      return { k: 'tuple', v: this.#items(/\)/, () => this.value()) };
    }
    if (this.match(/\{/)) {
      return { k: 'dict', v: this.#items(/\}/, () => this.#pair()) };
    }
    const word = this.match(/(?:True|False|None)\b/);
    if (word) {
      return CONSTANTS[word];
    }
    const string = this.match(STRING);
    if (string) {
      return unescaped(string.slice(1, -1));
    }
    const number = this.match(NUMBER);
    if (number === null) {
      throw new Error(
        `A value is a number, a text in quotes, True, False, None, or a list of them; here is ${this.rest()}.`
      );
    }
    return numberOf(number.replaceAll('_', ''));
  }

  #items<T>(end: RegExp, read: () => T): T[] {
    const items: T[] = [];
    while (!this.match(end)) {
      items.push(read());
      if (!this.match(/,/) && !this.#sees(end)) {
        throw new Error(`A comma or the end of the list is missing before ${this.rest()}.`);
      }
    }
    return items;
  }

  #pair(): [ValueTree, ValueTree] {
    const key = this.value();
    if (!this.match(/:/)) {
      throw new Error(`A colon is missing before ${this.rest()}.`);
    }
    return [key, this.value()];
  }

  #sees(what: RegExp): boolean {
    const before = this.#at;
    const found = this.match(what) !== null;
    this.#at = before;
    return found;
  }

  #skip(): void {
    while (/\s/.test(this.#text[this.#at] ?? '')) {
      this.#at += 1;
    }
  }
}

// A float stays one, also 1.0, which JSON would write as 1.
function numberOf(text: string): ValueTree {
  if (/[.eE]/.test(text)) {
    return { k: 'float', v: text };
  }
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : { k: 'int', v: text };
}

function unescaped(text: string): string {
  return text.replace(
    /\\(.)/g,
    (_all, char: string) =>
      ({ n: '\n', t: '\t', r: '\r' })[char] ?? (/['"\\]/.test(char) ? char : `\\${char}`)
  );
}
