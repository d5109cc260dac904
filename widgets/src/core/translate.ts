// The words that views say, in the language of whoever hosts them: JupyterLab's, else English as it is written here.
// The rule: a view calls `trans.__` while it draws, never while a module loads; the call looks as JupyterLab's own,
// so that the same tools find its strings.

/** What a host translates with, such as JupyterLab's `TranslationBundle`. */
export interface Translation {
  /** Return a text in the page's language, with `%1`, `%2` … replaced, and `%%` by one. */
  __(text: string, ...args: (string | number)[]): string;
}

const ENGLISH: Translation = {
  __: (text, ...args) =>
    text.replace(/%(%|\d+)/g, (whole, n) => (n === '%' ? '%' : String(args[Number(n) - 1] ?? whole))),
};

let host: Translation = ENGLISH;

export const trans: Translation = { __: (text, ...args) => host.__(text, ...args) };

/** Have all views of the page translated by `translation`; `null` for English. */
export function translateBy(translation: Translation | null): void {
  host = translation ?? ENGLISH;
}
