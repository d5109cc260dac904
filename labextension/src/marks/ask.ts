// A cell is run again while its training goes on: the new one runs beside it, and the old one may be
// canceled.

import { Notification } from '@jupyterlab/apputils';
import { messageOf } from '../../../widgets/src/core/errors';
import { bytesOf } from '../../../widgets/src/transport/transport';
import type { Training } from '../../../widgets/src/wire';
import type { IEngine } from '../tokens';
import { titleOf } from './running';

/** The question that is open, by cell: a cell is asked about once. */
const asked = new Map<string, string>();

/** Ask about the trainings that a cell had started before it was run again. */
export function askAbout({ transport, trans }: IEngine, cell: string, old: readonly Training[]): void {
  const cancel = async () => {
    for (const { id } of old) {
      try {
        bytesOf(await transport.request('POST', `/v1/trainings/${encodeURIComponent(id)}/cancel`));
      } catch (error) {
        Notification.error(messageOf(error));
      }
    }
  };
  const before = asked.get(cell);
  if (before !== undefined) {
    Notification.dismiss(before);
  }
  const text = trans.__('A training that this cell started is still running: %1.', titleOf(old));
  const [cancelLabel, keepLabel] =
    old.length === 1
      ? [trans.__('Cancel the Earlier One'), trans.__('Keep Both')]
      : [trans.__('Cancel the Earlier Ones'), trans.__('Keep All')];
  asked.set(
    cell,
    Notification.info(text, {
      autoClose: false,
      actions: [
        { label: cancelLabel, callback: () => void cancel() },
        { label: keepLabel, callback: () => undefined },
      ],
    })
  );
}
