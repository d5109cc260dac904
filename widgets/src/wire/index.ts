// What travels between the engine and the page: types generated from Python, and the decoders of the binary
// formats.

export * from './decode';
export type * from './types.generated';
export { VERSION } from './types.generated';
