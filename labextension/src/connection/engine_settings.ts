// Applies the settings that are the engine's: when it is started, and how long it stays. Loaded by pages that set it.
// The rule: what the page says of them it says once, and again when a person changes them. Two pages with other
// settings leave the engine as the last one has said, and do not contend.

import type { ListsFeed } from '../../../widgets/src/lists/lists_feed';
import { jsonOf } from '../../../widgets/src/transport/transport';
import type { Settings } from '../settings';

/** Where the settings go. */
export interface Applied {
  lists: Pick<ListsFeed, 'state' | 'data' | 'follow' | 'start'>;
  transport: { running: Parameters<typeof ListsFeed.of>[0]; isEngineRunning(): Promise<boolean> };
  settings: Pick<Settings, 'values' | 'changed'>;
}

/** Apply them from now on; the page is still being opened. */
export function applySettings(applied: Applied): void {
  const refused = (error: unknown) => console.warn('jupyter-ext: the engine was not set', error);
  keepIdleTime(applied, refused);
  startWithPage(applied).catch(refused);
}

/** Start the engine if it is to be there when the page is. */
export async function startWithPage({ lists, transport, settings }: Applied): Promise<void> {
  if (settings.values.engine_start === 'open' && !(await transport.isEngineRunning())) {
    await lists.start();
  }
}

/**
 * Keep the engine's idle time as it is set here.
 *
 * @param refused Told why it could not be set, such as to a user who may only read.
 */
export function keepIdleTime(
  { lists, transport, settings }: Applied,
  refused: (error: unknown) => void
): void {
  const wanted = () => {
    const { engine_idle_min } = settings.values;
    return engine_idle_min > 0 ? 60 * engine_idle_min : null;
  };
  let said: number | null | undefined;
  const say = () => {
    const { engine } = lists.data;
    const idle_s = wanted();
    if (lists.state !== 'live' || engine === null || said === idle_s) {
      return;
    }
    said = idle_s;
    if ((engine.idle_set_s ?? null) !== idle_s) {
      transport.running.request('PATCH', '/native/engine', { idle_s }).then(jsonOf).catch(refused);
    }
  };
  lists.follow([], say, new AbortController().signal);
  settings.changed.connect(say);
  say();
}
