// What is written about a model, and what can be done with it now. Pure; knows no page.

import { formatAbout, formatBytes, formatDuration } from '../core/format';
import type { LocalModel, ModelPage, Transfer, TransferPhase, Unloaded } from '../wire';

/** What a person can ask for. `run` opens the playground. */
export type Action = 'download' | 'cancel' | 'load' | 'run' | 'unload' | 'update' | 'delete';

/** What stands where nothing is known. */
export const UNKNOWN = '–';

const PHASES: Record<TransferPhase, string> = {
  queued: 'waiting its turn',
  resolve: 'asking the hub',
  transfer: 'downloading',
  verify: 'checking sha256',
  publish: 'putting in place',
};

/** Name what can be asked of a model as it is now, the most likely first. */
export function actionsOf(model: LocalModel): Action[] {
  const update: Action[] = model.newer_revision !== null ? ['update'] : [];
  switch (model.state) {
    case 'absent':
    case 'partial':
      return model.cloud ? [] : ['download', 'delete'];
    case 'downloading':
      return ['cancel'];
    case 'downloaded':
      return ['load', ...(isMoving(model) ? (['cancel'] as const) : update), 'delete'];
    case 'loaded':
      return ['run', 'unload', ...(isMoving(model) ? (['cancel'] as const) : update)];
    case 'loading':
      return ['cancel'];
    case 'unloading':
      return [];
    default:
      model.state satisfies never;
      return [];
  }
}

/** Whether bytes are on their way, also those of an update of a model that is here. */
export function isMoving(model: LocalModel): boolean {
  return model.transfer?.status === 'running';
}

/** The last part of what a model is called, as it is known by: `all-MiniLM-L6-v2`. */
export function shortName(model: LocalModel): string {
  return (model.name || model.id).split('/').filter(Boolean).pop() ?? model.id;
}

/** `87 MiB`, or what is kept of it. */
export function sizeText(model: LocalModel): string {
  return model.state === 'partial'
    ? `${formatBytes(keptBytes(model))} kept`
    : model.bytes === null
      ? UNKNOWN
      : formatBytes(model.bytes);
}

/** What the size cell says when one points at it. */
export function sizeTitle(model: LocalModel): string {
  const whole = model.bytes === null ? 'size not known yet' : `${formatBytes(model.bytes)} in all`;
  return model.state === 'partial'
    ? `${formatBytes(keptBytes(model))} of an unfinished download are kept; ${whole}`
    : whole;
}

/** How many bytes an unfinished download left behind. */
export function keptBytes(model: LocalModel): number {
  const files = model.files.reduce((sum, file) => sum + file.kept_bytes, 0);
  return files > 0 ? files : (model.transfer?.bytes_done ?? 0);
}

/** Memory: measured while loaded, else the estimate. */
export function memoryText(model: LocalModel): string {
  const { host } = model;
  const measured = host ? (host.memory_bytes ?? 0) + (host.device_bytes ?? 0) : 0;
  if (measured > 0) {
    return formatBytes(measured);
  }
  const estimate = host?.estimated_bytes ?? model.memory_bytes;
  return estimate === null ? UNKNOWN : `≈ ${formatBytes(estimate)}`;
}

/** What the memory cell says when one points at it. */
export function memoryTitle(model: LocalModel): string {
  const { host } = model;
  const lines = [];
  const estimate = host?.estimated_bytes ?? model.memory_bytes;
  if (host?.memory_bytes != null) {
    lines.push(
      `measured ${formatBytes(host.memory_bytes)}${host.private_bytes === null ? '' : `, of which ${formatBytes(host.private_bytes)} are its own`}`
    );
  }
  if (host?.device_bytes != null && host.device_bytes > 0) {
    lines.push(`${formatBytes(host.device_bytes)} on ${host.device}`);
  }
  if (estimate !== null) {
    lines.push(`estimated ${formatBytes(estimate)}`);
  }
  return lines.join('\n') || 'not known yet';
}

/** `a1b2c3d`, the beginning of a long revision. */
export function revisionText(revision: string | null): string {
  return revision === null ? UNKNOWN : /^[0-9a-f]{12,}$/.test(revision) ? revision.slice(0, 7) : revision;
}

/** `2 users`, or who the only one is. */
export function usersText(model: LocalModel): string {
  const users = model.host?.users ?? [];
  return users.length === 0
    ? model.host
      ? 'nobody'
      : ''
    : users.length === 1
      ? users[0].name
      : `${users.length} users`;
}

/** Who uses it, one a line. */
export function usersTitle(model: LocalModel): string {
  return (model.host?.users ?? [])
    .map(user => `${user.name}${user.pid === null ? '' : ` (pid ${user.pid})`}`)
    .join('\n');
}

/** Share of a transfer that is done, 0 to 1; `null` when its size is unknown. */
export function fractionOf(transfer: Transfer): number | null {
  return transfer.bytes_total === null || transfer.bytes_total === 0
    ? null
    : Math.min(1, transfer.bytes_done / transfer.bytes_total);
}

/** What stands under the bar: phase, bytes, speed on the left, time left on the right. */
export function transferText(transfer: Transfer): { done: string; left: string } {
  const parts = [PHASES[transfer.phase] ?? transfer.phase];
  if (transfer.bytes_total !== null) {
    parts.push(`${formatBytes(transfer.bytes_done)} of ${formatBytes(transfer.bytes_total)}`);
  } else if (transfer.bytes_done > 0) {
    parts.push(formatBytes(transfer.bytes_done));
  }
  if (transfer.bytes_per_s !== null && transfer.phase === 'transfer') {
    parts.push(`${formatBytes(transfer.bytes_per_s)}/s`);
  }
  if (transfer.files_total !== null && transfer.files_total > 1) {
    parts.push(`file ${Math.min(transfer.files_done + 1, transfer.files_total)} of ${transfer.files_total}`);
  }
  if (transfer.resumed_bytes > 0) {
    parts.push(`${formatBytes(transfer.resumed_bytes)} were here`);
  }
  return {
    done: parts.join(' · '),
    left: transfer.eta_s === null ? '' : `${formatAbout(transfer.eta_s)} left`,
  };
}

/** What an unload gave back. */
export function unloadedText(unloaded: Unloaded): string {
  const { host_bytes, available_before_bytes, available_after_bytes, took_s } = unloaded;
  const given = available_after_bytes - available_before_bytes;
  const still =
    unloaded.held.length > 0 ? `; the notebook that asked still holds ${unloaded.held.join(', ')}` : '';
  const took = took_s < 10 ? `${took_s.toFixed(1)} s` : formatDuration(took_s);
  return `Unloaded in ${took}: the host's ${formatBytes(host_bytes)} are free again; available memory ${formatBytes(available_before_bytes)} → ${formatBytes(available_after_bytes)} (${given < 0 ? '−' : '+'}${formatBytes(Math.abs(given))})${still}`;
}

/** What speaks against a download or a load: it needs more than there is. */
export function doubtText(
  model: LocalModel,
  page: Pick<ModelPage, 'disk_free_bytes' | 'memory_available_bytes'>
): string | null {
  if (model.state === 'absent' || model.state === 'partial') {
    const missing = (model.bytes ?? 0) - keptBytes(model);
    if (page.disk_free_bytes > 0 && missing > page.disk_free_bytes) {
      return `Needs ${formatBytes(missing)} of disk; ${formatBytes(page.disk_free_bytes)} are free.`;
    }
  }
  const needed = model.memory_bytes ?? 0;
  if (model.host === null && page.memory_available_bytes > 0 && needed > page.memory_available_bytes) {
    return `Needs about ${formatBytes(needed)} of memory to load; ${formatBytes(page.memory_available_bytes)} are available.`;
  }
  return null;
}

/** What deleting takes away, as the question before it. */
export function deleteQuestion(model: LocalModel): string {
  const bytes =
    model.state === 'partial' ? keptBytes(model) : model.state === 'absent' ? 0 : (model.bytes ?? 0);
  const name = shortName(model);
  if (model.source === 'file' || bytes === 0) {
    return `Take ${name} off the list?${model.source === 'file' ? ' Its files stay where they are.' : ''}`;
  }
  return `Delete ${name} from the disk (${formatBytes(bytes)})? Other programs may use the same cache.`;
}

/** The one line of what went wrong last, if it still matters. */
export function errorText(model: LocalModel): string {
  const failed = model.transfer?.status === 'failed' ? model.transfer.error : null;
  return firstLine(model.error ?? failed ?? '');
}

function firstLine(text: string): string {
  return text.trim().split('\n')[0];
}

/** `22.7 M parameters`. */
export function parametersText(count: number): string {
  for (const [size, unit] of [
    [1e12, 'T'],
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ] as const) {
    if (count >= size) {
      return `${Number((count / size).toPrecision(3))} ${unit}`;
    }
  }
  return String(count);
}
