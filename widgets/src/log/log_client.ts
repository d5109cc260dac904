// What is asked of the engine about a whole log. Paths are those of docs/architecture/02-wire.md.

import { jsonOf, type OpenStream, refusalOf, type Transport } from '../transport/transport';

/** One line: where it begins, in bytes, its text without the newline, who wrote it and when, in Unix seconds. */
export interface WholeLine {
  offset: number;
  text: string;
  stream?: 'stdout' | 'stderr';
  time?: number | null;
}

/** Of a piece of the log: which bytes stderr wrote, and where what was read together ends and when that was. */
export interface Spans {
  stderr: [begin: number, end: number][];
  times: [end: number, time: number][];
}

/** A place in a log; `time` is Unix seconds, where it is known. */
export interface Place {
  line: number;
  offset: number;
  time: number | null;
}

/** A line that was found: its number, where it begins, and the beginning of its text. */
export type Hit = [line: number, offset: number, text: string];

/** What is searched for. */
export interface LogQuery {
  text: string;
  regex: boolean;
  matchCase: boolean;
  /** `error`, `warning`, `info`, `debug`, or empty. */
  level: string;
  /** `stdout`, `stderr`, or empty. */
  stream: string;
  /** A number, or empty. */
  rank: string;
}

/** How far a search is. */
export interface SearchNews {
  kind: 'hits' | 'done' | 'problem';
  hits?: Hit[];
  total?: number;
  scanned?: number;
  size?: number;
  detail?: string;
}

interface Lines {
  first: number;
  total: number;
  lines: WholeLine[];
}

interface Piece {
  next_offset: number;
  size: number;
  text: string;
}

const PIECE_BYTES = 8 << 20;

export class LogClient {
  readonly #transport: Transport;
  readonly #path: string;

  constructor(
    transport: Transport,
    readonly trainingId: string
  ) {
    this.#transport = transport;
    this.#path = `/native/trainings/${encodeURIComponent(trainingId)}/logs`;
  }

  async lines(first: number, count: number): Promise<WholeLine[]> {
    return (await this.#get<Lines>(`/lines?first=${first}&count=${count}`)).lines;
  }

  async spans(offset: number, end: number): Promise<Spans> {
    return this.#get<Spans>(`/spans?offset=${offset}&end=${end}`);
  }

  /** Return the place that a time in Unix seconds, or a byte, is. */
  async at(what: { time: number } | { offset: number }): Promise<Place> {
    const [[name, value]] = Object.entries(what);
    return this.#get<Place>(`/at?${name}=${value}`);
  }

  /** Return the last `limit` bytes of the log, or all of it. */
  async text(limit: number): Promise<string> {
    const { size } = await this.#get<Piece>('?offset=0&limit=0');
    const parts: string[] = [];
    for (let offset = Math.max(0, size - limit); offset < size; ) {
      const piece = await this.#get<Piece>(`?offset=${offset}&limit=${PIECE_BYTES}`);
      if (piece.next_offset <= offset) {
        break;
      }
      parts.push(piece.text);
      offset = piece.next_offset;
    }
    return parts.join('');
  }

  /** Search the whole log until that is done, or the stream is closed. */
  search(query: LogQuery, onNews: (news: SearchNews) => void): OpenStream {
    const params = new URLSearchParams({ q: query.text });
    if (query.regex) {
      params.set('regex', '1');
    }
    if (query.matchCase) {
      params.set('case', '1');
    }
    for (const name of ['level', 'stream', 'rank'] as const) {
      if (query[name]) {
        params.set(name, query[name]);
      }
    }
    let over = false;
    return this.#transport.openStream(`${this.#path}/search?${params}`, {
      text: data => {
        const news = JSON.parse(data) as SearchNews;
        over ||= news.kind !== 'hits';
        onNews(news);
      },
      binary: () => undefined,
      closed: (code, reason) => {
        if (!over) {
          const detail = refusalOf(code, reason) || 'The search was broken off; try again.';
          onNews({ kind: 'problem', detail });
        }
      },
    });
  }

  async #get<T>(rest: string): Promise<T> {
    return jsonOf<T>(await this.#transport.request('GET', `${this.#path}${rest}`));
  }
}
