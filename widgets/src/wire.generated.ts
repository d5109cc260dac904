// The JSON types of docs/architecture/02-wire.md. To be generated from jupyter_ext/protocol/resources.py.

export type Status = 'starting' | 'processing' | 'succeeded' | 'failed' | 'canceled';
export type StopStage = 'flag' | 'interrupt' | 'terminate' | 'kill';
export type CauseKind = 'exception' | 'signal' | 'exit' | 'lost' | 'out_of_memory' | 'canceled' | 'start';
export type MetricValue = number | 'NaN' | 'Infinity' | '-Infinity';

/** How far a training says it is. */
export interface Progress {
  current: number;
  total: number | null;
  fraction: number | null;
  eta_s: number | null;
}

/** A stop that was asked for, and how far up the ladder it is. */
export interface Stop {
  stage: StopStage;
  requested_at: string;
}

/** Why a training ended other than by success, and what to do next. */
export interface Cause {
  kind: CauseKind;
  message: string;
  hint: string | null;
}

/** One frame of the user's traceback. */
export interface Frame {
  file: string;
  line: number;
  function: string;
  source: string | null;
}

/** An exception of the user's code, cut to the user's frames. */
export interface UserException {
  type: string;
  message: string;
  frames: Frame[];
  text: string;
}

/** A notebook name that travelled by value. */
export interface Captured {
  name: string;
  type: string;
  bytes: number;
}

/** The latest point of a series. */
export interface LastPoint {
  step: number;
  value: MetricValue;
  time: number;
}

/** Where the training can be asked for and canceled. */
export interface Urls {
  get: string;
  cancel: string;
}

/** One training. Times are RFC 3339 UTC with `Z`. */
export interface Training {
  id: string;
  model: string;
  version: string;
  status: Status;
  input: { [key: string]: unknown };
  error: string | null;
  logs: string | null;
  created_at: string;
  started_at: string | null;
  completed_at: string | null;
  output: unknown;
  metrics: { [key: string]: number };
  source: 'api' | 'web';
  urls: Urls;
  name: string;
  progress: Progress | null;
  stop: Stop | null;
  cause: Cause | null;
  exception: UserException | null;
  captured: Captured[];
  notices: string[];
  last: { [key: string]: LastPoint };
  silent_s: number | null;
}

/** Names the series that an index stands for on one stream or in one set of columns. */
export interface SeriesInfo {
  index: number;
  key: string;
  rank: string;
}

/** First message of a stream. */
export interface Hello {
  kind: 'hello';
  protocol: number;
  seq: number;
  training: Training;
  series: SeriesInfo[];
}

/** A field of the training changed. */
export interface State {
  kind: 'state';
  seq: number;
  training: Training;
}

/** Series that appear for the first time on this connection. */
export interface Series {
  kind: 'series';
  series: SeriesInfo[];
}

/** A chunk of the log; offsets are bytes. */
export interface Log {
  kind: 'log';
  seq: number;
  offset: number;
  next_offset: number;
  text: string;
}

/** What the client holds cannot be continued: fetch anew, continue from `seq`. */
export interface Reset {
  kind: 'reset';
  seq: number;
}

/** The training is over and everything was sent. */
export interface End {
  kind: 'end';
  seq: number;
}

export type StreamMessage = Hello | State | Series | Log | Reset | End;
