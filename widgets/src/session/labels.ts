// What is written about a debug session. Pure; knows no page.

import { formatAbout, formatBytes, formatClock, formatCount, formatValue } from '../core/format';
import type { DebugModel, DebugSession, DebugTraining, SessionFailure } from '../wire';
import type { Summary } from './session_client';

/** What the chip says, and its colour by one of the panel's statuses. */
export interface ChipText {
  text: string;
  status: 'starting' | 'processing' | 'succeeded' | 'failed' | 'canceled' | 'stopping';
}

/** An interrupt that had no effect for so long is told. */
const STUCK_S = 5;

export function chipOf(session: DebugSession, now_s: number): ChipText {
  if (session.status === 'ended') {
    return session.exit?.code === 'requested' || session.exit?.code === 'inactive'
      ? { text: 'ended', status: 'canceled' }
      : { text: 'died', status: 'failed' };
  }
  if (session.status === 'starting') {
    return { text: 'starting', status: 'starting' };
  }
  const { busy } = session;
  if (busy) {
    const since = busy.started_at === null ? '' : ` · ${formatClock(now_s - busy.started_at)}`;
    return busy.interrupting
      ? { text: `interrupting ${busy.op}${since}`, status: 'stopping' }
      : { text: `${busy.op}${since}`, status: 'processing' };
  }
  if (session.cell_runs) {
    return { text: 'running a cell', status: 'processing' };
  }
  if (session.failure === null) {
    return { text: 'ready', status: 'succeeded' };
  }
  return isInterrupt(session.failure)
    ? { text: 'interrupted', status: 'canceled' }
    : { text: 'stopped at an exception', status: 'failed' };
}

/**
 * Whether what stopped it is a person's own interrupt; its frames can be looked at as those of an exception.
 */
export function isInterrupt(failure: SessionFailure): boolean {
  return failure.type === 'KeyboardInterrupt';
}

/** One line for each thing that a person should know now. */
export function noticesOf(
  session: DebugSession,
  now_s: number
): { tone: 'info' | 'warning' | 'error'; text: string }[] {
  const lines: { tone: 'info' | 'warning' | 'error'; text: string }[] = [];
  const { exit, busy, code_error: codeError } = session;
  if (exit && exit.code !== 'requested') {
    lines.push({
      tone: exit.code === 'inactive' ? 'warning' : 'error',
      text: [exit.message, exit.hint].filter(Boolean).join(' '),
    });
  }
  if (codeError && session.status !== 'ended') {
    lines.push({
      tone: 'error',
      text: `The code could not be loaded: ${String(codeError.message ?? codeError.code ?? '')}`,
    });
  }
  if (session.status === 'running' && busy?.deaf) {
    lines.push({
      tone: 'warning',
      text: `It cannot be interrupted: ${busy.deaf}. Stacks shows where it is; Terminate ends it and loses its models.`,
    });
  } else if (
    session.status === 'running' &&
    busy?.interrupting &&
    busy.started_at !== null &&
    now_s - busy.started_at > STUCK_S
  ) {
    lines.push({
      tone: 'warning',
      text: 'It does not react to the interrupt: it may be inside of native code. Stacks shows where; Terminate ends it and loses its models.',
    });
  }
  if (session.queued.length > 0) {
    lines.push({
      tone: 'info',
      text: `${session.queued.length} ${session.queued.length === 1 ? 'call waits' : 'calls wait'}: ${session.queued.map(turn => turn.op).join(', ')}`,
    });
  }
  if (session.attached) {
    const { host, port, socket } = session.attached;
    lines.push({
      tone: 'info',
      text: `A debugger can attach (DAP) at ${port === null ? socket : `${host}:${port}`}.`,
    });
  }
  const left = session.expires_at === null ? Infinity : session.expires_at - now_s;
  if (session.status === 'running' && left < 180) {
    lines.push({
      tone: 'warning',
      text: `Nobody has used it; it ends in ${formatAbout(Math.max(0, left))}. Any call keeps it.`,
    });
  }
  return [...lines, ...session.notices.map(text => ({ tone: 'info' as const, text }))];
}

/**
 * One line for each thing to know of one training whose session is not shown with it.
 *
 * @param training `null` where the session does not tell of it.
 * @param gone Why there is no session any more, if so.
 */
export function trainingNoticesOf(
  session: DebugSession | null,
  training: DebugTraining | null,
  gone: string
): { tone: 'info' | 'warning' | 'error'; text: string }[] {
  if (gone) {
    return [{ tone: 'error', text: gone }];
  }
  if (session === null) {
    return [];
  }
  if (training === null) {
    return [
      { tone: 'info', text: `${session.name} keeps this training no longer: newer ones took its place.` },
    ];
  }
  const { fail } = training;
  if (fail?.code === 'session_ended') {
    const requested = session.exit?.code === 'requested';
    const text = [
      'The session ended during the training; what it had logged is kept.',
      requested ? '' : session.exit?.hint,
    ]
      .filter(Boolean)
      .join(' ');
    return [{ tone: requested ? 'info' : 'error', text }];
  }
  if (fail?.code === 'exception' && session.failure?.op === 'train' && session.status === 'running') {
    return [
      {
        tone: 'error',
        text: `The session is stopped there: %debug_session ${session.name} shows its frames, %%in_session ${session.name} evaluates in them.`,
      },
    ];
  }
  return [];
}

export function modelText(model: DebugModel): string {
  return `${formatCount(model.num_calls)} ${model.num_calls === 1 ? 'call' : 'calls'} · ${model.methods.slice(0, 8).join(', ')}${model.methods.length > 8 ? ', …' : ''}`;
}

export function trainingChip(training: DebugTraining): ChipText {
  if (training.state === 'completed') {
    return { text: 'completed', status: 'succeeded' };
  }
  if (training.state === 'failed') {
    const code = String(training.fail?.code ?? 'failed');
    if (code === 'session_ended') {
      return { text: 'ended with its session', status: 'canceled' };
    }
    return code === 'cancelled'
      ? { text: 'canceled', status: 'canceled' }
      : { text: code === 'exception' ? 'failed' : code, status: 'failed' };
  }
  if (training.cancel_stage) {
    return { text: `canceling: ${training.cancel_stage}`, status: 'stopping' };
  }
  return training.started_at === null
    ? { text: 'waits', status: 'starting' }
    : { text: 'running', status: 'processing' };
}

export function trainingText(training: DebugTraining, now_s: number): string {
  const parts = [];
  if (training.state === 'running' && training.progress > 0) {
    parts.push(`${Math.floor(100 * training.progress)} %`);
  }
  const seconds = training.duration_s ?? (training.started_at === null ? null : now_s - training.started_at);
  if (seconds !== null) {
    parts.push(formatClock(seconds));
  }
  const { fail } = training;
  if (fail && fail.code !== 'cancelled') {
    parts.push(String(fail.message ?? ''));
  }
  return parts.filter(Boolean).join(' · ');
}

/** `4 × 3`; of a scalar `scalar`. */
export function shapeOf(shape: readonly number[] | undefined): string {
  return shape === undefined ? '' : shape.length === 0 ? 'scalar' : shape.join(' × ');
}

/** The numbers of a tensor, by name; those that should worry are marked. */
export function factsOf(summary: Partial<Summary>): { name: string; value: string; bad: boolean }[] {
  const number = (value: number | string | undefined) =>
    typeof value === 'number' ? formatValue(value) : String(value ?? '');
  const facts = (['min', 'mean', 'max', 'norm'] as const)
    .filter(key => summary[key] !== undefined)
    .map(key => ({ name: key, value: number(summary[key]), bad: typeof summary[key] === 'string' }));
  const worries = (['num_nan', 'num_inf'] as const)
    .filter(key => summary[key])
    .map(key => ({
      name: key === 'num_nan' ? 'NaN' : 'inf',
      value: formatCount(summary[key] ?? 0),
      bad: true,
    }));
  return [...facts, ...worries];
}

export function capturedText(session: DebugSession): string {
  return session.captured
    .map(({ name, type, bytes }) => `${name} (${type}, ${formatBytes(bytes)})`)
    .join(', ');
}
