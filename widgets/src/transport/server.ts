// The page's own Jupyter server, by its extension: `<baseUrl>jupyter-ext/engine/…`, cookie and XSRF header.

import { importModule } from './import_module';
import type { LineWatch, WatchedLine } from './line_watch';
import {
  type Answer,
  ConnectionError,
  jsonOf,
  type OpenStream,
  type StreamHandlers,
  type Transport,
} from './transport';

/** What a host knows about its server. */
export interface ServerOptions {
  /** Base URL of the Jupyter server, with a slash at its end; absolute, or a path on the page's origin. */
  baseUrl: string;
  /** Base URL for WebSockets; default is `baseUrl` with `ws`. */
  wsUrl?: string;
  /** Token to append to WebSocket URLs, where there is no cookie. */
  token?: string;
  /** Name of the plotly bundle under `static/`; default is asked from `info`. */
  plotly?: string;
  /** Whether a request that finds no engine starts one; default is that it does. */
  mayStart?: () => boolean;
  /** Sends a request, such as `cookieFetch`. */
  fetch: (url: string, init: RequestInit) => Promise<Response>;
}

/** The answer of `GET <baseUrl>jupyter-ext/info`. */
export interface ServerInfo {
  version: string;
  protocol: number;
  static: { panel: string; plotly: string };
  /** Absent in an older server. */
  engine?: 'running' | 'stopped';
  /** Where the server's engine keeps everything, and where its socket and log are; absent in an older server. */
  directories?: { data: string; runtime: string };
}

/** As of a WebSocket: RFC 6455, section 7.4.1. */
const LINE_BROKE = 1006;

// Of this page; loaded with its first stream.
let lineWatch: LineWatch | undefined;

export class ServerTransport implements Transport {
  /** The same, but it never starts an engine: for whoever merely looks on. */
  readonly running: ServerTransport;
  readonly #options: ServerOptions;
  readonly #root: string;
  readonly #way: string;

  constructor(options: ServerOptions, way: 'engine' | 'running' = 'engine') {
    this.#options = options;
    this.#way = way;
    this.running = way === 'running' ? this : new ServerTransport(options, 'running');
    this.#root = new URL('jupyter-ext/', new URL(withSlash(options.baseUrl), location.href)).href;
  }

  async request(method: string, path: string, body?: unknown): Promise<Answer> {
    return this.#fetch(`${this.#root}${this.#wayNow()}${path}`, method, body);
  }

  /** Start the engine, whatever `mayStart` says. */
  async startEngine(): Promise<Answer> {
    return this.#fetch(`${this.#root}engine/native/engine`, 'GET');
  }

  mayStart(): boolean {
    return this.#wayNow() === 'engine';
  }

  #wayNow(): string {
    return this.#options.mayStart?.() === false ? 'running' : this.#way;
  }

  openStream(path: string, handlers: StreamHandlers): OpenStream {
    const socket = new WebSocket(this.#socketUrl(path));
    socket.binaryType = 'arraybuffer';
    const listeners = new AbortController();
    const { signal } = listeners;
    let line: WatchedLine | null = null;
    const watch = ({ LINE_WATCH }: { LINE_WATCH: LineWatch }) => {
      lineWatch = LINE_WATCH;
      line = LINE_WATCH.watch(socket, signal, () => {
        listeners.abort();
        handlers.closed(LINE_BROKE);
      });
    };
    // Where it cannot be loaded there is no line now; the next stream is watched.
    import('./line_watch').then(watch, () => undefined);
    socket.addEventListener(
      'message',
      event => {
        if (line?.heard(event.data)) {
          return;
        }
        if (typeof event.data === 'string') {
          handlers.text(event.data);
        } else {
          handlers.binary(event.data as ArrayBuffer);
        }
      },
      { signal }
    );
    socket.addEventListener(
      'close',
      event => {
        listeners.abort();
        handlers.closed(event.code, event.reason);
      },
      { signal }
    );
    return {
      close: () => {
        listeners.abort();
        socket.close();
      },
    };
  }

  /** Look whether an engine runs; rejects where the server cannot say. */
  async isEngineRunning(): Promise<boolean> {
    return (await this.#info()).engine !== 'stopped';
  }

  /** Return JSON of the server's own half, such as `info`; `path` is below `jupyter-ext/`. */
  async serverJson(path: string): Promise<unknown> {
    return jsonOf(await this.#fetch(`${this.#root}${path}`, 'GET'));
  }

  async importPlotly(): Promise<unknown> {
    const name = this.#options.plotly ?? (await this.#info()).static.plotly;
    return importModule(`${this.#root}static/${encodeURIComponent(name)}`);
  }

  async #info(): Promise<ServerInfo> {
    const answer = await this.#fetch(`${this.#root}info`, 'GET');
    if (answer.status !== 200) {
      throw new ConnectionError(`This Jupyter server has no jupyter-ext extension (HTTP ${answer.status}).`);
    }
    return JSON.parse(new TextDecoder().decode(answer.body)) as ServerInfo;
  }

  async #fetch(url: string, method: string, body?: unknown): Promise<Answer> {
    const init: RequestInit = { method, cache: 'no-store', signal: lineWatch?.signalFor(method) };
    if (body !== undefined) {
      init.body = JSON.stringify(body);
      init.headers = { 'Content-Type': 'application/json' };
    }
    try {
      const response = await this.#options.fetch(url, init);
      const contentType = response.headers.get('Content-Type') ?? '';
      return { status: response.status, contentType, body: await response.arrayBuffer() };
    } catch (error) {
      throw new ConnectionError('The Jupyter server does not answer.', { cause: error });
    }
  }

  #socketUrl(path: string): string {
    const base = this.#options.wsUrl
      ? new URL('jupyter-ext/', withSlash(this.#options.wsUrl)).href
      : this.#root.replace(/^http/, 'ws');
    const url = new URL(`${base}${this.#wayNow()}${path}`);
    if (this.#options.token) {
      url.searchParams.set('token', this.#options.token);
    }
    return url.href;
  }
}

function withSlash(url: string): string {
  return url.endsWith('/') ? url : `${url}/`;
}
