// The requests of the table of runs. Paths are those of docs/architecture/02-wire.md.

import { bytesOf, jsonOf, type Transport } from '../transport/transport';
import type { Status, Training } from '../wire';
import type { VersionSchema } from './rerun_fields';

/** Which page of which trainings. */
export interface ListQuery {
  /** Only these; empty for all. */
  statuses: readonly Status[];
  /** Looked for in name, id and tags. */
  text: string;
  /** Such as `-created_at` or `min:train/loss`. */
  sort: string;
  limit: number;
  offset: number;
}

/** One page. */
export interface ListPage {
  trainings: Training[];
  total: number;
  /** How many fit the text, by status. */
  counts: Partial<Record<Status, number>>;
  offset: number;
}

export class ListClient {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  async page(query: ListQuery): Promise<ListPage> {
    const asked = new URLSearchParams({
      sort: query.sort,
      limit: String(query.limit),
      offset: String(query.offset),
    });
    if (query.text) {
      asked.set('q', query.text);
    }
    if (query.statuses.length > 0) {
      asked.set('status', query.statuses.join(','));
    }
    return jsonOf<ListPage>(await this.#transport.request('GET', `/native/trainings?${asked}`));
  }

  async label(id: string, labels: { tags?: string[]; notes?: string }): Promise<Training> {
    return jsonOf<Training>(await this.#transport.request('PATCH', path(id), labels));
  }

  /**
   * Return what a run's code takes, or `null` where the engine does not know it, as of another service's
   * version.
   */
  async schema({ model, version }: Training): Promise<VersionSchema | null> {
    const [owner, name] = model.split('/').map(encodeURIComponent);
    const answer = await this.#transport.request(
      'GET',
      `/v1/models/${owner}/${name}/versions/${encodeURIComponent(version)}`
    );
    return answer.status === 200 ? jsonOf<VersionSchema>(answer) : null;
  }

  /** Start the same once more, but for `changes` of its inputs. */
  async rerun(id: string, changes: Record<string, unknown> = {}): Promise<Training> {
    return jsonOf<Training>(await this.#transport.request('POST', `${path(id)}/again`, { input: changes }));
  }

  /** Start a run that goes on from this one's last checkpoint. */
  async resume(id: string): Promise<Training> {
    return jsonOf<Training>(await this.#transport.request('POST', `${path(id)}/resume`, {}));
  }

  async cancel(id: string): Promise<void> {
    bytesOf(await this.#transport.request('POST', `/v1/trainings/${encodeURIComponent(id)}/cancel`));
  }

  async remove(id: string): Promise<void> {
    bytesOf(await this.#transport.request('DELETE', path(id)));
  }
}

function path(id: string): string {
  return `/native/trainings/${encodeURIComponent(id)}`;
}
