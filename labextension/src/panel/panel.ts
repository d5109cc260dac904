// What the side panel shows.

import type { CommandRegistry } from '@lumino/commands';
import type { IEngine } from '../tokens';

/** Draw the panel until `signal` aborts. */
export function mountPanel(
  place: HTMLElement,
  engine: IEngine,
  _commands: CommandRegistry,
  signal: AbortSignal
): void {
  place.textContent = engine.trans.__('Trainings and Models');
  signal.addEventListener('abort', () => place.replaceChildren());
}
