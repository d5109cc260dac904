// How a view reaches the engine. A view knows this interface only, never the host it lives in.

import type { Bytes } from '../wire';

/** An answer, whatever its status. */
export interface Answer {
  /** HTTP status. */
  status: number;
  contentType: string;
  body: ArrayBuffer;
}

/** What a stream tells its owner. `closed` is the last call. */
export interface StreamHandlers {
  text(data: string): void;
  binary(data: Bytes): void;
  /**
   * `code` as of a WebSocket: 1000 when the engine was done, 1006 when the line broke, 4000 + status when it was
   * refused, with the `reason` in one line.
   */
  closed(code: number, reason?: string): void;
}

/** Return why a stream was refused, in one line, or nothing if it only broke: that is soon over. */
export function refusalOf(code: number, reason = ''): string {
  return code >= 4400 ? reason : '';
}

/** Return why a stream has closed, in one line: what the engine said of it, or what its code tells. */
export function reasonOfEnd(code: number, reason = ''): string {
  const other = code === 1000 ? 'The engine has stopped.' : 'The engine does not answer.';
  return refusalOf(code, reason) || other;
}

/** An open stream. */
export interface OpenStream {
  /** Close it; no handler is called afterwards. */
  close(): void;
}

/** A way to the engine. Paths are the engine's, such as `/native/trainings/7f3…`. */
export interface Transport {
  /**
   * Send one request.
   *
   * @param method HTTP method.
   * @param path Path and query on the engine.
   * @param body Sent as JSON when given.
   * @returns The answer; rejects with a {@link ConnectionError} when there was none.
   */
  request(method: string, path: string, body?: unknown): Promise<Answer>;
  openStream(path: string, handlers: StreamHandlers): OpenStream;
  /** The same way, but it never starts an engine: for whoever merely looks on. Absent where there is none. */
  readonly running?: Transport;
  /** Look whether an engine runs, without starting one; rejects where that cannot be told. */
  isEngineRunning?(): Promise<boolean>;
  /** Start the engine because somebody asked for it; absent where every request does. */
  startEngine?(): Promise<Answer>;
  /** Whether a request that finds no engine starts one; absent where it does. */
  mayStart?(): boolean;
  /** Load plotly.js from where this transport's code comes from. */
  importPlotly(): Promise<unknown>;
}

/** Nobody answered. */
export class ConnectionError extends Error {
  override name = 'ConnectionError';
}

/** The engine, or the server before it, refused a request. */
export class ProblemError extends Error {
  override name = 'ProblemError';

  /**
   * @param status HTTP status.
   * @param title Short name of the problem.
   * @param detail What is wrong and the next step, in one line.
   */
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string
  ) {
    super(detail || title);
  }
}

/** Return the bytes of an answer, or throw its problem. */
export function bytesOf(answer: Answer): ArrayBuffer {
  if (answer.status >= 200 && answer.status < 300) {
    return answer.body;
  }
  throw problemOf(answer);
}

/** Return the JSON of an answer, or throw its problem. */
export function jsonOf<T>(answer: Answer): T {
  return JSON.parse(new TextDecoder().decode(bytesOf(answer))) as T;
}

function problemOf(answer: Answer): ProblemError {
  const text = new TextDecoder().decode(answer.body);
  try {
    const body = JSON.parse(text) as {
      title?: unknown;
      detail?: unknown;
      message?: unknown;
      invalid_fields?: { description: string }[];
    };
    const title = typeof body.title === 'string' ? body.title : `HTTP ${answer.status}`;
    // `detail` is Replicate's list of fields, for programs; for people it is said without the paths.
    const wrong = Array.isArray(body.invalid_fields)
      ? body.invalid_fields.map(field => field.description).join('; ')
      : '';
    const detail = wrong || (typeof body.detail === 'string' ? body.detail : body.message);
    return new ProblemError(answer.status, title, typeof detail === 'string' ? detail : '');
  } catch {
    return new ProblemError(answer.status, `HTTP ${answer.status}`, '');
  }
}
