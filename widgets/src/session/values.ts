// Values as a session sends them: JSON trees with bytes beside them. Source: jupyter_ext/ipc/values.py.
// Only what views ask for is read here; tensors never come to a page whole.

export type ValueTree = null | boolean | number | string | { k: string; v?: unknown; b?: number };

/**
 * Turn a tree into a value: dicts become objects, bytes stay bytes.
 *
 * @throws Error for kinds that no view asks for.
 */
export function decodeTree(tree: ValueTree, blobs: readonly Uint8Array[]): unknown {
  if (tree === null || typeof tree !== 'object') {
    return tree;
  }
  switch (tree.k) {
    case 'float':
      return Number(String(tree.v).replace('inf', 'Infinity'));
    case 'int':
      return Number(tree.v);
    case 'list':
    case 'tuple':
      return (tree.v as ValueTree[]).map(item => decodeTree(item, blobs));
    case 'dict':
      return Object.fromEntries(
        (tree.v as [ValueTree, ValueTree][]).map(([key, item]) => [
          String(decodeTree(key, blobs)),
          decodeTree(item, blobs),
        ])
      );
    case 'bytes': {
      const blob = blobs[tree.b ?? -1];
      if (!blob) {
        throw new Error(`blob ${tree.b} is missing`);
      }
      return blob;
    }
    default:
      throw new Error(`a value of kind ${tree.k} is not read here`);
  }
}

/** Read doubles, little-endian as every machine here has them; what is none gives none. */
export function doublesOf(value: unknown): Float64Array {
  if (!(value instanceof Uint8Array)) {
    return new Float64Array();
  }
  const aligned = value.slice();
  return new Float64Array(aligned.buffer, 0, Math.floor(aligned.byteLength / 8));
}
