// What our plugins share, and other extensions may use: the page's one way to the engine.

import type { TranslationBundle } from '@jupyterlab/translation';
import { Token } from '@lumino/coreutils';
import type { ListsFeed } from '../../widgets/src/lists/lists_feed';
import type { ServerTransport } from '../../widgets/src/transport/server';
import type { Started } from './connection/started';
import type { Settings } from './settings';
import type { Target } from './tabs/target';

/** The name under which our strings are translated. */
export const DOMAIN = 'jupyter_ext';

/** The page's one connection. */
export interface IEngine {
  /** Requests and streams; all views of the page share it, so that what they share is fetched once. */
  readonly transport: ServerTransport;
  /** Trainings, debug sessions and models, and whether an engine runs; looking never starts one. */
  readonly lists: ListsFeed;
  /** What this page has started. */
  readonly started: Started;
  /** What the tabs of this page show, in sight or not. */
  readonly tabs: Set<Target>;
  readonly settings: Settings;
  readonly trans: TranslationBundle;
}

export const IEngine = new Token<IEngine>(
  'jupyter-ext:IEngine',
  'The connection of this page to the engine of jupyter-ext.'
);
