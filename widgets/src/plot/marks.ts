// What happened beside the points: checkpoints, alerts, resumes. Drawn as marks on the x axis of every plot.

import type { Training } from '../wire';

/** One mark. `time` is Unix seconds. */
export interface ChartMark {
  kind: 'checkpoint' | 'resume' | 'alert';
  step: number;
  time: number;
  text: string;
  level: 'info' | 'warning' | 'error' | null;
  /** Of compared runs: whose mark it is, as its series' rank. */
  rank?: string;
}

/** A saved checkpoint: its step and Unix seconds. */
export type CheckpointMark = readonly [step: number, time: number];

/** Return the marks of a training. */
export function marksOf(training: Training, checkpoints: readonly CheckpointMark[]): ChartMark[] {
  const { resumed_from, checkpoint } = training;
  const saved = new Map(checkpoints);
  if (checkpoint) {
    saved.set(checkpoint.step, checkpoint.time);
  }
  const marks: ChartMark[] = [...saved].map(([step, time]) => ({ ...PLAIN, kind: 'checkpoint', step, time }));
  if (resumed_from) {
    const { step, time } = resumed_from;
    const changed = (resumed_from.changed ?? [])
      .map(name => `${name}=${JSON.stringify(training.input?.[name])}`)
      .join(', ');
    marks.push({ ...PLAIN, kind: 'resume', step, time, text: changed });
  }
  for (const { step, time, text, level } of training.alerts ?? []) {
    marks.push({ kind: 'alert', step, time, text, level });
  }
  return marks;
}

const PLAIN = { text: '', level: null };

/** Say a mark in words. */
export function markText({ kind, step, text }: ChartMark): string {
  const at = `at step ${step.toLocaleString('en-US')}`;
  switch (kind) {
    case 'checkpoint':
      return `checkpoint ${at}`;
    case 'resume':
      return `resumed ${at}${text && ` with ${text}`}`;
    case 'alert':
      return `${text || 'alert'} ${at}`;
    default:
      return kind satisfies never;
  }
}
