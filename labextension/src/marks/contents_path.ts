// Where a training's notebook is among the page's files, and which of its cells a traceback names. Pure;
// knows no page.

/**
 * Return the contents path of a notebook of the engine's machine, or `null` where it is not below the server's root.
 *
 * @param root The server's root as the page knows it; may begin with `~`.
 * @param path Absolute.
 */
export function contentsPath(root: string, path: string): string | null {
  const trimmed = root.replace(/\/+$/, '');
  if (!trimmed.startsWith('~')) {
    return path.startsWith(`${trimmed}/`) ? path.slice(trimmed.length + 1) : null;
  }
  const below = `${trimmed.slice(1)}/`; // where the home is, only the server knows
  const at = below === '/' ? homeEnd(path) : path.indexOf(below);
  return at < 0 ? null : path.slice(at + below.length);
}

function homeEnd(path: string): number {
  return /^\/(root|(home|Users)\/[^/]+)(?=\/)/.exec(path)?.[0].length ?? -1;
}

/** The execution count of a cell that a traceback calls `Cell In[5]`; `null` of one with another name. */
export function executionCountOf(label: string): number | null {
  const match = /^Cell In\[(\d+)\]$/.exec(label);
  return match ? Number(match[1]) : null;
}
