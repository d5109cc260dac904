// What a row of the panel says. Pure; knows no page.

import type { TranslationBundle } from '@jupyterlab/translation';
import {
  formatAbout,
  formatAgo,
  formatBytes,
  formatClock,
  formatValue,
} from '../../../widgets/src/core/format';
import { isMoving, memoryText, shortName, UNKNOWN } from '../../../widgets/src/models/labels';
import { defaultMetric, metricKeys } from '../../../widgets/src/runs/columns';
import { chipOf } from '../../../widgets/src/session/labels';
import { isEnded } from '../../../widgets/src/training/labels';
import { type DebugSession, type LocalModel, type Training, toNumber } from '../../../widgets/src/wire';

/** Something that a section lists. */
export type Item =
  | { kind: 'training'; value: Training }
  | { kind: 'session'; value: DebugSession }
  | { kind: 'model'; value: LocalModel };

/** What is written in a row. */
export interface Row {
  kind: Item['kind'];
  id: string;
  name: string;
  /** The colour of the dot. */
  status: 'starting' | 'processing' | 'stopping' | 'succeeded' | 'failed' | 'canceled' | 'idle';
  statusText: string;
  /** At the right: the metric's newest value, or the model's size. */
  value: string;
  /** What the value is of. */
  metric: string | null;
  /** The second line, in parts. */
  facts: string[];
  /** How far it is, in 0 … 1; `null` for nothing to show, `unknown` where it goes on for an unknown time. */
  fraction: number | 'unknown' | null;
  /** Whether it is at work. */
  isActive: boolean;
}

const MIB = 2 ** 20;

/** Return what a row says. `metric` is the one that a person chose; empty to choose one. */
export function rowOf(item: Item, metric: string, now_ms: number, trans: TranslationBundle): Row {
  switch (item.kind) {
    case 'training':
      return trainingRow(item.value, metric, now_ms, trans);
    case 'session':
      return sessionRow(item.value, now_ms, trans);
    case 'model':
      return modelRow(item.value, trans);
    default:
      return item satisfies never;
  }
}

/** Choose the metric of a training's small curve; `null` where it logged none. */
export function metricOf(training: Training, chosen: string): string | null {
  const keys = metricKeys([training]).filter(key => !key.startsWith('system/'));
  return keys.includes(chosen) ? chosen : defaultMetric(keys);
}

/** Whether a text is found in what a row says of itself. */
export function fits({ kind, id, name, statusText }: Row, text: string): boolean {
  const wanted = text.trim().toLowerCase();
  return wanted === '' || `${kind} ${id} ${name} ${statusText}`.toLowerCase().includes(wanted);
}

function trainingRow(training: Training, chosen: string, now_ms: number, trans: TranslationBundle): Row {
  const { id, status, progress, stop } = training;
  const isActive = !isEnded(status);
  const metric = metricOf(training, chosen);
  const last = metric === null ? undefined : training.last[metric];
  const memory = training.last['system/memory_mib'];
  const facts: string[] = [];
  if (isActive) {
    if (stop) {
      facts.push(trans.__('stopping'));
    } else if (status === 'starting') {
      facts.push(trans.__('starting'));
    }
    if (progress?.fraction != null) {
      facts.push(`${Math.floor(100 * progress.fraction)} %`);
    }
    if (progress?.eta_s != null) {
      facts.push(leftText(progress.eta_s, trans));
    } else if (training.started_at) {
      facts.push(formatClock((now_ms - Date.parse(training.started_at)) / 1000));
    }
    if (memory) {
      facts.push(formatBytes(toNumber(memory.value) * MIB));
    }
    facts.push(placeOf(training, trans));
  } else {
    facts.push(statusName(status, trans));
    if (training.completed_at) {
      facts.push(formatAgo((now_ms - Date.parse(training.completed_at)) / 1000));
    }
    if (training.tags.length > 0) {
      facts.push(training.tags.join(', '));
    }
  }
  return {
    kind: 'training',
    id,
    name: training.name || training.model || id.slice(0, 10),
    status: stop && isActive ? 'stopping' : status,
    statusText: stop && isActive ? trans.__('stopping') : statusName(status, trans),
    value: last ? formatValue(toNumber(last.value)) : '',
    metric,
    facts: facts.filter(Boolean),
    fraction: isActive ? (progress?.fraction ?? (status === 'processing' ? 'unknown' : null)) : null,
    isActive,
  };
}

// In a narrow place.
function leftText(eta_s: number, trans: TranslationBundle): string {
  return trans.__('%1 left', eta_s < 5 ? '< 5 s' : formatAbout(eta_s));
}

function statusName(status: Training['status'], trans: TranslationBundle): string {
  return {
    starting: trans.__('starting'),
    processing: trans.__('running'),
    succeeded: trans.__('succeeded'),
    failed: trans.__('failed'),
    canceled: trans.__('canceled'),
  }[status];
}

// Where it runs, where that is not here: a service's own trainings have its model as theirs.
function placeOf({ source, workers }: Training, trans: TranslationBundle): string {
  if (source !== 'api') {
    return source;
  }
  return workers > 1 ? trans.__('%1 workers', workers) : '';
}

function sessionRow(session: DebugSession, now_ms: number, trans: TranslationBundle): Row {
  const { text, status } = chipOf(session, now_ms / 1000);
  const isActive = session.status !== 'ended';
  const facts = [text];
  if (isActive && session.models.length > 0) {
    facts.push(trans._n('%1 model', '%1 models', session.models.length));
  }
  const training = session.trainings.find(({ state }) => state === 'running');
  if (training && training.progress > 0) {
    facts.push(`${Math.floor(100 * training.progress)} %`);
  }
  if (!isActive && session.ended_at !== null) {
    facts.push(formatAgo(now_ms / 1000 - session.ended_at));
  }
  return {
    kind: 'session',
    id: session.id,
    name: session.name,
    status: isActive && status === 'succeeded' ? 'idle' : status,
    statusText: text,
    value: '',
    metric: null,
    facts,
    fraction: training ? training.progress || 'unknown' : null,
    isActive,
  };
}

function modelRow(model: LocalModel, trans: TranslationBundle): Row {
  const isComing = isMoving(model);
  const { transfer } = model;
  const fraction =
    isComing && transfer?.bytes_total
      ? transfer.bytes_done / transfer.bytes_total
      : isComing
        ? 'unknown'
        : null;
  const facts: string[] = [];
  const texts: Record<LocalModel['state'], string> = {
    absent: model.cloud ? trans.__('on the service') : trans.__('not downloaded'),
    partial: trans.__('partly downloaded'),
    downloading: trans.__('downloading'),
    downloaded: trans.__('on disk'),
    loading: trans.__('loading'),
    loaded: trans.__('in memory'),
    unloading: trans.__('unloading'),
  };
  facts.push(model.error ? trans.__('failed') : texts[model.state]);
  if (isComing && typeof fraction === 'number') {
    facts.push(`${Math.floor(100 * fraction)} %`);
  }
  if (isComing && transfer?.eta_s != null) {
    facts.push(leftText(transfer.eta_s, trans));
  }
  const users = model.host?.users.length ?? 0;
  if (users > 0) {
    facts.push(trans._n('%1 user', '%1 users', users));
  }
  const isLoaded = model.state === 'loaded';
  const memory = memoryText(model);
  return {
    kind: 'model',
    id: model.id,
    name: shortName(model),
    status: model.error
      ? 'failed'
      : isLoaded
        ? 'succeeded'
        : isComing || model.state === 'loading' || model.state === 'unloading'
          ? 'processing'
          : 'idle',
    statusText: texts[model.state],
    value: isLoaded && memory !== UNKNOWN ? memory : model.bytes === null ? '' : formatBytes(model.bytes),
    metric: null,
    facts,
    fraction: model.state === 'loading' ? 'unknown' : fraction,
    isActive: isLoaded || isComing || model.state === 'loading',
  };
}
