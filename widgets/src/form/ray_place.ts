// Where a form's training runs: on the server's machine, or as a job of a Ray cluster.

/** Where on a Ray cluster, and what each worker gets there. */
export interface RayPlace {
  /** URL of the dashboard. */
  address: string;
  cpus: number;
  gpus: number;
}

/** What `%%train --on ray` takes where nothing says otherwise; of `client/requests/place.py`. */
const DEFAULTS: RayPlace = { address: 'http://127.0.0.1:8265', cpus: 1, gpus: 0 };

/** Return the place, with what was left open filled in. */
export function rayPlace(given: Partial<RayPlace>): RayPlace {
  const address = given.address?.trim().replace(/\/+$/, '') || DEFAULTS.address;
  return { ...DEFAULTS, ...given, address };
}

/** Return what a line of `%train` or `%%train` says for it, such as ` --on ray --gpus 1`. */
export function rayOptions({ address, cpus, gpus }: RayPlace): string {
  const options = [' --on ray'];
  if (address !== DEFAULTS.address) {
    options.push(`--address ${/^[\w:/.@%+=,~-]+$/.test(address) ? address : `'${address}'`}`);
  }
  if (cpus !== DEFAULTS.cpus) {
    options.push(`--cpus ${cpus}`);
  }
  if (gpus !== DEFAULTS.gpus) {
    options.push(`--gpus ${gpus}`);
  }
  return options.join(' ');
}

/** Return what a person calls the cluster: its host and port. */
export function rayName(address: string): string {
  return address.replace(/^https?:\/\//, '');
}
