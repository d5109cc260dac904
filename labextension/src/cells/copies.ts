// Whether a notebook is a copy of the one that a training was started from.

import type { Contents } from '@jupyterlab/services';
import { contentsPath } from '../marks/contents_path';
import { splitPath } from '../start/places';

export class Copies {
  readonly #contents: Contents.IManager;
  readonly #root: string;
  readonly #onChange: () => void;
  readonly #known = new Map<string, boolean>();
  readonly #asked = new Map<string, Promise<boolean>>();

  /**
   * @param root The server's root as the page knows it.
   * @param onChange Called when `isCopy` says otherwise than before.
   */
  constructor(contents: Contents.IManager, root: string, onChange: () => void) {
    this.#contents = contents;
    this.#root = root;
    this.#onChange = onChange;
  }

  /**
   * Say as far as is known whether a notebook is a copy; `false` until the folder of the original was looked into.
   *
   * @param path Of the notebook, as Jupyter's contents have it.
   * @param from Absolute path of the notebook that the training was started from; empty where it is not known.
   */
  isCopy(path: string, from: string): boolean {
    void this.originalOf(path, from);
    return this.#known.get(`${path}\n${from}`) ?? false;
  }

  /** Return the contents path of the notebook that another is a copy of, or `null` where it is none. */
  async originalOf(path: string, from: string): Promise<string | null> {
    const original = from === '' ? null : contentsPath(this.#root, from);
    if (original === null || original === this.#contents.localPath(path)) {
      return null;
    }
    const key = `${path}\n${from}`;
    let asked = this.#asked.get(key);
    if (!asked) {
      asked = this.#exists(original);
      this.#asked.set(key, asked);
      void asked.then(exists => {
        this.#known.set(key, exists);
        if (exists) {
          this.#onChange();
        }
      });
    }
    return (await asked) ? original : null;
  }

  // A notebook that was renamed is not a copy: its old name is gone. Asking for the folder is no error
  // where it is.
  async #exists(path: string): Promise<boolean> {
    const { folder, name } = splitPath(path);
    try {
      const { content } = await this.#contents.get(folder, { type: 'directory', content: true });
      return (content as Contents.IModel[]).some(entry => entry.name === name);
    } catch {
      return false;
    }
  }
}
