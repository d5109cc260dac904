// When panels draw: at most ten times a second, four times when many are seen, never out of sight.
// The rule: all panels of a page draw in one loop, and those for which a frame has no time left wait for the next, so
// that many panels cost a page no more frames than one.

const INTERVAL_MS = 100;
const CROWDED_INTERVAL_MS = 250;
const CROWD = 4;
/** Drawing takes at most this share of the page's time. */
const MAX_SHARE = 0.3;

/** Panels that have waited longest draw in a frame until so much of it is gone. */
const FRAME_BUDGET_MS = 10;

const visible = new Set<DrawScheduler>();

/** Draws of a page that are due, the one that has waited longest first. */
export class DrawLoop {
  readonly #due = new Set<() => void>();
  readonly #requestFrame: (run: () => void) => void;
  readonly #now: () => number;
  #isRequested = false;

  constructor(requestFrame: (run: () => void) => void, now: () => number) {
    this.#requestFrame = requestFrame;
    this.#now = now;
  }

  /** Draw with one of the next frames, once however often it is added before. */
  add(draw: () => void): void {
    this.#due.add(draw);
    this.#request();
  }

  #request(): void {
    if (!this.#isRequested && this.#due.size > 0) {
      this.#isRequested = true;
      this.#requestFrame(() => this.#run());
    }
  }

  #run(): void {
    this.#isRequested = false;
    const begin = this.#now();
    for (const draw of [...this.#due]) {
      this.#due.delete(draw);
      try {
        draw();
      } catch (error) {
        console.error('jupyter-ext: a panel could not be drawn', error);
      }
      if (this.#now() - begin > FRAME_BUDGET_MS) {
        break;
      }
    }
    this.#request();
  }
}

const loop = new DrawLoop(
  run => requestAnimationFrame(run),
  () => performance.now()
);

export class DrawScheduler {
  readonly #draw: () => void;
  #dirty = false;
  #waiting = false;
  #inSight = false;
  #lastAt = -Infinity;
  #cost_ms = 0;

  /**
   * @param element Drawn only while this is on the screen.
   * @param draw Draws; called within an animation frame.
   * @param onSight Called when the element comes into sight or leaves it.
   * @param signal Ends it.
   */
  constructor(element: Element, draw: () => void, onSight: (inSight: boolean) => void, signal: AbortSignal) {
    this.#draw = draw;
    let onScreen = false;
    const update = () => {
      const inSight = onScreen && document.visibilityState === 'visible' && !signal.aborted;
      if (inSight === this.#inSight) {
        return;
      }
      this.#inSight = inSight;
      if (inSight) {
        visible.add(this);
      } else {
        visible.delete(this);
      }
      if (!signal.aborted) {
        onSight(inSight);
      }
      this.#plan();
    };
    const observer = new IntersectionObserver(
      entries => {
        onScreen = entries[entries.length - 1].isIntersecting;
        update();
      },
      { rootMargin: '100px' }
    );
    observer.observe(element);
    document.addEventListener('visibilitychange', update, { signal });
    signal.addEventListener('abort', () => {
      observer.disconnect();
      update();
    });
  }

  get inSight(): boolean {
    return this.#inSight;
  }

  /** Something changed. */
  request(): void {
    this.#dirty = true;
    this.#plan();
  }

  /** Something changed that somebody waits for: draw with the next frame. */
  hurry(): void {
    this.#dirty = true;
    if (this.#inSight) {
      loop.add(this.#run);
    }
  }

  #plan(): void {
    if (!this.#dirty || this.#waiting || !this.#inSight) {
      return;
    }
    this.#waiting = true;
    const interval = Math.max(
      visible.size >= CROWD ? CROWDED_INTERVAL_MS : INTERVAL_MS,
      this.#cost_ms / MAX_SHARE
    );
    const wait = this.#lastAt + interval - performance.now();
    if (wait > 0) {
      setTimeout(() => loop.add(this.#planned), wait);
    } else {
      loop.add(this.#planned);
    }
  }

  readonly #planned = (): void => {
    this.#waiting = false;
    this.#run();
  };

  readonly #run = (): void => {
    if (!this.#inSight || !this.#dirty) {
      return;
    }
    this.#dirty = false;
    const begin = performance.now();
    this.#draw();
    const end = performance.now();
    this.#cost_ms = end - begin;
    this.#lastAt = begin;
    this.#plan();
  };
}
