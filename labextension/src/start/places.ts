// Paths: of Jupyter's contents, relative to the server's root, and of the engine's machine. Pure.

/** Folder and name of a contents path; the folder is empty at the root. */
export function splitPath(path: string): { folder: string; name: string } {
  const slash = path.lastIndexOf('/');
  return { folder: path.slice(0, Math.max(0, slash)), name: path.slice(slash + 1) };
}

/**
 * Return a contents path as the engine's machine has it.
 *
 * @param root The server's root; may begin with `~`, which the engine knows.
 * @param path Without a drive.
 */
export function onDisk(root: string, path: string): string {
  return [root.replace(/\/+$/, ''), path].filter(Boolean).join('/') || '/';
}

/** Return a contents path as one writes it in a folder: `../data/a.csv`. */
export function fromFolder(folder: string, path: string): string {
  const here = folder.split('/').filter(Boolean);
  const there = path.split('/').filter(Boolean);
  let same = 0;
  while (same < here.length && same < there.length && here[same] === there[same]) {
    same += 1;
  }
  return [...here.slice(same).map(() => '..'), ...there.slice(same)].join('/') || '.';
}

/** Return the contents path of what is written in a folder, or `null` where that is outside of the root. */
export function inFolder(folder: string, text: string): string | null {
  if (text.startsWith('/') || text.startsWith('~')) {
    return null;
  }
  const parts = folder.split('/').filter(Boolean);
  for (const part of text.split('/')) {
    if (part === '..' && parts.pop() === undefined) {
      return null;
    }
    if (part !== '' && part !== '.' && part !== '..') {
      parts.push(part);
    }
  }
  return parts.join('/');
}

/** Return a name that is not taken: `data.csv`, `data-2.csv`, … */
export function freeName(name: string, taken: ReadonlySet<string>): string {
  const dot = name.lastIndexOf('.');
  const [stem, ending] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ''];
  let free = name;
  for (let number = 2; taken.has(free); number += 1) {
    free = `${stem}-${number}${ending}`;
  }
  return free;
}
