// What of a change is worth a notification. Pure; knows no page.

import { isEnded, isResumable } from '../../../widgets/src/training/labels';
import type { Alert, LocalModel, Training } from '../../../widgets/src/wire';

/** Something to tell. */
export interface News {
  tone: 'success' | 'info' | 'warning' | 'error';
  kind: 'training' | 'model';
  id: string;
  name: string;
  what: 'ended' | 'failed' | 'alert' | 'downloaded' | 'download_failed';
  /** What the training or the service says. */
  detail: string;
  canResume: boolean;
}

/**
 * What was known of a training before a change; nothing is told of one that is first heard of when it is
 * over.
 */
export type Before<T> = T | undefined;

/** Return what is new about a training, the alerts first. */
export function trainingNews(before: Before<Training>, now: Training): News[] {
  if (!before) {
    return [];
  }
  const about = { kind: 'training', id: now.id, name: now.name || now.model } as const;
  const alerts = now.alerts.slice(before.alerts.length).map(
    (alert): News => ({
      ...about,
      tone: toneOf(alert),
      what: 'alert',
      detail: alert.text,
      canResume: false,
    })
  );
  if (isEnded(before.status) || !isEnded(now.status) || now.status === 'canceled') {
    return alerts; // a person cancels, and knows
  }
  const isFailed = now.status === 'failed';
  const end: News = {
    ...about,
    tone: isFailed ? 'error' : 'success',
    what: isFailed ? 'failed' : 'ended',
    detail: isFailed ? (now.cause?.message ?? now.error ?? '') : '',
    canResume: isResumable(now),
  };
  return [...alerts, end];
}

/** Return what is new about a model: that its download is over. */
export function modelNews(before: Before<LocalModel>, now: LocalModel): News[] {
  if (before?.transfer?.status !== 'running' || !now.transfer || now.transfer.status === 'running') {
    return [];
  }
  const about = { kind: 'model', id: now.id, name: now.name, canResume: false } as const;
  switch (now.transfer.status) {
    case 'completed':
      return [{ ...about, tone: 'success', what: 'downloaded', detail: '' }];
    case 'failed':
      return [{ ...about, tone: 'error', what: 'download_failed', detail: now.transfer.error ?? '' }];
    default:
      return [];
  }
}

/** Whether a person wants to be told. */
export function isWanted({ tone }: News, level: 'all' | 'failures' | 'none'): boolean {
  return level === 'all' || (level === 'failures' && (tone === 'error' || tone === 'warning'));
}

function toneOf({ level }: Alert): News['tone'] {
  return level === 'error' ? 'error' : level === 'warning' ? 'warning' : 'info';
}
