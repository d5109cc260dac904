/** Import a module by URL at run time; the comments keep bundlers from resolving it at build time. */
export function importModule(url: string): Promise<unknown> {
  return import(/* webpackIgnore: true */ /* @vite-ignore */ url);
}
