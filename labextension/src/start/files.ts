// What a form does with files, by Jupyter's own contents API: complete, choose, upload.

import type { IDocumentManager } from '@jupyterlab/docmanager';
import { FileDialog } from '@jupyterlab/filebrowser';
import type { Contents } from '@jupyterlab/services';
import type { Files } from '../../../widgets/src/form/path_box';
import { freeName, fromFolder, inFolder, splitPath } from './places';

/** Jupyter's protocol for large files: pieces are counted from 1, and the last is -1. */
const PIECE_BYTES = 1 << 20;
const MAX_COMPLETIONS = 50;

/**
 * Make what a form in a folder can do.
 *
 * @param folder Contents path that what is typed is relative to.
 */
export function filesIn(folder: string, manager: IDocumentManager): Files {
  const { contents } = manager.services;
  const entries = async (path: string): Promise<Contents.IModel[]> =>
    ((await contents.get(path, { type: 'directory', content: true })).content as Contents.IModel[]) ?? [];
  return {
    complete: async text => {
      const { folder: typed, name } = splitPath(text);
      const path = inFolder(folder, typed);
      if (path === null) {
        return [];
      }
      const before = text.slice(0, text.length - name.length);
      return (await entries(path))
        .filter(entry => entry.name.startsWith(name))
        .slice(0, MAX_COMPLETIONS)
        .map(entry => `${before}${entry.name}${entry.type === 'directory' ? '/' : ''}`);
    },
    choose: async title => {
      const answer = await FileDialog.getOpenFiles({ manager, title, defaultPath: folder || undefined });
      const chosen = answer.button.accept ? answer.value?.[0] : undefined;
      return chosen ? fromFolder(folder, contents.localPath(chosen.path)) : null;
    },
    upload: async (file, told) => {
      const taken = new Set((await entries(folder)).map(entry => entry.name));
      const name = freeName(file.name, taken);
      const path = [folder, name].filter(Boolean).join('/');
      for (let at = 0, chunk = 1; at < file.size || chunk === 1; at += PIECE_BYTES, chunk += 1) {
        const isLast = at + PIECE_BYTES >= file.size;
        const piece = new Uint8Array(await file.slice(at, at + PIECE_BYTES).arrayBuffer());
        const model = { type: 'file', format: 'base64', name, content: base64(piece) } as const;
        await contents.save(path, isLast && chunk === 1 ? model : { ...model, chunk: isLast ? -1 : chunk });
        told(Math.min(1, (at + PIECE_BYTES) / Math.max(1, file.size)));
      }
      return name;
    },
  };
}

function base64(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return btoa(text);
}
