// What a run has logged besides numbers: the items, fetched page by page, and the bytes of the files that are looked at.

import { bytesOf, jsonOf, type Transport } from '../transport/transport';
import type { MediaItem, MediaPage } from '../wire';

/** So many files are held as URLs; the one that was looked at longest ago goes first. */
const MAX_URLS = 120;
/** Files are told apart by their ending; what is none of these is offered for download only. */
const TYPES: Readonly<Record<string, string>> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  gif: 'image/gif',
  webp: 'image/webp',
  svg: 'image/svg+xml',
  wav: 'audio/wav',
  mp3: 'audio/mpeg',
  ogg: 'audio/ogg',
  flac: 'audio/flac',
  mp4: 'video/mp4',
  webm: 'video/webm',
};

export class MediaFeed {
  readonly #own: MediaItem[] = [];
  readonly #before: { feed: MediaFeed; until: number }[] = [];
  readonly #transport: Transport;
  readonly #path: string;
  readonly #onChange: () => void;
  readonly #signal: AbortSignal;
  readonly #urls = new Map<string, Promise<string>>();
  readonly #files = new Set<string | null>();
  #next = 0;
  #asking = false;
  #failed = 0;

  /**
   * @param transport The way to the engine.
   * @param trainingId Of which run.
   * @param onChange Called when there are more items.
   * @param signal Ends it, and gives its URLs back.
   */
  constructor(transport: Transport, trainingId: string, onChange: () => void, signal: AbortSignal) {
    this.#transport = transport;
    this.#path = `/native/trainings/${encodeURIComponent(trainingId)}/media`;
    this.#onChange = onChange;
    this.#signal = signal;
    signal.addEventListener('abort', () => {
      for (const url of this.#urls.values()) {
        url.then(URL.revokeObjectURL, () => undefined);
      }
      this.#urls.clear();
    });
  }

  /** All items, of the runs before too, oldest first. */
  get items(): readonly MediaItem[] {
    const before = this.#before.flatMap(({ feed, until }) => feed.#own.filter(({ time }) => time <= until));
    return before.length > 0 ? [...before, ...this.#own] : this.#own;
  }

  /**
   * Show the items of a run that this one goes on from.
   *
   * @param until Only those up to its checkpoint, Unix seconds.
   * @param count How many items it has.
   */
  goOnFrom(trainingId: string, until: number, count: number): void {
    const feed = new MediaFeed(this.#transport, trainingId, this.#onChange, this.#signal);
    this.#before.unshift({ feed, until });
    feed.want(count);
  }

  /** Fetch what is missing of `count` items; does nothing while it fetches. */
  want(count: number): void {
    if (this.#asking || this.#signal.aborted || this.#own.length >= count || this.#failed > 3) {
      return;
    }
    this.#asking = true;
    this.#load().then(
      () => {
        this.#asking = false;
        this.#failed = 0;
        this.#onChange();
      },
      (error: unknown) => {
        this.#asking = false;
        this.#failed += 1;
        console.warn('jupyter-ext: media could not be listed', error);
      }
    );
  }

  /** Return a URL of an item's file, which is good until it was long not looked at. */
  url(file: string): Promise<string> {
    const holder = this.#holderOf(file);
    if (holder !== this) {
      return holder.url(file);
    }
    const known = this.#urls.get(file);
    if (known) {
      this.#urls.delete(file);
      this.#urls.set(file, known);
      return known;
    }
    const made = this.bytes(file).then(bytes =>
      URL.createObjectURL(new Blob([bytes], { type: TYPES[file.split('.').pop() ?? ''] ?? '' }))
    );
    made.catch(() => this.#urls.delete(file));
    this.#urls.set(file, made);
    for (const [old, url] of this.#urls) {
      if (this.#urls.size <= MAX_URLS) {
        break;
      }
      this.#urls.delete(old);
      url.then(URL.revokeObjectURL, () => undefined);
    }
    return made;
  }

  async bytes(file: string): Promise<ArrayBuffer> {
    const holder = this.#holderOf(file);
    if (holder !== this) {
      return holder.bytes(file);
    }
    return bytesOf(await this.#transport.request('GET', `${this.#path}/${encodeURIComponent(file)}`));
  }

  /** Return the JSON of an item, wherever it stands. */
  async json<T>(item: MediaItem): Promise<T> {
    return (
      item.file === null ? item.data : JSON.parse(new TextDecoder().decode(await this.bytes(item.file)))
    ) as T;
  }

  // Files are named by their content, so it does not matter whose one of this name is.
  #holderOf(file: string): MediaFeed {
    return this.#files.has(file)
      ? this
      : (this.#before.find(({ feed }) => feed.#files.has(file))?.feed ?? this);
  }

  async #load(): Promise<void> {
    for (let more = true; more && !this.#signal.aborted; ) {
      const page = jsonOf<MediaPage>(
        await this.#transport.request('GET', `${this.#path}?after=${this.#next}`)
      );
      this.#own.push(...page.items);
      for (const { file } of page.items) {
        this.#files.add(file);
      }
      this.#next = page.next;
      more = page.more;
    }
  }
}
