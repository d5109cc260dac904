// Keeps one debug session current: its state as the engine tells it, and what it prints.
// The rule: what is shown is what the engine said last; after a break the stream goes on at the byte where it
// stopped.

import { Backoff, BROWSER_CLOCK, type Clock } from '../core/backoff';
import { LogText } from '../log/log_text';
import { type OpenStream, reasonOfEnd, refusalOf } from '../transport/transport';
import type { DebugSession, SessionStreamMessage } from '../wire';
import type { SessionClient, StreamName } from './session_client';

export type SessionFeedState = 'idle' | 'connecting' | 'live' | 'reconnecting' | 'ended' | 'gone';

/** Lines of the log that a view begins with. */
const TAIL_LINES = 300;
/** The engine closes a stream with this code where it knows no such session. */
const NOT_FOUND = 4404;
const STREAMS: readonly StreamName[] = ['stdout', 'stderr'];

export class SessionFeed {
  readonly log = new LogText();
  readonly #client: SessionClient;
  readonly #onChange: () => void;
  readonly #backoff: Backoff;
  readonly #offsets: Record<StreamName, number> = { stdout: -1, stderr: -1 };
  #session: DebugSession | null;
  #state: SessionFeedState = 'idle';
  #reason = '';
  #refusal = '';
  #stream: OpenStream | null = null;
  #starting = false;
  #stopRetry: (() => void) | null = null;

  /** @param onChange Called after each change; cheap, draws nothing by itself. */
  constructor(
    client: SessionClient,
    snapshot: DebugSession | null,
    onChange: () => void,
    clock: Clock = BROWSER_CLOCK
  ) {
    this.#client = client;
    this.#session = snapshot;
    this.#onChange = onChange;
    this.#backoff = new Backoff(clock);
  }

  get state(): SessionFeedState {
    return this.#state;
  }

  get reason(): string {
    return this.#reason;
  }

  /** Why the engine refuses the stream; empty while it does not. */
  get refusal(): string {
    return this.#state === 'reconnecting' ? this.#refusal : '';
  }

  get session(): DebugSession | null {
    return this.#session;
  }

  /** Begin, or go on after `pause`. */
  start(): void {
    if (
      this.#stream ||
      this.#stopRetry ||
      this.#starting ||
      this.#state === 'ended' ||
      this.#state === 'gone'
    ) {
      return;
    }
    if (this.#state === 'idle') {
      this.#set('connecting');
    }
    void this.#begin();
  }

  /** Hold no connection and no timer until the next `start`. */
  pause(): void {
    this.#stream?.close();
    this.#stream = null;
    this.#stopRetry?.();
    this.#stopRetry = null;
    if (this.#state !== 'ended' && this.#state !== 'gone') {
      this.#set('idle');
    }
  }

  async #begin(): Promise<void> {
    this.#starting = true;
    try {
      if (this.#offsets.stdout < 0) {
        await this.#loadTail();
      }
    } catch {
      // The stream says what is wrong.
      for (const name of STREAMS) {
        this.#offsets[name] = Math.max(0, this.#offsets[name]);
      }
    } finally {
      this.#starting = false;
    }
    if ((this.#state as SessionFeedState) === 'idle') {
      return; // out of sight again
    }
    this.#stream = this.#client.stream(this.#offsets, {
      text: data => this.#apply(JSON.parse(data) as SessionStreamMessage),
      binary: () => undefined,
      closed: (code, reason) => this.#closed(code, reason),
    });
  }

  async #loadTail(): Promise<void> {
    const pieces = await Promise.all(STREAMS.map(name => this.#client.logTail(name, TAIL_LINES)));
    this.log.reset(0);
    pieces.forEach((piece, i) => {
      this.#offsets[STREAMS[i]] = piece.next_offset;
      this.#print(piece.text);
    });
  }

  #closed(code: number, reason?: string): void {
    this.#stream = null;
    if (code === NOT_FOUND) {
      this.#reason = 'The engine knows no such session; it was deleted, or its files were.';
      this.#set('gone');
      return;
    }
    if (this.#state === 'ended') {
      return;
    }
    this.#reason = reasonOfEnd(code, reason);
    this.#refusal = refusalOf(code, reason);
    this.#set('reconnecting');
    this.#stopRetry = this.#backoff.retry(() => {
      this.#stopRetry = null;
      this.start();
    });
  }

  #apply(message: SessionStreamMessage): void {
    switch (message.kind) {
      case 'session':
        this.#backoff.connected();
        this.#session = message.session;
        this.#set(message.session.status === 'ended' ? 'ended' : 'live');
        return;
      case 'log':
        if (message.next_offset > this.#offsets[message.stream]) {
          this.#offsets[message.stream] = message.next_offset;
          if (message.skipped > 0) {
            this.#print(`\n… ${message.skipped.toLocaleString('en-US')} bytes left out …\n`);
          }
          this.#print(message.text);
        }
        break;
      case 'exit':
        if (this.#session) {
          this.#session = { ...this.#session, status: 'ended', exit: message.exit };
        }
        this.#set('ended');
        return;
      default:
        // A message of a newer engine.
        message satisfies never;
        return;
    }
    this.#onChange();
  }

  #print(text: string): void {
    this.log.write(text, this.log.nextOffset + text.length);
  }

  #set(state: SessionFeedState): void {
    this.#state = state;
    this.#onChange();
  }
}
