// What this page has started or asked for: trainings, debug sessions and models. All requests of the page
// pass here, so a button that is added somewhere is known too; it outlives a reload of the page.

const STORAGE = 'jupyter-ext:started';
const MAX_IDS = 200;
/** Longer answers are results of models, not what was started. */
const MAX_CHARS = 200_000;

export class Started {
  readonly #storage: Pick<Storage, 'getItem' | 'setItem'>;
  readonly #ids: Set<string>;

  /** @param storage Of the browser's tab. */
  constructor(storage: Pick<Storage, 'getItem' | 'setItem'>) {
    this.#storage = storage;
    this.#ids = new Set(storage.getItem(STORAGE)?.split('\n'));
  }

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  /**
   * Take in a POST that the engine granted.
   *
   * @param url As it was sent.
   * @param body Of the answer.
   */
  note(url: string, body: string): void {
    for (const id of [modelOf(url), idOf(body)]) {
      if (id && !this.#ids.has(id)) {
        this.#ids.add(id);
        this.#storage.setItem(STORAGE, [...this.#ids].slice(-MAX_IDS).join('\n'));
      }
    }
  }
}

function modelOf(url: string): string | null {
  const [, id] = /\/native\/models\/([^/?]+)\//.exec(url) ?? [];
  return id ? decodeURIComponent(id) : null;
}

function idOf(body: string): string | null {
  try {
    const { id } = body.length > MAX_CHARS ? {} : (JSON.parse(body) as { id?: unknown });
    return typeof id === 'string' ? id : null;
  } catch {
    return null; // no JSON: nothing was started
  }
}
