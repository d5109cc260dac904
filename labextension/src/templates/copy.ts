// Makes a notebook of a template. Loaded with the first.

import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { PartialJSONValue } from '@lumino/coreutils';
import { freeName } from '../start/places';
import type { IEngine } from '../tokens';

/** Put a copy of a template into a folder, under a name that is free there, and return its path. */
export async function copyOf(
  { serviceManager: { contents } }: JupyterFrontEnd,
  { transport }: IEngine,
  name: string,
  folder: string
): Promise<string> {
  const content = (await transport.serverJson(`templates/${name}`)) as PartialJSONValue;
  const listed = await contents.get(folder, { type: 'directory', content: true });
  const taken = new Set((listed.content as { name: string }[]).map(entry => entry.name));
  const path = [folder, freeName(`${name}.ipynb`, taken)].filter(Boolean).join('/');
  await contents.save(path, { type: 'notebook', format: 'json', content });
  return path;
}
