// Decodes what the engine sends: JSON messages, metric batches (JXM1) and metric columns (JXC1).
// The rule: views into the received buffer, never copies of points. Source: docs/architecture/02-wire.md.

import type { MetricValue, SeriesInfo, StreamMessage } from './types.generated';

/** New points of one series in a batch. All arrays have the same length. */
export interface BatchBlock {
  /** Index of the series, as `hello` and `series` messages announced it. */
  index: number;
  steps: Float64Array;
  values: Float64Array;
  /** Unix seconds. */
  times: Float64Array;
}

/** A binary message of the stream. */
export interface MetricBatch {
  seq: number;
  blocks: BatchBlock[];
}

/** What the header of the columns says of one series. */
export interface ColumnInfo extends SeriesInfo {
  /** Points sent. */
  n: number;
  /** Points that are in the asked range. */
  count: number;
  decimated: boolean;
  num_nonfinite: number;
  first_nonfinite_step: number | null;
}

/** One series of an answer of `/metrics`. */
export interface SeriesColumns {
  info: ColumnInfo;
  steps: Float64Array;
  values: Float64Array;
  /** Unix seconds. */
  times: Float64Array;
}

/** An answer of `/metrics`; streaming from `seq` continues exactly after it. */
export interface Columns {
  seq: number;
  /** Step and Unix seconds of each checkpoint that was saved; absent from an engine of an earlier version. */
  checkpoints?: readonly (readonly [step: number, time: number])[];
  series: SeriesColumns[];
}

/** An answer of `/logs`. Offsets are bytes. */
export interface LogPage {
  offset: number;
  next_offset: number;
  size: number;
  text: string;
}

/** Bytes that are not what they were announced to be. */
export class WireError extends Error {
  override name = 'WireError';
}

export type Bytes = ArrayBuffer | ArrayBufferView;

const KINDS: ReadonlySet<string> = new Set(['hello', 'state', 'series', 'log', 'reset', 'end']);

/**
 * Parse a text message of the stream.
 *
 * @returns The message, or `null` for a kind that a newer engine may have added.
 */
export function parseMessage(text: string): StreamMessage | null {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null || typeof (value as { kind?: unknown }).kind !== 'string') {
    throw new WireError(`A stream message has no kind: ${text.slice(0, 80)}`);
  }
  return KINDS.has((value as { kind: string }).kind) ? (value as StreamMessage) : null;
}

/** Turn a JSON metric value into a number. */
export function toNumber(value: MetricValue): number {
  return typeof value === 'number' ? value : Number(value);
}

/** Decode a binary message of the stream. */
export function decodeBatch(data: Bytes): MetricBatch {
  const reader = new Reader(data, 'JXM1');
  const numBlocks = reader.u32();
  const seq = reader.u64();
  const baseTime = reader.f64();
  const blocks: BatchBlock[] = [];
  for (let i = 0; i < numBlocks; i++) {
    const index = reader.u16();
    const encoding = reader.u8();
    reader.u8();
    const n = reader.u32();
    let steps: Float64Array;
    if (encoding === 0) {
      steps = evenSteps(reader.f64(), reader.f64(), n);
    } else if (encoding === 1) {
      steps = reader.f64s(n);
    } else {
      throw new WireError(`Step encoding ${encoding} is unknown; update jupyter-ext in this page.`);
    }
    const values = reader.f64s(n);
    const times = timesAfter(baseTime, reader.f32s(n));
    blocks.push({ index, steps, values, times });
  }
  return { seq, blocks };
}

// Loops, as `Float64Array.from` with a function takes ten times as long, and this is done for each point that comes.
function evenSteps(start: number, delta: number, n: number): Float64Array {
  const steps = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    steps[i] = start + i * delta;
  }
  return steps;
}

function timesAfter(base: number, offsets: Float32Array): Float64Array {
  const times = new Float64Array(offsets.length);
  for (let i = 0; i < times.length; i++) {
    times[i] = base + offsets[i];
  }
  return times;
}

/** Decode an answer of `/metrics`. */
export function decodeColumns(data: Bytes): Columns {
  const reader = new Reader(data, 'JXC1');
  const header = JSON.parse(reader.text(reader.u32())) as ColumnsHeader;
  const series = header.series.map(info => ({
    info,
    steps: reader.f64s(info.n),
    values: reader.f64s(info.n),
    times: reader.f64s(info.n),
  }));
  return { seq: header.seq, checkpoints: header.checkpoints ?? [], series };
}

interface ColumnsHeader {
  seq: number;
  checkpoints?: [number, number][];
  series: ColumnInfo[];
}

/** Reads little-endian fields one after the other and refuses to read past the end. */
class Reader {
  readonly #view: DataView;
  #offset = 4;

  constructor(data: Bytes, magic: string) {
    this.#view = aligned(data);
    const found = String.fromCharCode(
      ...new Uint8Array(this.#view.buffer, this.#view.byteOffset, Math.min(4, this.#view.byteLength))
    );
    if (found !== magic) {
      throw new WireError(`Expected ${magic}, got ${JSON.stringify(found)}`);
    }
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  u64(): number {
    return Number(this.#view.getBigUint64(this.#take(8), true));
  }

  f64(): number {
    return this.#view.getFloat64(this.#take(8), true);
  }

  f64s(n: number): Float64Array {
    const at = this.#take(8 * n);
    return new Float64Array(this.#view.buffer, this.#view.byteOffset + at, n);
  }

  /** `n` float32 and the zeros that pad them to a multiple of 8 bytes. */
  f32s(n: number): Float32Array {
    const at = this.#take(Math.ceil((4 * n) / 8) * 8);
    return new Float32Array(this.#view.buffer, this.#view.byteOffset + at, n);
  }

  text(bytes: number): string {
    const at = this.#take(bytes);
    return new TextDecoder().decode(new Uint8Array(this.#view.buffer, this.#view.byteOffset + at, bytes));
  }

  #take(bytes: number): number {
    const at = this.#offset;
    if (at + bytes > this.#view.byteLength) {
      throw new WireError(`Cut short: ${this.#view.byteLength} bytes, ${at + bytes} wanted`);
    }
    this.#offset += bytes;
    return at;
  }
}

// Typed arrays need 8-byte alignment, which a buffer of a comm message may lack; only then it is copied.
function aligned(data: Bytes): DataView {
  if (data instanceof ArrayBuffer) {
    return new DataView(data);
  }
  if (data.byteOffset % 8 === 0) {
    return new DataView(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
  }
  const copy = new Uint8Array(data.byteLength);
  copy.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return new DataView(copy.buffer);
}
