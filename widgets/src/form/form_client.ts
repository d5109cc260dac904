// The requests of a form. What a source is stands in docs/architecture/02-wire.md, "Forms".

import { jsonOf, type Transport } from '../transport/transport';
import type { DebugSession, LaunchForm, Training } from '../wire';
import type { RayPlace } from './ray_place';

/** What is to be started: a cell's text, or the path of a file or folder. */
export interface LaunchSource {
  text?: string;
  /** What tracebacks call the cell. */
  label?: string;
  /** The cells above it, the first one first. */
  before?: readonly { text: string; label: string }[];
  /** On the engine's machine; relative to `cwd`. */
  path?: string;
  name?: string;
  cwd?: string;
  /** The interpreter; the engine's own where it is no absolute path. */
  python?: string;
}

/** The notebook's cell that something is started from. */
export interface CellPlace {
  notebook: string;
  cell: string;
}

interface SessionCode {
  id: string;
  name: string;
  missing: string[];
  cwd: string | null;
  python: string;
}

export class FormClient {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Return the fields of a form, and what is wrong with what its controls hold. */
  async form(source: LaunchSource, holds: Readonly<Record<string, unknown>>): Promise<LaunchForm> {
    return this.#post<LaunchForm>('/native/forms', { ...source, input: holds });
  }

  /** Start a training; rejects with what is wrong. */
  async train(
    source: LaunchSource,
    input: Readonly<Record<string, unknown>>,
    { cwd, python }: Pick<LaunchForm, 'cwd' | 'python'>,
    place: CellPlace | null,
    ray: RayPlace | null = null
  ): Promise<Training> {
    const version = await this.#post<{ id: string; model: string }>('/native/versions', {
      ...source,
      input: namesOf(input),
    });
    const path = `/v1/models/${version.model}/versions/${version.id}/trainings`;
    const origin = { python, cwd, started_from: place, ...(ray && { ray }) };
    return this.#post<Training>(path, { input, jupyter_ext: origin });
  }

  /** Launch a debug session. */
  async debug(source: LaunchSource): Promise<{ session: DebugSession; missing: readonly string[] }> {
    const { id, missing, ...where } = await this.#post<SessionCode>('/native/session-code', source);
    const body = { ...where, code: id };
    return { session: await this.#post<DebugSession>('/native/sessions', body), missing };
  }

  /** Replace the code of a debug session; its models live on. */
  async replaceCode(sessionId: string, source: LaunchSource): Promise<{ missing: readonly string[] }> {
    const { id, missing } = await this.#post<SessionCode>('/native/session-code', source);
    await this.#post<unknown>(`/native/sessions/${encodeURIComponent(sessionId)}/code`, { code: id });
    return { missing };
  }

  async #post<T>(path: string, body: unknown): Promise<T> {
    return jsonOf<T>(await this.#transport.request('POST', path, body));
  }
}

/** A version is made of the names of its inputs alone; values, some of them secret, go with the launch. */
function namesOf(input: Readonly<Record<string, unknown>>): Record<string, null> {
  return Object.fromEntries(Object.keys(input).map(name => [name, null]));
}
