// The media of the runs that a resumed run goes on from.

import type { MediaView } from '../media/media_view';
import type { Transport } from '../transport/transport';
import type { ResumedFrom, Training } from '../wire';
import { TrainingClient } from './training_client';

/** Media of so many runs before a resumed one are shown. */
const MAX_EARLIER = 20;

/** Show what the runs before have logged until the checkpoint, the newest of them first. */
export async function goOnFromEarlier(
  media: MediaView,
  resumedFrom: ResumedFrom,
  transport: Transport,
  signal: AbortSignal
): Promise<void> {
  try {
    let from: ResumedFrom | null = resumedFrom;
    for (let i = 0; from && i < MAX_EARLIER && !signal.aborted; i++) {
      const before: Training = await new TrainingClient(transport, from.id).training();
      media.goOnFrom(from.id, from.time, before.num_media ?? 0);
      from = before.resumed_from;
    }
  } catch {
    // a run that was deleted has no media any more
  }
}
