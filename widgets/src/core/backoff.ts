// When to try again: soon at first, then ever later, and never all views at once.

const FIRST_MS = 500;
const FACTOR = 1.7;
const MAX_MS = 15_000;
/** A connection that lived this long was a good one. */
const GOOD_MS = 3_000;

/** The outside world of a feed, replaced in tests. */
export interface Clock {
  /** Milliseconds. */
  now(): number;
  /** In [0, 1). */
  random(): number;
  /** Call once after `ms`; returns what stops it. */
  after(ms: number, callback: () => void): () => void;
  /** Call when the network has come back; returns what stops it. Absent where that is not known. */
  online?(callback: () => void): () => void;
}

export const BROWSER_CLOCK: Clock = {
  now: () => Date.now(),
  random: () => Math.random(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
  online: callback => {
    addEventListener('online', callback);
    return () => removeEventListener('online', callback);
  },
};

export class Backoff {
  #attempts = 0;
  #connectedAt: number | null = null;

  constructor(readonly clock: Clock) {}

  connected(): void {
    this.#connectedAt = this.clock.now();
  }

  /** Call once when it is time for the next attempt, or the network is back; returns what stops it. */
  retry(attempt: () => void): () => void {
    const run = () => {
      stop();
      attempt();
    };
    const stopTimer = this.clock.after(this.next(), run);
    const stopOnline = this.clock.online?.(run);
    const stop = () => {
      stopTimer();
      stopOnline?.();
    };
    return stop;
  }

  /** Return the milliseconds to wait before the next attempt. */
  next(): number {
    if (this.#connectedAt !== null && this.clock.now() - this.#connectedAt >= GOOD_MS) {
      this.#attempts = 0;
    }
    this.#connectedAt = null;
    const delay = Math.min(MAX_MS, FIRST_MS * FACTOR ** this.#attempts);
    this.#attempts += 1;
    return delay * (0.7 + 0.6 * this.clock.random());
  }
}
