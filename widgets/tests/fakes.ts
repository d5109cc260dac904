// What the engine would send, and a transport that a test plays by hand.

import type { Clock } from '../src/core/backoff';
import type { Answer, OpenStream, StreamHandlers, Transport } from '../src/transport/transport';
import { ConnectionError } from '../src/transport/transport';
import type { Training } from '../src/wire';

export interface Block {
  index: number;
  steps?: number[];
  start?: number;
  delta?: number;
  values: number[];
  seconds: number[];
}

export function batchBytes(seq: number, baseTime: number, blocks: Block[]): ArrayBuffer {
  const buffer = new ArrayBuffer(1 << 16);
  const view = new DataView(buffer);
  let at = 0;
  const f64 = (value: number) => {
    view.setFloat64(at, value, true);
    at += 8;
  };
  for (const char of 'JXM1') {
    view.setUint8(at++, char.charCodeAt(0));
  }
  view.setUint32(at, blocks.length, true);
  view.setBigUint64(at + 4, BigInt(seq), true);
  at += 12;
  f64(baseTime);
  for (const block of blocks) {
    view.setUint16(at, block.index, true);
    view.setUint8(at + 2, block.steps ? 1 : 0);
    view.setUint32(at + 4, block.values.length, true);
    at += 8;
    (block.steps ?? [block.start ?? 0, block.delta ?? 1]).forEach(f64);
    block.values.forEach(f64);
    block.seconds.forEach(value => {
      view.setFloat32(at, value, true);
      at += 4;
    });
    at = Math.ceil(at / 8) * 8;
  }
  return buffer.slice(0, at);
}

export interface Column {
  key: string;
  steps: number[];
  values: number[];
  times: number[];
}

export function columnBytes(seq: number, columns: Column[]): ArrayBuffer {
  const series = columns.map(({ key, steps, values }, index) => {
    const bad = values.findIndex(value => !Number.isFinite(value));
    const num_nonfinite = values.filter(value => !Number.isFinite(value)).length;
    return {
      index,
      key,
      rank: '0',
      n: steps.length,
      count: steps.length,
      decimated: false,
      num_nonfinite,
      first_nonfinite_step: bad < 0 ? null : steps[bad],
    };
  });
  let json = new TextEncoder().encode(JSON.stringify({ seq, series }));
  json = new TextEncoder().encode(new TextDecoder().decode(json) + ' '.repeat((8 - (json.length % 8)) % 8));
  const numbers = Float64Array.from(
    columns.flatMap(({ steps, values, times }) => [...steps, ...values, ...times])
  );
  const bytes = new Uint8Array(8 + json.length + numbers.byteLength);
  bytes.set(new TextEncoder().encode('JXC1'));
  new DataView(bytes.buffer).setUint32(4, json.length, true);
  bytes.set(json, 8);
  bytes.set(new Uint8Array(numbers.buffer), 8 + json.length);
  return bytes.buffer;
}

export function training(change: Partial<Training> = {}): Training {
  return {
    id: 't1',
    model: 'local/x',
    version: 'v',
    status: 'processing',
    input: {},
    error: null,
    logs: null,
    created_at: '2026-01-01T00:00:00Z',
    started_at: '2026-01-01T00:00:00Z',
    completed_at: null,
    output: null,
    metrics: {},
    source: 'api',
    urls: { get: '', cancel: '', web: '' },
    kind: 'training',
    destination: null,
    name: 'x',
    progress: null,
    stop: null,
    cause: null,
    exception: null,
    captured: [],
    notices: [],
    last: {},
    recorded: {},
    extremes: {},
    tags: [],
    notes: '',
    alerts: [],
    rules: [],
    num_media: 0,
    cut: [],
    silent_s: 0,
    deadline: null,
    checkpoint: null,
    resumed_from: null,
    started_from: null,
    on: 'local',
    workers: 1,
    sweep: null,
    ...change,
  };
}

export interface FakeStream {
  path: string;
  handlers: StreamHandlers;
  closed: boolean;
}

/** A transport without a network: it keeps what was asked and opened; `answer` says what comes back. */
export abstract class FakeTransport implements Transport {
  /** Requests so far, as `GET /native/…`. */
  readonly requests: string[] = [];
  readonly streams: FakeStream[] = [];

  /** The body of an answer, and its status where that is not 200. */
  protected abstract answer(path: string): { status?: number; body: object };

  /** What has to happen before a request is answered. */
  protected async beforeAnswer(): Promise<void> {}

  async request(method: string, path: string): Promise<Answer> {
    this.requests.push(`${method} ${path}`);
    await this.beforeAnswer();
    return answerOf(this.answer(path));
  }

  openStream(path: string, handlers: StreamHandlers): OpenStream {
    const stream = { path, handlers, closed: false };
    this.streams.push(stream);
    return {
      close: () => {
        stream.closed = true;
      },
    };
  }

  importPlotly(): Promise<unknown> {
    return Promise.reject(new Error('no chart here'));
  }

  /** The stream that was opened last. */
  get stream(): FakeStream {
    return this.streams[this.streams.length - 1];
  }

  /** Say a message on the stream that was opened last. */
  say(message: object): void {
    this.stream.handlers.text(JSON.stringify(message));
  }
}

/** An engine of one training. */
export class FakeEngine extends FakeTransport {
  /** What is stored. */
  seq = 0;
  columns: Column[] = [];
  log = '';
  /** Status of the answers; `null` answers nothing at all. */
  status: number | null = 200;
  /** Held answers, so that a test can put something between. */
  hold = false;
  readonly #held: (() => void)[] = [];

  protected override async beforeAnswer(): Promise<void> {
    if (this.hold) {
      await new Promise<void>(resolve => this.#held.push(resolve));
    }
    if (this.status === null) {
      throw new ConnectionError('The Jupyter server does not answer.');
    }
  }

  release(): void {
    this.hold = false;
    for (const resolve of this.#held.splice(0)) {
      resolve();
    }
  }

  hello(): void {
    const series = this.columns.map(({ key }, index) => ({ index, key, rank: '0' }));
    this.say({ kind: 'hello', protocol: 1, seq: this.seq, training: training(), series });
  }

  /** Store a point of the first series, and say it when a stream is open. */
  point(step: number, value: number, say = true): void {
    this.seq += 1;
    this.columns[0].steps.push(step);
    this.columns[0].values.push(value);
    this.columns[0].times.push(step);
    if (say) {
      this.stream.handlers.binary(
        batchBytes(this.seq, step, [{ index: 0, steps: [step], values: [value], seconds: [0] }])
      );
    }
  }

  /** Store a chunk of log, and say it when a stream is open. */
  print(text: string, say = true): void {
    this.seq += 1;
    const offset = bytes(this.log);
    this.log += text;
    if (say) {
      this.say({ kind: 'log', seq: this.seq, offset, next_offset: bytes(this.log), text });
    }
  }

  protected override answer(path: string): { status?: number; body: object } {
    if (this.status !== 200) {
      const status = this.status ?? 503;
      return { status, body: { title: 'No', detail: 'There is no training.', status } };
    }
    if (path.includes('/metrics')) {
      return { body: columnBytes(this.seq, this.columns) };
    }
    const size = bytes(this.log);
    return {
      body: path.includes('/logs') ? { offset: 0, next_offset: size, size, text: this.log } : training(),
    };
  }
}

/** A clock that a test turns. */
export class FakeClock implements Clock {
  #now = 0;
  #timers: { at: number; callback: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  random(): number {
    return 0.5;
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.#now + ms, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter(other => other !== timer);
    };
  }

  get waiting(): number {
    return this.#timers.length;
  }

  pass(ms: number): void {
    this.#now += ms;
    const due = this.#timers.filter(timer => timer.at <= this.#now);
    this.#timers = this.#timers.filter(timer => timer.at > this.#now);
    for (const timer of due) {
      timer.callback();
    }
  }
}

/** Let all promises that can settle do so. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) {
    await Promise.resolve();
  }
}

function bytes(text: string): number {
  return new TextEncoder().encode(text).length;
}

function answerOf({ status = 200, body }: { status?: number; body: object }): Answer {
  const isBytes = body instanceof ArrayBuffer;
  return {
    status,
    contentType: isBytes ? 'application/octet-stream' : 'application/json',
    body: isBytes ? body : (new TextEncoder().encode(JSON.stringify(body)).buffer as ArrayBuffer),
  };
}
