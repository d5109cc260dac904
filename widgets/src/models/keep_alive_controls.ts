// How long a loaded model stays in memory, and where that is changed: for everybody who uses it.

import { element, setHidden, setText } from '../core/dom';
import { messageOf } from '../core/errors';
import { formatDuration } from '../core/format';
import type { LocalModel } from '../wire';
import type { ModelsClient } from './models_client';

/** Seconds after the last use; below 0 is for ever. */
const KEEP_ALIVE_S = [60, 300, 1800, 7200, -1];

export class KeepAliveControls {
  readonly node: HTMLElement;
  readonly #pinned = element('input', { attrs: { type: 'checkbox' } });
  readonly #keep = element('select', { attrs: { 'aria-label': 'Unload after its last use' } });
  readonly #keepLabel: HTMLElement;
  readonly #note = element('span', { class: 'jx-staying-note', attrs: { role: 'status' } });
  readonly #client: ModelsClient;
  readonly #id: string;
  #isAsking = false;

  constructor(model: LocalModel, client: ModelsClient, signal: AbortSignal) {
    this.#id = model.id;
    this.#client = client;
    this.#pinned.title =
      'A pinned model is not unloaded by itself, neither for its keep-alive nor to make room';
    const pinned = element('label', {}, this.#pinned, 'Pinned');
    this.#keepLabel = element('label', {}, 'unload', this.#keep);
    this.node = element('div', { class: 'jx-model-wish jx-staying' }, pinned, this.#keepLabel, this.#note);
    this.#pinned.addEventListener('change', () => void this.#change({ pinned: this.#pinned.checked }), {
      signal,
    });
    this.#keep.addEventListener(
      'change',
      () => void this.#change({ keep_alive_s: Number(this.#keep.value) }),
      { signal }
    );
  }

  draw(model: LocalModel, live: boolean): void {
    const { host } = model;
    setHidden(this.node, model.state !== 'loaded' || model.source === 'service' || host === null);
    if (host === null || this.#isAsking) {
      return;
    }
    this.#pinned.disabled = this.#keep.disabled = !live;
    this.#pinned.checked = host.pinned;
    setHidden(this.#keepLabel, host.pinned);
    const known = host.keep_alive_s ?? -1;
    const choices = KEEP_ALIVE_S.includes(known) ? KEEP_ALIVE_S : [known, ...KEEP_ALIVE_S];
    if (this.#keep.dataset.key !== choices.join()) {
      this.#keep.dataset.key = choices.join();
      this.#keep.replaceChildren(
        ...choices.map(choice =>
          element('option', { text: keepText(choice), attrs: { value: String(choice) } })
        )
      );
    }
    if (this.#keep.value !== String(known)) {
      this.#keep.value = String(known);
    }
    if (this.#note.dataset.tone !== 'error') {
      setText(this.#note, endText(model));
    }
  }

  async #change(change: { pinned?: boolean; keep_alive_s?: number }): Promise<void> {
    this.#isAsking = true;
    this.#pinned.disabled = this.#keep.disabled = true;
    let model: LocalModel | null = null;
    try {
      model = await this.#client.keep(this.#id, change);
      delete this.#note.dataset.tone;
    } catch (error) {
      this.#note.dataset.tone = 'error';
      setText(this.#note, messageOf(error));
    }
    this.#isAsking = false;
    this.#pinned.disabled = this.#keep.disabled = false;
    if (model) {
      this.draw(model, true);
    }
  }
}

/** `5 min after its last use`. */
export function keepText(seconds: number): string {
  if (seconds < 0) {
    return 'never by itself';
  }
  const whole =
    seconds >= 3600 && seconds % 3600 === 0
      ? `${seconds / 3600} h`
      : seconds >= 60 && seconds % 60 === 0
        ? `${seconds / 60} min`
        : formatDuration(seconds);
  return `${whole} after its last use`;
}

/** When it ends by itself, by the clock of whoever looks. */
function endText(model: LocalModel): string {
  const at = model.host?.expires_at ?? null;
  return at === null
    ? ''
    : `at ${new Date(at).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })} if nobody uses it`;
}
