// What can be set, by its name in schema/settings.json. Pure; knows no page.

/** The settings' values. */
export interface Values {
  /** What this page tells when its panel is out of sight. */
  notifications: 'all' | 'failures' | 'none';
  /** Whether the browser tab's title tells an end that happened while it was hidden. */
  title: boolean;
  /** The metric of the small curves; empty to choose one. */
  metric: string;
  /** How often the side panel is redrawn at most, seconds. */
  refresh_s: number;
  /** When this page starts an engine by itself: never, when something needs it, or when the page is opened. */
  engine_start: 'never' | 'use' | 'open';
  /** How long the engine stays without work or viewers, minutes; 0 for what its environment says. */
  engine_idle_min: number;
  /** Where the forms start: on the server's machine, or on the Ray cluster. */
  backend: 'local' | 'ray';
  /** URL of the Ray cluster's dashboard; empty for none, or for Ray's own default. */
  ray_address: string;
  /** What each worker gets of the cluster. */
  ray_cpus: number;
  ray_gpus: number;
}

export const DEFAULTS: Values = {
  notifications: 'all',
  title: true,
  metric: '',
  refresh_s: 0.5,
  engine_start: 'use',
  engine_idle_min: 0,
  backend: 'local',
  ray_address: '',
  ray_cpus: 1,
  ray_gpus: 0,
};
