// Fetches the part of a log before the first line that is shown.

import type { LogText } from '../log/log_text';
import type { TrainingClient } from './training_client';

const PAGE_BYTES = 64 * 1024;

/** Put one page of earlier lines before the first. */
export async function loadEarlier(client: TrainingClient, log: LogText): Promise<void> {
  const end = log.firstOffset;
  const from = Math.max(0, end - PAGE_BYTES);
  const page = await client.logPage(from, end - from);
  if (log.firstOffset !== end) {
    return;
  }
  // A page that does not begin the log begins within a line, perhaps within a character: count from its end.
  const lineStart = page.offset === 0 ? 0 : page.text.indexOf('\n') + 1;
  const text = page.text.slice(lineStart);
  const offset = page.offset === 0 ? 0 : end - new TextEncoder().encode(text).length;
  log.prepend(text, offset);
}
