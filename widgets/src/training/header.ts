// The top of the panel: what it is, how it is doing, how long it takes, and the way to end it.

import { button, element, setHidden, setText } from '../core/dom';
import { messageOf } from '../core/errors';
import { formatAbout, formatClock, formatCount, shortId } from '../core/format';
import { trans } from '../core/translate';
import type { StopStage, Training } from '../wire';
import { checkpointText, isEnded, isResumable } from './labels';
import type { TrainingFeedState } from './training_feed';

const STAGES: Record<StopStage, string> = {
  flag: 'finishing the step',
  interrupt: 'interrupted',
  terminate: 'terminating',
  kill: 'killing',
};

export class Header {
  readonly node: HTMLElement;
  readonly #name = element('span', { class: 'jx-name' });
  readonly #id = element('span', { class: 'jx-id' });
  readonly #chipText = element('span');
  readonly #chip = element(
    'span',
    { class: 'jx-chip', attrs: { role: 'status' } },
    element('span', { class: 'jx-dot' }),
    this.#chipText
  );
  readonly #connection = element('span', { class: 'jx-connection', attrs: { role: 'status' } });
  readonly #elapsed = element('span', { class: 'jx-elapsed', title: trans.__('Elapsed') });
  readonly #cancel: HTMLButtonElement;
  readonly #resume: HTMLButtonElement;
  readonly #bar = element('div', { class: 'jx-bar-fill' });
  readonly #track = element(
    'div',
    {
      class: 'jx-bar',
      attrs: {
        role: 'progressbar',
        'aria-label': trans.__('Progress'),
        'aria-valuemin': '0',
        'aria-valuemax': '100',
      },
    },
    this.#bar
  );
  readonly #done = element('span');
  readonly #left = element('span');
  #canceling = false;
  #resuming = false;
  readonly #canResume: boolean;

  /**
   * @param cancel Asks for the end; rejects with what went wrong.
   * @param resume Goes on from the last checkpoint; rejects with what went wrong. `null` where that has no
   *   place.
   * @param onChange Asks to be drawn.
   * @param signal Ends its listeners.
   */
  constructor(
    cancel: () => Promise<void>,
    resume: (() => Promise<void>) | null,
    onChange: () => void,
    onError: (text: string) => void,
    signal: AbortSignal
  ) {
    this.#canResume = resume !== null;
    this.#resume = button(
      { class: 'jx-button jx-primary', text: trans.__('Resume') },
      () => {
        this.#resuming = true;
        onError('');
        onChange();
        resume?.()
          .catch((error: unknown) => onError(messageOf(error)))
          .finally(() => {
            this.#resuming = false;
            onChange();
          });
      },
      signal
    );
    this.#cancel = button(
      { class: 'jx-button jx-danger', text: trans.__('Cancel'), title: trans.__('Ask the training to stop') },
      () => {
        this.#canceling = true;
        onError('');
        onChange();
        cancel().catch((error: unknown) => {
          this.#canceling = false;
          onError(trans.__('Cancel failed: %1', messageOf(error)));
          onChange();
        });
      },
      signal
    );
    this.node = element(
      'header',
      { class: 'jx-header' },
      element(
        'div',
        { class: 'jx-title' },
        this.#chip,
        this.#name,
        this.#id,
        element('span', { class: 'jx-spacer' }),
        this.#connection,
        this.#elapsed,
        this.#cancel,
        this.#resume
      ),
      this.#track,
      element('div', { class: 'jx-progress-text' }, this.#done, this.#left)
    );
  }

  /**
   * @param feed State of the connection; `null` when there is none.
   * @param lastStep The newest step of any metric, shown when the training reports no progress.
   */
  draw(training: Training, feed: TrainingFeedState | null, lastStep: number | null, now_ms: number): void {
    const { status, stop, progress } = training;
    const ended = isEnded(status);
    this.#canceling &&= !ended;
    setText(this.#name, training.name || training.model || 'training');
    setText(this.#id, shortId(training.id));
    this.#id.title = training.id;
    const stopping = !ended && (stop !== null || this.#canceling);
    this.#chip.dataset.status = stopping ? 'stopping' : status;
    setText(
      this.#chipText,
      stopping ? (stop ? `stopping: ${STAGES[stop.stage] ?? stop.stage}` : 'canceling') : status
    );
    setHidden(this.#cancel, ended);
    this.#cancel.disabled = stopping || feed === null;
    setText(this.#cancel, stopping ? trans.__('Canceling…') : trans.__('Cancel'));
    setHidden(this.#resume, !this.#canResume || !isResumable(training));
    this.#resume.disabled = this.#resuming || feed === null;
    setText(this.#resume, this.#resuming ? trans.__('Resuming…') : trans.__('Resume'));
    this.#resume.title = training.checkpoint
      ? trans.__('Go on from the checkpoint at %1, in a new run', checkpointText(training.checkpoint, now_ms))
      : '';
    setText(this.#elapsed, elapsed(training, now_ms));
    this.#drawConnection(feed);
    this.#drawProgress(training, progress?.fraction ?? null, lastStep, ended);
  }

  #drawConnection(feed: TrainingFeedState | null): void {
    const text = feed === null ? 'not connected' : feed.kind === 'reconnecting' ? 'reconnecting…' : '';
    setHidden(this.#connection, text === '');
    setText(this.#connection, text);
    this.#connection.title = feed?.kind === 'reconnecting' ? feed.reason : '';
  }

  #drawProgress(training: Training, fraction: number | null, lastStep: number | null, ended: boolean): void {
    const { progress, status } = training;
    const full = status === 'succeeded';
    const unknown = status === 'processing' && fraction === null;
    this.#track.dataset.status = status;
    this.#track.classList.toggle('jx-bar-unknown', unknown);
    this.#bar.style.width = full ? '100%' : unknown ? '' : `${(100 * (fraction ?? 0)).toFixed(2)}%`;
    if (fraction === null) {
      this.#track.removeAttribute('aria-valuenow');
    } else {
      this.#track.setAttribute('aria-valuenow', String(Math.round(100 * fraction)));
    }
    const parts = [];
    if (progress) {
      parts.push(
        progress.total === null
          ? trans.__('%1 done', formatCount(progress.current))
          : `${formatCount(progress.current)} / ${formatCount(progress.total)}`
      );
      if (fraction !== null) {
        parts.push(`${Math.floor(100 * fraction)} %`);
      }
    } else if (lastStep !== null) {
      parts.push(trans.__('step %1', formatCount(lastStep)));
    }
    setText(
      this.#done,
      parts.join(' · ') || (status === 'starting' ? trans.__('Starting the worker…') : '\u200b')
    );
    const eta = progress?.eta_s ?? null;
    setText(this.#left, !ended && eta !== null ? trans.__('%1 left', formatAbout(eta)) : '');
  }
}

function elapsed(training: Training, now_ms: number): string {
  if (training.started_at === null) {
    return '';
  }
  const from = Date.parse(training.started_at);
  if (training.completed_at === null) {
    return formatClock((now_ms - from) / 1000);
  }
  const took_s = (Date.parse(training.completed_at) - from) / 1000;
  return took_s < 60 ? `${took_s.toFixed(1)} s` : formatClock(took_s);
}
