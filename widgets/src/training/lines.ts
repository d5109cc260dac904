// What the panel says of a training in lines: what is wrong with the connection, the worker, the curves. Pure; draws nothing.

import { formatCount, formatDuration, shortId } from '../core/format';
import type { Training } from '../wire';
import { isEnded } from './labels';
import type { Message } from './messages';
import type { TrainingFeed, TrainingFeedState } from './training_feed';

/** A worker silent for longer is worth a line. */
const SILENT_S = 60;
/** A connection that is away for longer is worth a line that says why. */
const BROKEN_MS = 5_000;

/** What only the panel knows, and what its lines can do. */
export interface PanelState {
  /** What an action of the header failed with, or nothing. */
  actionError: string;
  /** Whether the run before this one is shown. */
  isBeforeShown: boolean;
  showStacks: (feed: TrainingFeed) => void;
  toggleBefore: (id: string) => void;
}

/** Return the lines on a training, the worst first. */
export function linesOf(
  training: Training,
  feed: TrainingFeed | null,
  now_ms: number,
  panel: PanelState
): Message[] {
  const lines: Message[] = [];
  if (feed?.state.kind === 'unavailable') {
    lines.push({
      tone: 'error',
      text: feed.state.reason,
      action: { label: 'Try again', run: () => feed.start() },
    });
  }
  if (feed?.state.kind === 'reconnecting' && now_ms - feed.state.since_ms > BROKEN_MS) {
    lines.push({
      tone: 'warning',
      text: `${feed.state.reason} Trying again; the training does not need this page.`,
    });
  }
  if (panel.actionError) {
    lines.push({ tone: 'error', text: panel.actionError });
  }
  const silent_s = feed?.reportedAt ? (now_ms - feed.reportedAt) / 1000 : 0;
  if (feed && training.status === 'processing' && silent_s > SILENT_S && feed.state.kind === 'live') {
    lines.push({
      tone: 'warning',
      text: `Running, no report for ${formatDuration(silent_s)}.`,
      action: { label: 'Stacks', run: () => panel.showStacks(feed) },
    });
  }
  for (const series of feed?.series.all ?? []) {
    const warning = series.isSystem ? null : series.warning;
    if (warning) {
      lines.push({ tone: 'warning', text: warning });
    }
  }
  if (training.resumed_from) {
    const { id, step } = training.resumed_from;
    lines.push({
      tone: 'info',
      text: `Resumed from ${shortId(id)} at step ${formatCount(step)}.`,
      action: { label: panel.isBeforeShown ? 'Hide it' : 'Show it', run: () => panel.toggleBefore(id) },
    });
  }
  if (training.status === 'canceled' && training.cause) {
    lines.push({
      tone: 'info',
      text: [training.cause.message, training.cause.hint].filter(Boolean).join(' '),
    });
  }
  lines.push(...(training.notices ?? []).map((text): Message => ({ tone: 'info', text })));
  return lines;
}

/** Return what stands where curves will be. */
export function emptyTextOf(training: Training, feed: TrainingFeed | null): string {
  if (feed === null) {
    return 'Not connected: the curves are with the engine.';
  }
  if (feed.state.kind === 'connecting' || feed.state.kind === 'idle') {
    return 'Loading…';
  }
  if (feed.state.kind === 'unavailable') {
    return 'The curves could not be loaded.';
  }
  return isEnded(training.status) ? 'No metrics were logged.' : 'Waiting for the first metric';
}

/** Return what stands in place of a training of which nothing is known yet. */
export function blankTextOf(trainingId: string, state: TrainingFeedState | null): string {
  const id = shortId(trainingId);
  if (!state) {
    return `Training ${id}: not connected, and nothing is known of it here.`;
  }
  if (state.kind === 'unavailable') {
    return state.reason;
  }
  return state.kind === 'reconnecting'
    ? `Training ${id}: ${state.reason.replace(/[.\s]+$/, '')}. Trying again…`
    : `Training ${id}: connecting…`;
}
