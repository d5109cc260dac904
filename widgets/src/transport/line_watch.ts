// Whether the line to the Jupyter server still carries. A network that goes away silently, as when a laptop slept or a VPN
// dropped, closes no connection, and a browser waits for minutes.
// The rule: every stream and request of a page goes through its watch. While the page is visible, a silent stream is asked
// for a sign of life, and is lost without one; a hidden page asks nothing. A line that is slow, but brings something, lives.

/** What the server's half answers itself, with `PONG`; both are in `jupyter_ext/server/engine_handlers.py`. */
export const PING = 'jupyter-ext:ping';
export const PONG = 'jupyter-ext:pong';

const TICK_MS = 1_000;
/** A stream that was silent for so many ticks is asked. */
const ASK_AFTER = 2;
/** One that was silent for so many is lost. Ticks, as a page that was busy has not listened either. */
const LOST_AFTER = 5;
/** Where answers take longer, as behind much data on a slow line, they are waited for. */
const MAX_LOST_AFTER = 60;
/** One that is not open yet may take longer: an engine may have to start for it. */
const OPENED_AFTER = 12;
/** While the line is lost, an answer is waited for so long. */
const LOST_REQUEST_MS = 10_000;

/** `WebSocket.OPEN`. */
const OPEN = 1;

/** The part of a WebSocket that is needed. */
export type WatchedSocket = Pick<WebSocket, 'readyState' | 'send' | 'close'>;

/** What the watch knows of a page; replaced in tests. */
export interface PageSigns {
  isVisible(): boolean;
  /** Call at each tick until the returned function is called. */
  every(ms: number, callback: () => void): () => void;
  /** Tell that the network has come or gone, or that the page came into sight. */
  listen(changed: (sign: 'online' | 'offline' | 'visible') => void): void;
}

const BROWSER_SIGNS: PageSigns = {
  isVisible: () => document.visibilityState === 'visible',
  every: (ms, callback) => {
    const timer = setInterval(callback, ms);
    return () => clearInterval(timer);
  },
  listen: changed => {
    if (typeof window !== 'undefined') {
      window.addEventListener('online', () => changed('online'));
      window.addEventListener('offline', () => changed('offline'));
      document.addEventListener('visibilitychange', () => changed('visible'));
    }
  },
};

/** One stream that is watched. */
export interface WatchedLine {
  /** Take note of a message; returns whether it was only a sign of life. */
  heard(data: unknown): boolean;
}

interface Line {
  socket: WatchedSocket;
  lost(): void;
  silent: number;
  isAsked: boolean;
}

export class LineWatch {
  readonly #signs: PageSigns;
  readonly #lines = new Set<Line>();
  #requests = new AbortController();
  #stop: (() => void) | null = null;
  #isListening = false;
  #lostAfter = LOST_AFTER;
  #isLost = false;
  /** A server of an older version does not answer; then silence says nothing. */
  #isAnswered = false;

  constructor(signs: PageSigns = BROWSER_SIGNS) {
    this.#signs = signs;
  }

  /**
   * Watch a stream from its opening on.
   *
   * @param signal It has ended, or nobody listens any more.
   * @param lost Called once, when the line does not carry any more; the socket is closed then.
   */
  watch(socket: WatchedSocket, signal: AbortSignal, lost: () => void): WatchedLine {
    const line: Line = { socket, lost, silent: 0, isAsked: false };
    if (!signal.aborted) {
      this.#lines.add(line);
      signal.addEventListener('abort', () => {
        this.#lines.delete(line);
        this.#plan();
      });
    }
    this.#plan();
    return {
      heard: data => {
        line.silent = 0;
        this.#isLost = false;
        if (data === PONG) {
          this.#isAnswered = true;
          this.#lostAfter = LOST_AFTER;
        } else if (!(this.#isAnswered || line.isAsked)) {
          this.#ask(line); // silent or not: whether it is answered is to be known before the line is lost
        }
        return data === PONG;
      },
    };
  }

  /** Return what gives up a request that only asks, when the line is lost. */
  signalFor(method: string): AbortSignal | undefined {
    if (method !== 'GET') {
      return undefined;
    }
    const { signal } = this.#requests;
    return this.#isLost ? AbortSignal.any([signal, AbortSignal.timeout(LOST_REQUEST_MS)]) : signal;
  }

  #plan(): void {
    if (!this.#isListening) {
      this.#isListening = true;
      this.#signs.listen(sign => this.#changed(sign));
    }
    const isNeeded = this.#lines.size > 0 && this.#signs.isVisible();
    if (isNeeded && this.#stop === null) {
      this.#stop = this.#signs.every(TICK_MS, () => this.#tick());
    } else if (!isNeeded) {
      this.#stop?.();
      this.#stop = null;
    }
  }

  // What is lost without a sound is lost when the network changes: ask at once, and wait no longer than a moment.
  #changed(sign: 'online' | 'offline' | 'visible'): void {
    this.#plan();
    if (!this.#signs.isVisible()) {
      return;
    }
    for (const line of [...this.#lines]) {
      if (line.socket.readyState === OPEN) {
        line.silent = sign === 'visible' ? ASK_AFTER : Math.max(ASK_AFTER, this.#lostAfter - 1);
        this.#ask(line);
      } else if (sign === 'online') {
        this.#lose(line); // it was begun without a network
      }
    }
  }

  #tick(): void {
    const lost: Line[] = [];
    for (const line of this.#lines) {
      line.silent += 1;
      const isOpen = line.socket.readyState === OPEN;
      if (isOpen && line.silent === ASK_AFTER) {
        this.#ask(line);
      }
      const lostAfter = isOpen ? this.#lostAfter : Math.max(OPENED_AFTER, this.#lostAfter);
      if (line.silent > lostAfter && (this.#isAnswered || !isOpen)) {
        lost.push(line);
      }
    }
    if (lost.length > 0) {
      this.#lostAfter = Math.min(MAX_LOST_AFTER, 2 * this.#lostAfter);
      for (const line of lost) {
        this.#lose(line);
      }
    }
  }

  #ask(line: Line): void {
    line.isAsked = true;
    line.socket.send(PING);
  }

  #lose(line: Line): void {
    if (!this.#lines.delete(line)) {
      return;
    }
    this.#isLost = true;
    this.#requests.abort();
    this.#requests = new AbortController();
    this.#plan();
    line.lost();
    line.socket.close();
  }
}

/** The one of this page. */
export const LINE_WATCH = new LineWatch();
