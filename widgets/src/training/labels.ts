// What a training's state allows, and what is written about its checkpoint. Pure; knows no page.

import { formatAgo, formatBytes, formatCount } from '../core/format';
import type { Checkpoint, Status, Training } from '../wire';

export function isEnded(status: Status): boolean {
  return status === 'succeeded' || status === 'failed' || status === 'canceled';
}

/** Return whether a run can go on from a checkpoint. */
export function isResumable(training: Training): boolean {
  return (training.status === 'failed' || training.status === 'canceled') && Boolean(training.checkpoint);
}

/** `step 29, 3 min ago, 1.2 MiB`. */
export function checkpointText({ step, time, bytes }: Checkpoint, now_ms: number): string {
  return `step ${formatCount(step)}, ${formatAgo(now_ms / 1000 - time)}, ${formatBytes(bytes)}`;
}
