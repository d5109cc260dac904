// The requests of a debug session's view. Paths are those of docs/architecture/12-debug-sessions.md.

import {
  bytesOf,
  jsonOf,
  type OpenStream,
  type StreamHandlers,
  type Transport,
} from '../transport/transport';
import type { DebugSession, Frame } from '../wire';
import { answerText, type OfferedCall } from './calls';
import { decodeTree, doublesOf, type ValueTree } from './values';

/** A value in a line; of arrays and tensors also what they hold. Numbers that JSON cannot carry are texts. */
export interface Summary {
  name: string;
  type: string;
  text: string;
  shape?: number[];
  dtype?: string;
  device?: string;
  min?: number;
  max?: number;
  mean?: number | string;
  norm?: number | string;
  num_nan?: number;
  num_inf?: number;
  histogram?: Histogram | null;
  picture?: Picture | null;
}

/** How many of the finite values are between each two `edges`. */
export interface Histogram {
  counts: number[];
  edges: number[];
}

/** A tensor as a small image: grey or RGB, one byte a value, row by row, in base64. */
export interface Picture {
  width: number;
  height: number;
  channels: 1 | 3;
  pixels: string;
  /** What of the tensor it shows, such as `[0]` of a batch. */
  of: string;
}

/** A frame of the last exception. */
export interface FrameWithLocals extends Frame {
  locals: Summary[];
}

/** The last exception of a session, with the frames that it keeps. */
export interface Failure {
  op: string;
  type: string;
  message: string;
  text: string;
  frames: FrameWithLocals[];
  selected: number;
}

/** A parameter of a model, and its gradient where it has one. */
export interface Parameter {
  name: string;
  shape: number[];
  dtype: string;
  trainable: boolean;
  value: Partial<Summary>;
  grad: Partial<Summary> | null;
}

/** Points of a metric from an index on. */
export interface Points {
  name: string;
  times: Float64Array;
  steps: Float64Array;
  values: Float64Array;
}

export interface LogPiece {
  text: string;
  offset: number;
  next_offset: number;
}

export type StreamName = 'stdout' | 'stderr';

export class SessionClient {
  readonly #transport: Transport;
  readonly #path: string;

  constructor(transport: Transport, id: string) {
    this.#transport = transport;
    this.#path = `/native/sessions/${encodeURIComponent(id)}`;
  }

  async terminate(): Promise<DebugSession> {
    return jsonOf<DebugSession>(await this.#transport.request('POST', `${this.#path}/terminate`, {}));
  }

  /** Forget a session that has ended. */
  async remove(): Promise<void> {
    bytesOf(await this.#transport.request('DELETE', this.#path));
  }

  async logTail(stream: StreamName, lines: number): Promise<LogPiece> {
    return jsonOf<LogPiece>(
      await this.#transport.request('GET', `${this.#path}/logs?stream=${stream}&tail=${lines}`)
    );
  }

  /** @param offsets Bytes of each stream that are here already. */
  stream(offsets: Readonly<Record<StreamName, number>>, handlers: StreamHandlers): OpenStream {
    return this.#transport.openStream(
      `${this.#path}/stream?stdout=${offsets.stdout}&stderr=${offsets.stderr}`,
      handlers
    );
  }

  async interrupt(): Promise<void> {
    await this.#call('interrupt');
  }

  /** Cancel a training; says what to do where it does not react. */
  async cancelTraining(trainingId: string): Promise<string | null> {
    return (
      (await this.#call<{ hint?: string }>('cancel_training', { training_id: trainingId, wait_s: 10 })).result
        .hint ?? null
    );
  }

  /**
   * Return the last exception; with `select`, make its frame the one that cells and expressions are evaluated
   * in.
   */
  async frames(select?: number): Promise<Failure> {
    return (await this.#call<Failure>('frames', select === undefined ? {} : { select })).result;
  }

  async parameters(modelId: string): Promise<Parameter[]> {
    return (
      await this.#call<{ parameters: Parameter[] }>('parameters', { model_id: modelId, histograms: true })
    ).result.parameters;
  }

  /**
   * Look at an expression: in the selected frame of the last exception, else among the names of the session.
   */
  async look(expression: string): Promise<Summary> {
    return (await this.#call<{ summary: Summary }>('value', { expression, picture: true })).result.summary;
  }

  async names(): Promise<Summary[]> {
    return (await this.#call<{ locals: Summary[] }>('locals')).result.locals;
  }

  /** Tell where each thread stands. */
  async stacks(): Promise<string> {
    const { result } = await this.#call<{
      threads: { name?: string; text?: string; frames?: Frame[] }[] | string;
    }>('stacks');
    return typeof result.threads === 'string' ? result.threads : result.threads.map(stackText).join('\n\n');
  }

  /** Call the session's code; says in one line what it gave. */
  async callCode(op: OfferedCall['op'], params: object): Promise<string> {
    return answerText((await this.#call<Parameters<typeof answerText>[0]>(op, params)).result);
  }

  /** Return the points of metrics that are not here yet. */
  async points(trainingId: string, from: ReadonlyMap<string, number>): Promise<Points[]> {
    const metrics = [...from].map(([name, start]) => ({ name, start }));
    const { result, blobs } = await this.#call<{ metrics: { name: string }[]; value: ValueTree }>(
      'training_metrics',
      { training_id: trainingId, metrics }
    );
    const found = decodeTree(result.value, blobs) as Record<string, unknown>[];
    return result.metrics.map(({ name }, i) => {
      const { times, steps, numbers } = found[i];
      return { name, times: doublesOf(times), steps: doublesOf(steps), values: doublesOf(numbers) };
    });
  }

  async #call<T>(op: string, params: object = {}): Promise<{ result: T; blobs: Uint8Array[] }> {
    const answer = jsonOf<{ result: T; blobs: string[] }>(
      await this.#transport.request('POST', `${this.#path}/call`, { op, params })
    );
    return { result: answer.result, blobs: answer.blobs.map(bytesOfBase64) };
  }
}

/** Decode base64. */
export function bytesOfBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), character => character.charCodeAt(0));
}

function stackText({ name, text, frames }: { name?: string; text?: string; frames?: Frame[] }): string {
  const lines =
    frames?.map(
      frame =>
        `  ${frame.file}, line ${frame.line}, in ${frame.function}${frame.source ? `\n    ${frame.source.trim()}` : ''}`
    ) ?? [];
  return [name ?? '', ...(text ? [text] : lines)].filter(Boolean).join('\n');
}
